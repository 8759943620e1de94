"""How far a bundle's actions are from those of the same checkpoint in float32, on what a robot really saw."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from unichunk.runtime.errors import CheckpointError, ObservationError
from unichunk.runtime.policy.graph_choice import prefix_graph
from unichunk.runtime.policy.loaded_graphs import LoadedGraphs, Variant
from unichunk.runtime.policy.manifest import Deviation
from unichunk.runtime.policy.policy import Policy
from unichunk.runtime.policy.tokens import InstructionTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Manifest
    from unichunk.runtime.policy.result import PolicyResult
    from unichunk.runtime.recorded_observations import RecordedObservation, RecordedObservations

SEED: Final = 0
"""Of the noise that both start from."""


class BundleFiles(NamedTuple):
    """A bundle that need not be in place yet.

    Attributes:
        folder: Where its files are.
        manifest: What it says.
    """

    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class _Asked:
    """One inference: which robot, with which graphs, and the arguments of `Policy.infer`."""

    robot: str
    variant: Variant
    question: RecordedObservation
    noise: NDArray[np.float32] | None


def measured_deviation(
    reference: BundleFiles,
    bundle: BundleFiles,
    recordings: Mapping[str, RecordedObservations],
    method: Literal["computed", "emulated"],
) -> Deviation:
    """Compare two bundles of one checkpoint on recorded observations, with the same noise.

    Every observation is asked without a prefix and, where the robot had a plan then, with one, of every chunk graph
    that its robot has; locked rows, which are equal, are left out. One bundle is in memory at a time.

    Args:
        reference: In float32.
        bundle: Its files run on this machine.
        recordings: Where they are from -> what was asked, of robots of this bundle.
        method: Whether the files of the bundle are its own or emulate it.

    Raises:
        CheckpointError: A recording does not fit the bundle, or an answer is not finite.
    """
    asked = [one for recording in recordings.values() for one in _asked(reference, recording)]
    expected = _answers(reference, asked)
    found = _answers(bundle, asked)
    keys: dict[str, float] = {}
    largest = 0.0
    for one, right, other in zip(asked, expected, found, strict=True):
        free = slice(one.question.delay, None)
        robot = reference.manifest.robots[one.robot]
        own = [slot for key in robot.action.values() for slot in range(*key.slots)]
        largest = max(largest, _largest(right.unified[free, own], other.unified[free, own], one.robot))
        for name, values in right.actions.items():
            apart = _largest(values[free], other.actions[name][free], one.robot)
            keys[f"{one.robot}.{name}"] = max(keys.get(f"{one.robot}.{name}", 0.0), apart)
    return Deviation(
        observations=sum(len(recording.questions) for recording in recordings.values()),
        source=", ".join(recordings),
        method=method,
        largest=largest,
        keys=keys,
    )


def _largest(expected: NDArray[np.float32], found: NDArray[np.float32], robot: str) -> float:
    if not np.isfinite(found).all():
        raise CheckpointError(f"deviation from fp32: actions of {robot} are not finite; choose another --precision")
    return float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))


def _asked(bundle: BundleFiles, recording: RecordedObservations) -> Iterator[_Asked]:
    """What both bundles are asked of one recording."""
    manifest = bundle.manifest
    views, random = len(manifest.robots[recording.embodiment].cameras), np.random.default_rng(SEED)
    own = None if prefix_graph(manifest, views) is manifest.graphs.prefix else views
    for graph in (graph for graph in manifest.graphs.chunks if graph.views == own):
        variant = Variant(graph.refinement_rounds, graph.denoising_steps, graph.guided)
        shape = (1 + graph.refinement_rounds, manifest.chunk_length, manifest.unified_width)
        for question in recording.questions:
            noise = random.standard_normal(shape, np.float32) if manifest.denoises else None
            for each in _with_and_without_prefix(question, manifest.chunk_length):
                yield _Asked(recording.embodiment, variant, each, noise)


def _with_and_without_prefix(question: RecordedObservation, chunk_length: int) -> Iterator[RecordedObservation]:
    yield replace(question, previous_chunk=None, delay=0)
    if question.previous_chunk is not None:
        previous = question.previous_chunk[:chunk_length]
        yield replace(question, previous_chunk=previous, delay=min(max(question.delay, 1), len(previous)))


def _answers(bundle: BundleFiles, asked: Sequence[_Asked]) -> list[PolicyResult]:
    """What a bundle answers; its graphs are loaded in turn."""
    folder, manifest = bundle
    language = manifest.language
    tokenizer = None if language is None else InstructionTokenizer(folder / language.tokenizer, language)
    answers = []
    for (robot, variant), group in itertools.groupby(asked, lambda one: (one.robot, one.variant)):
        unready = Policy(LoadedGraphs(folder, manifest, variant=variant), tokenizer, embodiment=robot)
        policy = unready.for_embodiment(robot)
        for one in group:
            question = one.question
            try:
                answers.append(policy.infer(question.observation, question.previous_chunk, question.delay, one.noise))
            except ObservationError as error:
                raise CheckpointError(
                    f"observations of {robot}: {error}; record them with a policy like this"
                ) from None
    return answers
