"""The token graph writes what a plain loop in PyTorch writes, one token after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference needs PyTorch: pip install 'unichunk[train]'")

from tests.one_line import refused  # noqa: E402
from tests.reasoning.thinking_checkpoint import LONGEST, PlainThinker, thinking_checkpoint  # noqa: E402
from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: E402
from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: E402
from unichunk.runtime.errors import BundleError  # noqa: E402
from unichunk.runtime.policy import Policy  # noqa: E402
from unichunk.runtime.reasoning import THOUGHT_KEY  # noqa: E402
from unichunk.server.serving.bundle_policy import BundlePolicy  # noqa: E402
from unichunk.server.serving.source import PolicySource  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return thinking_checkpoint(tmp_path_factory.mktemp("thinking") / "checkpoint")


@pytest.fixture(scope="module")
def bundle(checkpoint: Path) -> Path:
    out = checkpoint.parent / "bundle"
    compile_checkpoint(checkpoint, out, CompileOptions("libero_nonorm", "uni_posttrain", refinement_rounds=0))
    return out


@pytest.fixture(scope="module")
def policy(bundle: Path) -> Policy:
    return Policy.load(bundle)


def observation(policy: Policy, seed: int, instruction: str) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    example = policy.example_observation()
    for key, value in example.items():
        if key.startswith("video."):
            example[key] = random.integers(0, 255, value.shape, np.uint8)
        elif key.startswith("state."):
            example[key] = random.normal(size=value.shape).astype(np.float32)
    return {**example, "language.instruction": instruction}


@pytest.mark.parametrize(("seed", "instruction"), [(0, "pick up the bowl"), (1, ""), (2, "open the top drawer twice")])
def test_greedy_tokens_equal_those_of_the_plain_loop(
    policy: Policy, checkpoint: Path, seed: int, instruction: str
) -> None:
    seen, plain = observation(policy, seed, instruction), PlainThinker(checkpoint)
    reasoning, reasoner = policy.manifest.reasoning, policy.reasoner()
    assert reasoning is not None
    assert reasoner is not None
    inputs = policy.preprocess(seen)
    images, state = (torch.from_numpy(inputs[name]) for name in ("images", "state"))
    text = [*map(int, inputs["tokens"][0][inputs["tokens"][0] >= 0])]
    expected = plain.tokens(images, text, state, LONGEST - 1, reasoning.ends)
    reasoner.begin(seen)
    for _ in range(LONGEST - 1):
        if reasoner.step() is not None:
            break
        # Other observations in between change nothing.
        policy.prefix(policy.preprocess(observation(policy, seed + 10, "something else")))
    given = [*reasoner._ids, *reasoning.ends]
    assert given[: len(expected)] == expected
    for layer, (keys, values) in enumerate(plain.caches(images, text, state, expected[:-1])):
        count = len(expected)
        for name, reference in (("keys", keys.mT), ("values", values)):
            cache = np.asarray(reasoner._written[f"written_{name}_{layer}"].numpy())
            found = cache[..., :count] if name == "keys" else cache[:, :count]
            np.testing.assert_allclose(found, reference.numpy(), atol=2e-5 * np.abs(reference.numpy()).max())
    assert len(set(expected)) > 2, "a thought of one token over and over shows little"


def test_a_policy_acts_on_a_thought_as_if_it_were_the_instruction(policy: Policy) -> None:
    seen = observation(policy, 0, "the other one")
    noise = np.zeros((1, policy.chunk_length, 200), np.float32)
    told = policy.infer({**seen, THOUGHT_KEY: "pick up the bowl"}, noise=noise)
    plain = policy.infer({**seen, "language.instruction": "pick up the bowl"}, noise=noise)
    assert told.unified.tobytes() == plain.unified.tobytes()
    assert told.unified.tobytes() != policy.infer(seen, noise=noise).unified.tobytes()


def test_the_bundle_says_where_a_thought_ends(policy: Policy) -> None:
    reasoning, token = policy.manifest.reasoning, policy.manifest.graphs.token
    assert reasoning is not None
    assert token is not None
    assert reasoning.max_tokens == LONGEST
    assert reasoning.ends == (policy.manifest.language.suffix[0],), "the end of a turn"
    assert token.file in policy.manifest.files


def test_a_checkpoint_without_thoughts_compiles_to_a_policy_that_does_not_think(tmp_path: Path) -> None:
    options = CompileOptions("libero_nonorm", "uni_posttrain", refinement_rounds=0)
    compile_checkpoint(thinking_checkpoint(tmp_path / "checkpoint", thought_tokens=0), tmp_path / "bundle", options)
    policy = Policy.load(tmp_path / "bundle")
    assert policy.reasoner() is None
    assert not (tmp_path / "bundle" / "token.onnx").exists()


def test_a_server_refuses_a_policy_that_thinks(bundle: Path) -> None:
    with refused(BundleError, "writes text before it acts, which is not done over a network"):
        BundlePolicy.load(PolicySource(name="thinks", source=str(bundle)))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_other_precisions_write_much_the_same(policy: Policy, checkpoint: Path, tmp_path: Path, precision: str) -> None:
    options = CompileOptions("libero_nonorm", "uni_posttrain", refinement_rounds=0, precision=precision)
    compile_checkpoint(checkpoint, tmp_path / precision, options)
    seen, written = observation(policy, 0, "pick up the bowl"), []
    for reasoner in (policy.reasoner(), Policy.load(tmp_path / precision).reasoner()):
        assert reasoner is not None
        reasoner.begin(seen)
        reasoner.step()
        written.append(np.asarray(reasoner._written["written_values_0"].numpy())[:, 0])
    np.testing.assert_allclose(written[1], written[0], atol=0.05 * np.abs(written[0]).max())
    assert not np.array_equal(*written)
