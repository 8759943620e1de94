"""The thoughts of a bundle that has a token graph: written greedily, one token a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.errors import ObservationError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Engine, Value
    from unichunk.runtime.policy.manifest import Graph, LanguageInput, Reasoning
    from unichunk.runtime.policy.tokens import InstructionTokenizer

WRITTEN, LONGER = "written_", "longer_"
"""What the token graph's caches are called as inputs and as outputs."""


class BundleReasoner:
    """Writes what a policy will act on instead of its instruction. For the thread alone that infers.

    Args:
        graph: Signature of the token graph.
        reasoning: Where a thought ends.
        language: The prompt's suffix, whose last token comes before the first of a thought.
        prefix: Engine of the prefix graph, the one that `infer` uses.
        token: Engine of the token graph.
        preprocess: Observation -> inputs of the prefix graph.
        tokenizer: Of the policy.
    """

    def __init__(
        self,
        graph: Graph,
        reasoning: Reasoning,
        language: LanguageInput,
        *,
        prefix: Engine,
        token: Engine,
        preprocess: Callable[[Mapping[str, Any]], dict[str, NDArray[Any]]],
        tokenizer: InstructionTokenizer,
    ) -> None:
        self._reasoning = reasoning
        self._first = language.suffix[-1]
        self._prefix = prefix
        self._token = token
        self._preprocess = preprocess
        self._tokenizer = tokenizer
        self._empty: dict[str, NDArray[Any] | Value] = {
            tensor.name: np.zeros(tensor.shape, np.float32)
            for tensor in graph.inputs
            if tensor.name.startswith(WRITTEN)
        }
        self._read: dict[str, NDArray[Any] | Value] = {}
        self._written = self._empty
        self._ids: list[int] = []

    @property
    def most_steps(self) -> int:
        """Tokens after which a thought that has not ended is given up."""
        return self._reasoning.max_tokens

    def begin(self, observation: Mapping[str, Any]) -> None:
        """Read an observation; the thought begins with the next step.

        Raises:
            ObservationError: Where it does not fit the bundle.
        """
        inputs = self._preprocess(observation)
        # Chunks are made from other observations while this thought is written.
        self._read = {**self._prefix.kept(self._prefix.run(inputs)), "tokens": inputs["tokens"]}
        self._written, self._ids = self._empty, []

    def step(self) -> str | None:
        """Write one token.

        Returns:
            None while the thought goes on; its text at the end, empty where the first token ended it.

        Raises:
            PolicyError: The text cannot be acted on: with its prompt it is longer than the policy's instructions.
        """
        place = {"place": np.asarray(len(self._ids), np.int64)}
        token = np.asarray(self._ids[-1] if self._ids else self._first, np.int64)
        outputs = self._token.run({**self._read, **self._written, **place, "token": token})
        self._written = {name: outputs[name.replace(WRITTEN, LONGER, 1)] for name in self._empty}
        following = int(outputs["next"].numpy())
        if following not in self._reasoning.ends:
            self._ids.append(following)
            return None
        text = self._tokenizer.text(self._ids).strip()
        try:
            self._tokenizer(text)
        except ObservationError as error:
            raise PolicyError(f"a thought of {len(self._ids)} tokens cannot be acted on: {error}") from None
        return text
