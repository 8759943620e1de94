"""A policy: a bundle, loaded and checked, that turns observations into chunks."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.policy.arrays import in_words, numbers, require_finite, without_batch
from unichunk.runtime.policy.batch_choice import worthwhile
from unichunk.runtime.policy.batching import BatchEngines, runs
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.bundle_robot import BundleRobot
from unichunk.runtime.policy.engines.onnx_runtime import OnnxRuntimeEngine
from unichunk.runtime.policy.noise import NoiseSource, generator, silent_slots
from unichunk.runtime.policy.preprocessing import Preprocessor
from unichunk.runtime.policy.result import PolicyResult
from unichunk.runtime.policy.rotation import no_rotation
from unichunk.runtime.policy.tokens import InstructionTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import SupportsIndex

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Engine, Value
    from unichunk.runtime.policy.manifest import ChunkGraph, Graph, Manifest


class Policy(BundleRobot):
    """A loaded policy bundle that drives one robot. Use `Policy.load`.

    Not for two threads at once: its noise generator is its own, and its engines may be shared with the policies of
    other robots, see `for_embodiment`.

    Args:
        manifest: The bundle's description.
        prefix: Engine of the prefix graph.
        chunk: Engine of the chunk graph with `refinement_rounds`.
        tokenizer: Instruction -> token ids; None for a policy without language.
        embodiment: Which of the manifest's robots; may be left out where there is one.
        refinement_rounds: N, how many times the chunk is refined by MPG.
        seed: Seed of the noise that `infer` draws where none is given.
        batches: Engines for several requests at once, each of another size, and how long they take, as a multiple of
            one request.

    Attributes:
        manifest: The bundle's description.
        embodiment: Name of the robot.
        robot: The robot's entry in the manifest: cameras, keys, rate, longest delay.
        refinement_rounds: N.

    Raises:
        BundleError: The bundle does not drive this robot, or drives several and none is named.
    """

    refinement_rounds: int

    def __init__(
        self,
        manifest: Manifest,
        prefix: Engine,
        chunk: Engine,
        tokenizer: Callable[[Any], NDArray[np.int64]] | None,
        *,
        embodiment: str | None = None,
        refinement_rounds: int = 0,
        seed: int = 0,
        batches: Mapping[BatchEngines, float] | None = None,
    ) -> None:
        super().__init__(manifest, _embodiment(manifest, embodiment))
        self.refinement_rounds = refinement_rounds
        self._prefix = prefix
        self._chunk = chunk
        self._batches = dict(batches or {})
        self._tokenizer = tokenizer
        self._preprocess = Preprocessor(manifest, self.robot, tokenizer)
        self._noise = NoiseSource(manifest, self.robot, refinement_rounds, seed)
        self._silent = silent_slots(manifest, self.robot)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        embodiment: str | None = None,
        refinement_rounds: int = 0,
        seed: int = 0,
        threads: int = 1,
        max_batch: int = 1,
    ) -> Policy:
        """Load and check a bundle, and build its engines.

        Args:
            path: The bundle's folder.
            embodiment: The robot to drive; may be left out where the bundle drives one.
            refinement_rounds: N, how many times each chunk is refined by MPG; the bundle has a graph for some of them,
                and no other graph is loaded.
            seed: Seed of the noise, 0 or more.
            threads: Threads inside one operator.
            max_batch: Most requests that `infer_batch` shall compute at once. Of the bundle's graphs for several
                requests those up to this size are loaded and timed, which takes a few inferences of each, and kept
                where they are faster than requests one after the other, each with weights of its own in memory. 1
                loads none.

        Raises:
            BundleError: One line: a missing file, a wrong hash, an unknown format version, graphs that do not fit, a
                robot that the bundle does not drive, several robots and none named, no graph with that many rounds, a
                seed that is none.
        """
        # Refused before gigabytes are read.
        generator(seed)
        directory = Path(path)
        manifest = read_manifest(directory)
        name = _embodiment(manifest, embodiment, f"{directory}: ")
        graph = _chunk_graph(directory, manifest, refinement_rounds)
        tokenizer = None
        if manifest.language is not None:
            tokenizer = InstructionTokenizer(directory / manifest.language.tokenizer, manifest.language)

        def engine(part: Graph) -> Engine:
            return OnnxRuntimeEngine(directory / part.file, part, precision=manifest.precision, threads=threads)

        single, place = manifest.graphs.prefix, manifest.graphs.chunks.index(graph)
        rounds = graph.refinement_rounds
        policy = cls(
            manifest, engine(single), engine(graph), tokenizer, embodiment=name, refinement_rounds=rounds, seed=seed
        )
        batches = [batch for batch in manifest.graphs.batched if batch.size <= max_batch]
        if batches:
            policy._keep_worthwhile(
                BatchEngines(
                    batch.size, engine(batch.of(single, batch.prefix)), engine(batch.of(graph, batch.chunks[place]))
                )
                for batch in batches
            )
        return policy

    def for_embodiment(self, name: str, *, seed: int = 0) -> Policy:
        """The policy of another robot that this bundle drives, on the same engines: nothing is loaded twice.

        The two are not for two threads at once: who infers for several robots with one loaded bundle takes turns, for
        example under one lock. Keys, cameras, noise and what is sent to the graphs are each policy's own.

        Args:
            name: The robot, one of `manifest.embodiments`; the same one again gives an independent policy of it.
            seed: Seed of its noise, 0 or more.

        Raises:
            BundleError: The bundle does not drive this robot, or the seed is none.
        """
        return Policy(
            self.manifest,
            self._prefix,
            self._chunk,
            self._tokenizer,
            embodiment=name,
            refinement_rounds=self.refinement_rounds,
            seed=seed,
            batches=self._batches,
        )

    def infer(
        self,
        observation: Mapping[str, Any],
        previous_chunk: NDArray[np.float32] | None = None,
        delay: SupportsIndex = 0,
        noise: NDArray[np.float32] | None = None,
    ) -> PolicyResult:
        """Predict one chunk.

        Arrays may have a further leading axis of one, the batch of published clients; an instruction may be a list
        of one text. What the graphs compute from must be finite as float32.

        Args:
            observation: `video.<camera>` (H, W, 3) uint8, `state.<key>` (width,), `language.instruction` text.
            previous_chunk: Unified, normalized rows from the observation's tick on, shape (m, 200), m >= 1; fewer than
                T rows are continued with the last one. Rows that are not locked may hold anything.
            delay: d, how many of them are locked, a whole number of any type; 0 locks nothing.
            noise: Gaussian noise, shape (1 + N, T, 200) for N refinement rounds (or (T, 200) without any); drawn from
                the policy's own seed where not given. Where the manifest's noise is `own`, what it holds outside the
                slots of the robot's actions counts as zero.

        Returns:
            The chunk; its rows before `delay` equal `previous_chunk`'s, bit by bit. The others are zero outside the
            slots of the robot's actions where the manifest's noise is `own`.

        Raises:
            ObservationError: Where an argument does not fit the bundle.
        """
        inputs = self.preprocess(observation, previous_chunk, delay, noise)
        return self.decode(inputs, self.denoise(inputs, self.prefix(inputs)))

    def preprocess(
        self,
        observation: Mapping[str, Any],
        previous_chunk: NDArray[np.float32] | None = None,
        delay: SupportsIndex = 0,
        noise: NDArray[np.float32] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Inputs of both graphs by name; the first of the four steps of `infer`, whose arguments these are."""
        inputs: dict[str, NDArray[Any]] = dict(self._preprocess(observation))
        rows = self._delay(delay)
        inputs["previous_chunk"] = self._previous(previous_chunk, rows)
        inputs["delay"] = np.asarray(rows, np.int64)
        inputs["noise"] = self._noise.draw() if noise is None else self._noise.check(noise)
        return inputs

    def prefix(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, Value]:
        """What the prefix graph makes of an observation: large, so it stays in the engine's hands."""
        return self._prefix.run(inputs)

    def denoise(self, inputs: Mapping[str, NDArray[Any]], prefix: Mapping[str, Value]) -> Mapping[str, Value]:
        """What the chunk graph makes of that: all rounds of all Euler steps."""
        return self._chunk.run({**inputs, **prefix})

    def infer_batch(self, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> list[Mapping[str, Value]]:
        """Both graphs for several requests, as many at once as graphs are loaded for, and in turn where they are more.

        The requests may be of different robots of this bundle, each preprocessed and decoded by its own robot's
        policy (`for_embodiment`); any of these policies may compute. Each has its own delay, previous chunk and noise.

        Args:
            inputs: What `preprocess` gave for each, any number.

        Returns:
            What the chunk graph gives for each, for `decode`, in the same order. Locked rows are equal bit by bit to
            those of a request computed alone, other numbers up to the rounding of float32.
        """
        outputs: list[Mapping[str, Value]] = []
        several = {engines.size: engines for engines in self._batches}
        for size in runs(len(inputs), {1: 1.0} | {engines.size: cost for engines, cost in self._batches.items()}):
            part = inputs[len(outputs) : len(outputs) + size]
            if size in several:
                outputs += several[size].run(part)
            else:
                outputs.append(self.denoise(part[0], self.prefix(part[0])))
        return outputs

    @property
    def max_batch(self) -> int:
        """Most requests that are computed at once; 1 where no graphs for more are there, asked for, or worthwhile."""
        return max((engines.size for engines in self._batches), default=1)

    def decode(self, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, Value]) -> PolicyResult:
        """The chunk in physical units, from what the chunk graph gave for these inputs."""
        rows = int(inputs["delay"])
        unified = _own(outputs["actions"])
        # What the graphs leave in slots that are not the robot's must not come back in the next chunk's locked rows.
        unified[rows:, self._silent] = 0
        # ONNX Runtime's `Where` turns -0.0 into 0.0. Rows that differ in value are left to be seen.
        previous, locked = inputs["previous_chunk"][:rows], unified[:rows]
        np.copyto(locked, previous, where=locked == previous)
        return PolicyResult(
            unified=unified,
            actions=self._action.decode(unified),
            gates=_own(outputs["gates"]) if self.refinement_rounds else None,
            discrepancies=_own(outputs["discrepancies"]) if self.refinement_rounds else None,
        )

    def example_observation(self) -> dict[str, Any]:
        """An observation of the right keys, shapes and types; its values mean nothing."""
        size = self.manifest.image.size
        example: dict[str, Any] = {f"video.{name}": np.zeros((size, size, 3), np.uint8) for name in self.robot.cameras}
        for name, key in self.robot.state.items():
            at_rest = np.zeros(key.width) if key.rotation == "axis_angle" else no_rotation(key.rotation)
            example[f"state.{name}"] = at_rest.astype(np.float32)
        example["language.instruction"] = ""
        return example

    def _keep_worthwhile(self, batches: Iterable[BatchEngines]) -> None:
        nothing = np.zeros((1 + self.refinement_rounds, self.chunk_length, self.manifest.unified_width), np.float32)
        example = self.preprocess(self.example_observation(), noise=nothing)
        self._batches = worthwhile(lambda: self.denoise(example, self.prefix(example)), batches, example)

    def _delay(self, given: SupportsIndex) -> int:
        rows = self.chunk_length
        try:
            # A truth value would pass for a number of rows.
            delay = -1 if isinstance(given, (bool, np.bool_)) else operator.index(given)
        except TypeError:
            delay = -1
        if not 0 <= delay <= rows:
            raise ObservationError(f"delay: expected 0 to {rows} rows, a whole number, got {in_words(given)}")
        return delay

    def _previous(self, previous: NDArray[np.float32] | None, delay: int) -> NDArray[np.float32]:
        rows, width = self.chunk_length, self.manifest.unified_width
        if previous is None:
            if delay:
                raise ObservationError(f"previous_chunk: missing, but delay = {delay} rows of it shall be locked")
            return np.zeros((rows, width), np.float32)
        previous = without_batch(numbers("previous_chunk", previous, np.float32), 2)
        if previous.ndim != 2 or previous.shape[1] != width or not 1 <= len(previous) <= rows:
            raise ObservationError(f"previous_chunk: expected shape (1 to {rows}, {width}), got {previous.shape}")
        if len(previous) < rows:
            previous = np.concatenate([previous, np.repeat(previous[-1:], rows - len(previous), axis=0)])
        require_finite(f"previous_chunk, rows to lock (delay = {delay})", previous[:delay])
        return np.ascontiguousarray(previous)


def _embodiment(manifest: Manifest, asked: str | None, origin: str = "") -> str:
    """The robot that was asked for, or the only one."""
    names = manifest.embodiments
    if asked is None and len(names) == 1:
        return names[0]
    drives = f"{origin}policy {manifest.name!r} drives {', '.join(names)}"
    if asked is None:
        raise BundleError(f"{drives}, and none of them is named; name one as the embodiment")
    if asked not in names:
        raise BundleError(f"{drives}, not {asked}; choose another bundle or another embodiment")
    return asked


def _chunk_graph(directory: Path, manifest: Manifest, rounds: int) -> ChunkGraph:
    for graph in manifest.graphs.chunks:
        if graph.refinement_rounds == rounds:
            return graph
    known = ", ".join(str(graph.refinement_rounds) for graph in manifest.graphs.chunks)
    raise BundleError(
        f"{directory}: no graph with {rounds!r} refinement rounds, this bundle has graphs with {known}; choose one of "
        "these, or compile the checkpoint with other --refinement-rounds"
    )


def _own(value: Value) -> NDArray[np.float32]:
    """An array that outlives what the engine keeps."""
    return np.array(value.numpy(), np.float32)
