"""What the engines are asked: random observations, every other one with locked rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.loaded_graphs import LoadedGraphs, Variant
from unichunk.runtime.policy.tokens import InstructionTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Value

INSTRUCTION: Final = "follow the red block"
SEED: Final = 0
LOCKED: Final = 4
"""One row in so many of a chunk is locked."""


@dataclass(frozen=True)
class Request:
    """One inference's inputs.

    Attributes:
        inputs: Of both graphs.
        locked: Rows that must come back bit by bit, shape (d, 200).
    """

    inputs: Mapping[str, NDArray[Any]]
    locked: NDArray[np.float32]


class Asked:
    """A bundle without engines: it makes inputs, and chunks of what an engine gives.

    Args:
        bundle: Its folder.
        steps: K.
        rounds: N.
    """

    def __init__(self, bundle: Path, steps: int, rounds: int) -> None:
        manifest = read_manifest(bundle)
        assert manifest.language is not None
        tokenizer = InstructionTokenizer(bundle / manifest.language.tokenizer, manifest.language)
        graphs = LoadedGraphs(bundle, manifest, variant=Variant(rounds, steps))
        self._policy = Policy(graphs, tokenizer, seed=SEED)

    def requests(self, count: int) -> list[Request]:
        """Some requests, always the same ones."""
        random = np.random.default_rng(SEED)
        policy, made = self._policy, []
        for number in range(count):
            observation = policy.example_observation()
            for name, value in observation.items():
                if name.startswith("video."):
                    observation[name] = random.integers(0, 256, value.shape, np.uint8)
                elif name.startswith("state."):
                    observation[name] = (value + random.uniform(-0.2, 0.2, value.shape)).astype(np.float32)
            observation["language.instruction"] = INSTRUCTION
            before = random.uniform(-1, 1, (policy.chunk_length, policy.manifest.unified_width)).astype(np.float32)
            delay = policy.chunk_length // LOCKED if number % 2 else 0
            made.append(Request(policy.preprocess(observation, before, delay), before[:delay]))
        return made

    def chunk(self, request: Request, outputs: Mapping[str, Value]) -> NDArray[np.float32]:
        """What an engine gave, shape (T, 200), as robots get it."""
        return self._policy.decode(request.inputs, outputs).unified


def largest_difference(one: Sequence[NDArray[np.float32]], other: Sequence[NDArray[np.float32]]) -> float:
    """Of all rows and slots, in normalized units."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))
