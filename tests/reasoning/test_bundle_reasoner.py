"""What a bundle's reasoner makes of the tokens that its graph gives, and what its manifest may claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from unichunk.runtime.errors import ObservationError, PolicyError
from unichunk.runtime.policy.bundle_reasoner import BundleReasoner
from unichunk.runtime.policy.manifest import Graph, LanguageInput, Reasoning, Tensor
from unichunk.runtime.policy.reasoning_contradictions import reasoning_complaints

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

END, LAST = 9, 4
LANGUAGE = LanguageInput(tokenizer="t", prompt="{task_description}", suffix=(END, LAST), max_tokens=6)
REASONING = Reasoning(max_tokens=3, ends=(END,))


def tensor(name: str, shape: tuple[int, ...], dtype: Any = "float32") -> Tensor:
    return Tensor(name=name, shape=shape, dtype=dtype)


PREFIX = Graph(file="prefix.onnx", inputs=(), outputs=(tensor("keys_0", (1, 2, 5), "float16"),))
TOKEN = Graph(
    file="token.onnx",
    inputs=(
        tensor("token", (), "int64"),
        tensor("place", (), "int64"),
        tensor("tokens", (1, 6), "int64"),
        tensor("keys_0", (1, 2, 5), "float16"),
        tensor("written_keys_0", (1, 2, 3)),
    ),
    outputs=(tensor("next", (), "int64"), tensor("longer_keys_0", (1, 2, 3))),
)


class Kept:
    """A value in an engine's hands."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def numpy(self) -> Any:
        return self.content


class Engines:
    """Both engines: the token graph's answers are given."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[int, int, object]] = []
        self.observations = 0

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        if "token" not in inputs:
            return {"keys_0": f"of observation {inputs['images']}"}
        written = inputs["written_keys_0"]
        self.asked.append((int(inputs["token"]), int(inputs["place"]), inputs["keys_0"]))
        rows = written.content if isinstance(written, Kept) else written.shape
        return {"next": Kept(np.asarray(self.answers.pop(0))), "longer_keys_0": Kept((rows, len(self.asked)))}

    def kept(self, outputs: dict[str, Any]) -> dict[str, Any]:
        return {name: f"kept, {value}" for name, value in outputs.items()}

    def preprocess(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        self.observations += 1
        return {"images": self.observations, "tokens": np.array([[1, 2, END, LAST, -1, -1]])}


class Words:
    """A tokenizer that writes every id as a letter, and takes no more than two."""

    def text(self, ids: Sequence[int]) -> str:
        return " " + "".join("abcdefgh"[index] for index in ids)

    def __call__(self, text: str) -> object:
        if len(text) > 2:
            raise ObservationError("language.instruction: too long")
        return text


def reasoner(engines: Engines) -> BundleReasoner:
    words: Any = Words()
    anything: Any = engines
    return BundleReasoner(
        TOKEN, REASONING, LANGUAGE, prefix=anything, token=anything, preprocess=engines.preprocess, tokenizer=words
    )


def test_a_thought_begins_behind_the_suffix_and_each_token_is_told_the_one_before() -> None:
    engines = Engines(0, 1, END)
    thinking = reasoner(engines)
    thinking.begin({})
    assert [thinking.step() for _ in range(3)] == [None, None, "ab"]
    seen = "kept, of observation 1"
    assert engines.asked == [(LAST, 0, seen), (0, 1, seen), (1, 2, seen)]
    assert thinking._written["written_keys_0"].numpy() == ((((1, 2, 3), 1), 2), 3), "caches grow step by step"
    assert thinking.most_steps == 3


def test_a_thought_that_ends_at_once_is_none() -> None:
    thinking = reasoner(Engines(END))
    thinking.begin({})
    assert thinking.step() == ""


def test_a_new_thought_knows_nothing_of_the_one_before() -> None:
    engines = Engines(0, 1, END)
    thinking = reasoner(engines)
    thinking.begin({})
    thinking.step()
    thinking.begin({})
    assert [thinking.step(), thinking.step()] == [None, "b"]
    assert engines.asked[1:] == [(LAST, 0, "kept, of observation 2"), (1, 1, "kept, of observation 2")]


def test_a_text_that_the_policy_cannot_be_told_is_refused() -> None:
    thinking = reasoner(Engines(0, 1, 2, END))
    thinking.begin({})
    for _ in range(3):
        thinking.step()
    with refused(PolicyError, "a thought of 3 tokens cannot be acted on: language.instruction: too long"):
        thinking.step()


class Claims(msgspec.Struct):
    """As much of a manifest as the check looks at."""

    class Graphs(msgspec.Struct):
        token: Graph | None = TOKEN
        prefix: Graph = PREFIX

    graphs: Graphs = msgspec.field(default_factory=Graphs)
    reasoning: Reasoning | None = REASONING
    language: LanguageInput | None = LANGUAGE


def complaints(claims: Any) -> list[str]:
    return list(reasoning_complaints(claims))


def test_a_manifest_that_fits() -> None:
    assert complaints(Claims()) == []
    assert complaints(Claims(Claims.Graphs(None), None)) == []


def replaced(graph: Graph, side: str, name: str, *changed: Tensor) -> Graph:
    tensors = tuple(tensor for tensor in getattr(graph, side) if tensor.name != name)
    return msgspec.structs.replace(graph, **{side: (*tensors, *changed)})


@pytest.mark.parametrize(
    ("claims", "complaint"),
    [
        (Claims(reasoning=None), "reasoning: missing, but there is graphs.token; a policy that thinks needs both"),
        (Claims(Claims.Graphs(None)), "graphs.token: missing, but there is reasoning; a policy that thinks needs both"),
        (Claims(reasoning=Reasoning(max_tokens=3, ends=())), "reasoning.ends: expected at least one token id"),
        (
            Claims(language=None),
            "language.suffix: expected at least one token id, behind which a thought begins",
        ),
        (
            Claims(Claims.Graphs(replaced(TOKEN, "inputs", "place"))),
            "graphs: token.onnx has no input `place`",
        ),
        (
            Claims(Claims.Graphs(replaced(TOKEN, "inputs", "keys_0", tensor("keys_1", (1,))))),
            "graphs: token.onnx has an input `keys_1` that nothing provides",
        ),
        (
            Claims(Claims.Graphs(replaced(TOKEN, "inputs", "tokens", tensor("tokens", (1, 7), "int64")))),
            "graphs: tokens of token.onnx is int64 [1, 7], expected int64 [1, 6]",
        ),
        (
            Claims(Claims.Graphs(replaced(TOKEN, "outputs", "longer_keys_0"))),
            "graphs: token.onnx has no output `longer_keys_0`",
        ),
        (
            Claims(Claims.Graphs(replaced(TOKEN, "outputs", "longer_keys_0", tensor("longer_keys_0", (1, 2, 4))))),
            "graphs: longer_keys_0 of token.onnx is float32 [1, 2, 4], expected float32 [1, 2, 3]",
        ),
        (
            Claims(Claims.Graphs(replaced(TOKEN, "outputs", "next"))),
            "graphs: token.onnx has no output `next`",
        ),
    ],
)
def test_a_manifest_that_contradicts_itself(claims: Claims, complaint: str) -> None:
    assert complaints(claims) == [complaint]
