"""A policy: a bundle, loaded and checked, that turns observations into chunks."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.policy.arrays import in_words, numbers, require_finite, without_batch
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.bundle_reasoner import BundleReasoner
from unichunk.runtime.policy.bundle_robot import BundleRobot
from unichunk.runtime.policy.engines.options import CPU, EngineOptions
from unichunk.runtime.policy.loaded_graphs import LoadedGraphs, Variant
from unichunk.runtime.policy.noise import NoiseSource, generator, silent_slots
from unichunk.runtime.policy.optional_inputs import OVERLAP, declared_inputs
from unichunk.runtime.policy.preprocessing import Preprocessor
from unichunk.runtime.policy.result import PolicyResult
from unichunk.runtime.policy.rotation import no_rotation
from unichunk.runtime.policy.tokens import InstructionTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import SupportsIndex

    from numpy.typing import NDArray

    from unichunk.runtime.policy.engines.contract import Value
    from unichunk.runtime.policy.loaded_graphs import GraphPair
    from unichunk.runtime.policy.manifest import Manifest


class Policy(BundleRobot):
    """A loaded policy bundle that drives one robot. Use `Policy.load`.

    Not for two threads at once: its noise generator is its own, and its engines may be shared with the policies of
    other robots, see `for_embodiment`.

    Args:
        graphs: The bundle's engines.
        tokenizer: Instruction -> token ids; None for a policy without language.
        embodiment: Which of the bundle's robots; may be left out where there is one.
        seed: Seed of the noise that `infer` draws where none is given.

    Attributes:
        manifest: The bundle's description.
        embodiment: Name of the robot.
        robot: The robot's entry in the manifest: cameras, keys, rate, longest delay.
        refinement_rounds: N, how many times the chunk is refined by MPG.
        steps: K, steps of the sampler.
        guided: Whether rows are steered towards the running plan, of which `infer` then takes all rows that are there.

    Raises:
        BundleError: The bundle does not drive this robot, or drives several and none is named.
    """

    refinement_rounds: int
    steps: int
    guided: bool

    def __init__(
        self,
        graphs: LoadedGraphs,
        tokenizer: InstructionTokenizer | None,
        *,
        embodiment: str | None = None,
        seed: int = 0,
    ) -> None:
        manifest = graphs.manifest
        super().__init__(manifest, _embodiment(manifest, embodiment))
        self.refinement_rounds = graphs.variant.refinement_rounds
        self.steps = manifest.denoising_steps if graphs.variant.steps is None else graphs.variant.steps
        self.guided = graphs.variant.guided
        self._graphs = graphs
        self._tokenizer = tokenizer
        self._preprocess = Preprocessor(manifest, self.robot, tokenizer)
        self._noise = NoiseSource(manifest, self.robot, self.refinement_rounds, seed) if manifest.denoises else None
        self._takes_overlap = OVERLAP in declared_inputs(manifest.graphs)
        self._silent = silent_slots(manifest, self.robot)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        embodiment: str | None = None,
        refinement_rounds: int = 0,
        steps: int | None = None,
        guided: bool = False,
        seed: int = 0,
        engine: EngineOptions = CPU,
        max_batch: int = 1,
    ) -> Policy:
        """Load and check a bundle, build its engines, and warm them up. Never while a robot moves.

        Args:
            path: The bundle's folder.
            embodiment: The robot to drive; may be left out where the bundle drives one.
            refinement_rounds: N, how many times each chunk is refined by MPG; the bundle has a graph for some of them,
                and no other graph is loaded.
            steps: K, steps of the sampler, of which the bundle may have several; None for its own.
            guided: Steer rows towards the running plan (inference-time real-time chunking), for policies that were not
                trained with locked prefixes; the bundle needs a graph for it.
            seed: Seed of the noise, 0 or more.
            engine: Which engine runs the graphs, and how.
            max_batch: Most requests that `infer_batch` shall compute at once. Of the bundle's graphs for several
                requests those up to this size are loaded and timed, which takes a few inferences of each, and kept
                where they are faster than requests one after the other, each with weights of its own in memory. 1
                loads none.

        Raises:
            BundleError: One line: a missing file, a wrong hash, an unknown format version, graphs that do not fit, a
                robot that the bundle does not drive, several robots and none named, no graph with that many rounds or
                steps, a seed that is none.
            EngineError: One line: an engine that is not installed, has no device here, or too little memory.
        """
        # Refused before gigabytes are read.
        generator(seed)
        directory = Path(path)
        manifest = read_manifest(directory)
        name = _embodiment(manifest, embodiment, f"{directory}: ")
        graphs = LoadedGraphs(directory, manifest, engine, Variant(refinement_rounds, steps, guided), max_batch)
        graphs.chunk_graph(len(manifest.robots[name].cameras))
        tokenizer = None
        if manifest.language is not None:
            tokenizer = InstructionTokenizer(directory / manifest.language.tokenizer, manifest.language)
        return _ready(cls(graphs, tokenizer, embodiment=name, seed=seed), graphs)

    def for_embodiment(self, name: str, *, seed: int = 0) -> Policy:
        """The policy of another robot that this bundle drives, on the same engines: nothing is loaded twice.

        A robot with another number of cameras has graphs of its own: the first time, their engines are built. Never
        while a robot moves.

        The two are not for two threads at once: who infers for several robots with one loaded bundle takes turns, for
        example under one lock. Keys, cameras, noise and what is sent to the graphs are each policy's own.

        Args:
            name: The robot, one of `manifest.embodiments`; the same one again gives an independent policy of it.
            seed: Seed of its noise, 0 or more.

        Raises:
            BundleError: The bundle does not drive this robot or has no such graph for it, or the seed is none.
            EngineError: See `load`.
        """
        return _ready(Policy(self._graphs, self._tokenizer, embodiment=name, seed=seed), self._graphs)

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
                T rows are continued with the last one. Rows that are not locked may hold anything; a guided policy is
                steered towards all that are given.
            delay: d, how many of them are locked, a whole number of any type; 0 locks nothing.
            noise: Gaussian noise, shape (1 + N, T, 200) for N refinement rounds (or (T, 200) without any); drawn from
                the policy's own seed where not given. Where the manifest's noise is `own`, what it holds outside the
                slots of the robot's actions counts as zero. None for a regression, which starts from none.

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
        inputs["previous_chunk"], there = self._previous(previous_chunk, rows)
        inputs["delay"] = np.asarray(rows, np.int64)
        if self._takes_overlap:
            inputs[OVERLAP] = np.asarray(there, np.int64)
        if self._noise is not None:
            inputs["noise"] = self._noise.draw() if noise is None else self._noise.check(noise)
        elif noise is not None:
            raise ObservationError(f"noise: expected none, since this policy denoises nothing, got {in_words(noise)}")
        return inputs

    def prefix(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, Value]:
        """What the prefix graph makes of an observation: large, so it stays in the engine's hands."""
        return self._engines.prefix.run(inputs)

    def denoise(self, inputs: Mapping[str, NDArray[Any]], prefix: Mapping[str, Value]) -> Mapping[str, Value]:
        """What the chunk graph makes of that: all rounds of all Euler steps."""
        return self._engines.chunk.run({**inputs, **prefix})

    def reasoner(self) -> BundleReasoner | None:
        """Writes this robot's thoughts, on the engines that `infer` uses, so for the same thread.

        Returns:
            None for a policy that does not think, or not for a robot with so many cameras.
        """
        manifest, token = self.manifest, self._engines.token
        if token is None or self._tokenizer is None:
            return None
        assert manifest.graphs.token is not None
        assert manifest.reasoning is not None
        assert manifest.language is not None
        return BundleReasoner(
            manifest.graphs.token,
            manifest.reasoning,
            manifest.language,
            prefix=self._engines.prefix,
            token=token,
            preprocess=self._preprocess,
            tokenizer=self._tokenizer,
        )

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
        views = [len(request["images"]) for request in inputs]
        outputs: dict[int, Mapping[str, Value]] = {}
        for number in dict.fromkeys(views):
            places = [place for place, own in enumerate(views) if own == number]
            engines = self._graphs.pairs[number]
            outputs |= zip(places, engines.run_batch([inputs[place] for place in places]), strict=True)
        return [outputs[place] for place in range(len(inputs))]

    @property
    def max_batch(self) -> int:
        """Most requests that are computed at once; 1 where no graphs for more are there, asked for, or worthwhile."""
        return max((batch.size for engines in self._graphs.pairs.values() for batch in engines.batches), default=1)

    @property
    def _engines(self) -> GraphPair:
        return self._graphs.pairs[len(self.robot.cameras)]

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

    def _previous(self, previous: NDArray[np.float32] | None, delay: int) -> tuple[NDArray[np.float32], int]:
        """The previous chunk as the graphs take it, (T, 200), and how many of its rows were given."""
        rows, width = self.chunk_length, self.manifest.unified_width
        if previous is None:
            if delay:
                raise ObservationError(f"previous_chunk: missing, but delay = {delay} rows of it shall be locked")
            return np.zeros((rows, width), np.float32), 0
        previous = without_batch(numbers("previous_chunk", previous, np.float32), 2)
        if previous.ndim != 2 or previous.shape[1] != width or not 1 <= len(previous) <= rows:
            raise ObservationError(f"previous_chunk: expected shape (1 to {rows}, {width}), got {previous.shape}")
        given = len(previous)
        if given < rows:
            previous = np.concatenate([previous, np.repeat(previous[-1:], rows - given, axis=0)])
        require_finite(f"previous_chunk, rows to lock (delay = {delay})", previous[:delay])
        if self.guided:
            require_finite(f"previous_chunk, {given} rows to be guided by", previous)
        return np.ascontiguousarray(previous), given


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


def _ready(policy: Policy, graphs: LoadedGraphs) -> Policy:
    """A policy whose robot has engines for as many views as its cameras."""
    views = len(policy.robot.cameras)
    if views not in graphs.pairs:
        nothing = None
        if policy.manifest.denoises:
            # The policy's own noise is for its chunks.
            shape = (1 + policy.refinement_rounds, policy.chunk_length, policy.manifest.unified_width)
            nothing = np.zeros(shape, np.float32)
        graphs.build(views, policy.preprocess(policy.example_observation(), noise=nothing))
    return policy


def _own(value: Value) -> NDArray[np.float32]:
    """An array that outlives what the engine keeps."""
    return np.array(value.numpy(), np.float32)
