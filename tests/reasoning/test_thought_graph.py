"""The token graph writes what a plain loop in PyTorch writes, one token after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference needs PyTorch: pip install 'unichunk[train]'")

from tests.reasoning.thinking_checkpoint import LONGEST, PlainThinker, thinking_checkpoint  # noqa: E402
from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: E402
from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: E402
from unichunk.runtime.policy import Policy  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


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
        # Chunks from other observations in between change nothing.
        policy.infer(observation(policy, seed + 10, "something else"))
    given = [*reasoner._ids, *reasoning.ends]
    assert given[: len(expected)] == expected
    for layer, (keys, values) in enumerate(plain.caches(images, text, state, expected[:-1])):
        count = len(expected)
        for name, reference in (("keys", keys.mT), ("values", values)):
            cache = np.asarray(reasoner._written[f"written_{name}_{layer}"].numpy())
            found = cache[..., :count] if name == "keys" else cache[:, :count]
            np.testing.assert_allclose(found, reference.numpy(), atol=2e-5 * np.abs(reference.numpy()).max())
    assert len(set(expected)) > 2, "a thought of one token over and over shows little"
