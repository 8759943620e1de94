"""Several requests at once: how they are cut into runs, which graphs are worth having, and what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.compile.test_several_robots import DATASET, generalist_metadata
from tests.one_line import refused
from tests.policy.damage import put_file
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.robots import RobotSource
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy import Policy, loaded_graphs
from unichunk.runtime.policy.batch_choice import LEAST_RUNS, MOST_RUNS, worthwhile
from unichunk.runtime.policy.batching import BatchEngines, Held, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

ROBOTS = ("so101", "d1", "fr3_inspire")
SIZES = (2, 4)

costs_strategy = st.dictionaries(st.integers(2, 9), st.floats(0.5, 9.0), max_size=4).map(lambda known: {1: 1.0} | known)


# Runs


@given(st.integers(0, 60), costs_strategy)
def test_runs_hold_all_requests_and_none_is_empty(count: int, costs: dict[int, float]) -> None:
    chosen = runs(count, costs)
    assert sum(chosen) >= count
    assert sum(chosen[:-1]) < count or not chosen
    assert list(chosen) == sorted(chosen, reverse=True)
    assert set(chosen) <= set(costs)


@given(st.integers(0, 12), costs_strategy, st.data())
def test_no_other_runs_take_less_time(count: int, costs: dict[int, float], data: st.DataObject) -> None:
    if count >= 3 * max(costs):
        return
    others: list[int] = []
    while sum(others) < count:
        others.append(data.draw(st.sampled_from(sorted(costs))))
    assert sum(costs[size] for size in runs(count, costs)) <= sum(costs[size] for size in others) + 1e-9


def test_a_batch_is_padded_where_that_is_faster_than_a_further_run() -> None:
    assert runs(3, {1: 1.0, 4: 2.5}) == (4,)
    assert runs(2, {1: 1.0, 4: 2.5}) == (1, 1)
    assert runs(3, {1: 1.0, 4: 3.2}) == (1, 1, 1)
    assert runs(3, {1: 1.0, 2: 1.4, 4: 2.5}) == (2, 1)
    assert runs(1000, {1: 1.0, 4: 2.5}) == (4,) * 250
    assert runs(5, {1: 1.0}) == (1,) * 5


# Engines of no bundle


class Doubling:
    """Gives `number` twice over, and remembers what it was asked."""

    def __init__(self, output: str = "doubled") -> None:
        self.output = output
        self.asked: list[Mapping[str, Any]] = []

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Held]:
        self.asked.append(inputs)
        return {self.output: Held(2 * inputs["number"])}


def test_left_places_are_filled_with_the_last_request() -> None:
    prefix, chunk = Doubling("seen"), Doubling()
    outputs = BatchEngines(4, prefix, chunk).run([{"number": np.array(i)} for i in (3, 5)])
    assert [int(one["doubled"].numpy()) for one in outputs] == [6, 10]
    assert prefix.asked[0]["number"].tolist() == [3, 5, 5, 5]
    assert chunk.asked[0]["seen"].numpy().tolist() == [6, 10, 10, 10]


class Clock:
    """Time that passes in engines alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def taking(self, *seconds: float) -> Callable[[], None]:
        """A call that takes this long, the last value again and again."""
        left = list(seconds)

        def call() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


class Slow(Doubling):
    def __init__(self, wait: Callable[[], None]) -> None:
        super().__init__()
        self._wait = wait

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Held]:
        self._wait()
        return super().run(inputs)


def timed(alone_s: float, **batches: Sequence[float]) -> tuple[list[int], list[float], list[int]]:
    """Sizes and costs that are kept, and how often each engine ran."""
    clock = Clock()
    engines = [
        BatchEngines(int(name.removeprefix("of_")), Slow(clock.taking(*times)), Doubling())
        for name, times in batches.items()
    ]
    kept = worthwhile(clock.taking(alone_s), engines, {"number": np.array(1)}, clock)
    ran = [len(one.chunk.asked) for one in engines if isinstance(one.chunk, Doubling)]
    return [one.size for one in kept], [round(cost, 6) for cost in kept.values()], ran


def test_what_is_not_faster_is_not_kept() -> None:
    assert timed(0.01, of_2=[0.021], of_4=[0.025])[:2] == ([4], [2.5])
    assert timed(0.01, of_2=[0.0185])[0] == []
    assert timed(0.01, of_2=[0.0175])[0] == [2]


def test_a_size_that_smaller_ones_beat_is_not_kept() -> None:
    assert timed(0.01, of_2=[0.012], of_4=[0.025])[:2] == ([2], [1.2])
    assert timed(0.01, of_2=[0.012], of_4=[0.023])[:2] == ([2, 4], [1.2, 2.3])


def test_the_shortest_run_counts_and_slow_models_are_not_run_often() -> None:
    sizes, costs, ran = timed(0.01, of_2=[0.5, 0.015])
    assert (sizes, costs, ran) == ([2], [1.5], [LEAST_RUNS])
    assert timed(1e-6, of_2=[1e-6])[2] == [MOST_RUNS]


# A bundle with graphs for several requests


@pytest.fixture(scope="module")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batched")
    random_checkpoint(folder / "checkpoint", Sizes(), metadata={DATASET: generalist_metadata()})
    robots = tuple(RobotSource.parse(f"{name}=generalist_{name}:{DATASET}:{name}") for name in ROBOTS)
    options = CompileOptions(robots=robots, batch=SIZES, instruction_tokens=40)
    compile_checkpoint(folder / "checkpoint", folder / "bundle", options)
    return folder / "bundle"


@pytest.fixture(autouse=True)
def _all_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is faster is another matter, and differs from machine to machine."""

    def all_of(alone: Any, batches: Iterable[BatchEngines], example: Any) -> dict[BatchEngines, float]:
        assert alone().keys() == {"actions"} or alone().keys() == {"actions", "gates", "discrepancies"}
        engines = list(batches)
        assert all(len(one.run([example])) == 1 for one in engines)
        return {one: 0.6 * one.size for one in engines}

    monkeypatch.setattr(loaded_graphs, "worthwhile", all_of)


def asked(policy: Policy, seed: int) -> dict[str, Any]:
    """Inputs of a request that has nothing in common with those of other seeds."""
    random = np.random.default_rng(seed)
    observation = policy.example_observation()
    for name, value in observation.items():
        if name.startswith("video."):
            observation[name] = random.integers(0, 256, value.shape, np.uint8)
    observation["language.instruction"] = "follow the block"[: 5 * (seed % 4)]
    previous = random.standard_normal((policy.chunk_length, 200)).astype(np.float32)
    return policy.preprocess(observation, previous, seed % (policy.chunk_length + 1))


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
def test_requests_of_several_robots_get_what_they_get_alone(batched: Path, rounds: int, count: int) -> None:
    first = Policy.load(batched, embodiment=ROBOTS[0], refinement_rounds=rounds, max_batch=4)
    policies = [first.for_embodiment(ROBOTS[index % len(ROBOTS)], seed=index) for index in range(count)]
    inputs = [asked(policy, seed) for seed, policy in enumerate(policies)]
    outputs = first.infer_batch(inputs)
    assert len(outputs) == count
    for policy, one, output in zip(policies, inputs, outputs, strict=True):
        result = policy.decode(one, output)
        expected = policy.decode(one, policy.denoise(one, policy.prefix(one)))
        locked = int(one["delay"])
        assert result.unified[:locked].tobytes() == one["previous_chunk"][:locked].tobytes()
        np.testing.assert_allclose(result.unified, expected.unified, rtol=0, atol=1e-5)
        assert result.actions.keys() == expected.actions.keys()
        assert (result.gates is None) == (rounds == 0)
        if result.gates is not None and expected.gates is not None:
            np.testing.assert_allclose(result.gates, expected.gates, rtol=0, atol=1e-5)


def test_results_outlive_the_batch_they_came_from(batched: Path) -> None:
    policy = Policy.load(batched, embodiment="d1", max_batch=2)
    inputs = [asked(policy, seed) for seed in (1, 2)]
    results = [policy.decode(*pair) for pair in zip(inputs, policy.infer_batch(inputs), strict=True)]
    before = results[0].unified.tobytes()
    results[1].unified[:] = 7.0
    policy.infer_batch([asked(policy, seed) for seed in (3, 4)])
    assert results[0].unified.tobytes() == before
    assert results[0].unified.base is None


@pytest.mark.parametrize(("asked_for", "there"), [(1, 1), (2, 2), (3, 2), (4, 4), (64, 4)])
def test_no_more_at_once_than_was_asked_for(batched: Path, asked_for: int, there: int) -> None:
    policy = Policy.load(batched, embodiment="so101", max_batch=asked_for)
    assert policy.max_batch == policy.for_embodiment("d1").max_batch == there


def test_a_bundle_without_such_graphs_computes_one_after_the_other(folder: Path) -> None:
    policy = Policy.load(folder, max_batch=8)
    assert policy.max_batch == 1
    inputs = [policy.preprocess(policy.example_observation()) for _ in range(3)]
    outputs = [policy.decode(*pair).unified for pair in zip(inputs, policy.infer_batch(inputs), strict=True)]
    again = Policy.load(folder)
    assert [again.infer(again.example_observation()).unified.tobytes() for _ in range(3)] == [
        unified.tobytes() for unified in outputs
    ]


def test_loading_batches_draws_no_noise(batched: Path) -> None:
    plain, several = (Policy.load(batched, embodiment="d1", seed=5, max_batch=size) for size in (1, 4))
    observation = plain.example_observation()
    assert plain.infer(observation).unified.tobytes() == several.infer(observation).unified.tobytes()


def test_graphs_for_several_requests_are_loaded_where_they_are_asked_for(batched: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "damaged"
    bundle.mkdir()
    for file in batched.iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    put_file(bundle, "chunk_batch4.onnx", b"no graph at all")
    assert Policy.load(bundle, embodiment="d1", max_batch=3).max_batch == 2
    with refused(BundleError, "chunk_batch4.onnx", "not a graph"):
        Policy.load(bundle, embodiment="d1", max_batch=4)


def test_a_graph_for_another_number_of_requests_is_refused(batched: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "mixed"
    bundle.mkdir()
    for file in batched.iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    put_file(bundle, "prefix_batch4.onnx", (batched / "prefix_batch2.onnx").read_bytes())
    with refused(BundleError, "prefix_batch4.onnx", "`images`", "(2, 1, 3, 28, 28)", "(4, 1, 3, 28, 28)"):
        Policy.load(bundle, embodiment="d1", max_batch=4)
