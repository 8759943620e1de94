"""`Policy.infer`: what it answers, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.one_line import refused
from tests.policy.damage import put_file
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.engines.onnx_runtime import OnnxRuntimeEngine
from unichunk.runtime.policy.loaded_graphs import GraphPair, LoadedGraphs
from unichunk.runtime.policy.tokens import InstructionTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

T = 8


@pytest.fixture
def observation(policy: Policy) -> dict[str, Any]:
    return policy.example_observation()


def bits(values: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(values).tobytes()


def some_chunk(rows: int = T) -> NDArray[np.float32]:
    """Rows of no meaning, with values that arithmetic would not leave alone: tiny, huge, negative zero."""
    chunk = np.random.default_rng(1).standard_normal((rows, 200)).astype(np.float32)
    chunk[:, :4] = np.array([1e-42, 3e38, -0.0, 0.1], np.float32)
    return chunk


def some_noise() -> NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((1, T, 200), np.float32)


def test_shapes_types_and_keys(policy: Policy, observation: dict[str, Any]) -> None:
    result = policy.infer(observation)
    assert result.unified.shape == (T, 200)
    assert result.unified.dtype == np.float32
    assert {key: (value.shape, value.dtype.name) for key, value in result.actions.items()} == {
        "action.arm_joints": ((T, 5), "float32"),
        "action.gripper": ((T, 1), "float32"),
    }
    assert np.isfinite(result.unified).all()


def test_the_bundle_may_be_named_by_a_string(folder: Path) -> None:
    policy = Policy.load(str(folder))
    assert (policy.chunk_length, policy.max_delay) == (T, T - 2)


def test_unused_slots_are_zero(policy: Policy, observation: dict[str, Any]) -> None:
    unified = policy.infer(observation).unified
    used = [18, *range(50, 55)]
    assert not np.delete(unified, used, axis=1).any()
    assert unified[:, used].any()


def test_actions_are_the_denormalized_slots(policy: Policy, observation: dict[str, Any]) -> None:
    result = policy.infer(observation)
    normalization: Any = policy.robot.action["arm_joints"].normalization
    expected = result.unified[:, 50:55].astype(float) * normalization.std + normalization.mean
    np.testing.assert_allclose(result.actions["action.arm_joints"], expected, rtol=0, atol=1e-6)


def test_the_same_seed_gives_the_same_chunks(folder: Path, observation: dict[str, Any]) -> None:
    first, second = (Policy.load(folder, seed=7) for _ in range(2))
    chunks = [first.infer(observation).unified for _ in range(3)]
    assert [bits(second.infer(observation).unified) for _ in range(3)] == [bits(chunk) for chunk in chunks]
    assert len({bits(chunk) for chunk in chunks}) == 3
    assert bits(Policy.load(folder, seed=8).infer(observation).unified) != bits(chunks[0])


def test_the_same_noise_gives_the_same_chunk(folder: Path, observation: dict[str, Any]) -> None:
    chunks = {bits(Policy.load(folder, seed=i).infer(observation, noise=some_noise()).unified) for i in range(3)}
    assert len(chunks) == 1


def test_given_noise_leaves_the_policys_own_untouched(folder: Path, observation: dict[str, Any]) -> None:
    undisturbed, disturbed = Policy.load(folder), Policy.load(folder)
    disturbed.infer(observation, noise=some_noise())
    assert bits(disturbed.infer(observation).unified) == bits(undisturbed.infer(observation).unified)


def test_noise_of_one_round_needs_no_leading_axis(policy: Policy, observation: dict[str, Any]) -> None:
    noise = some_noise()
    with_axis, without = policy.infer(observation, noise=noise), policy.infer(observation, noise=noise[0])
    assert bits(with_axis.unified) == bits(without.unified)


@pytest.mark.parametrize("delay", range(T + 1))
def test_locked_rows_come_back_bit_by_bit(policy: Policy, observation: dict[str, Any], delay: int) -> None:
    previous = some_chunk()
    unified = policy.infer(observation, previous, delay).unified
    assert bits(unified[:delay]) == bits(previous[:delay])
    for row in range(delay, T):
        assert bits(unified[row]) != bits(previous[row])


class Kept:
    """An array that an engine keeps."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values

    def numpy(self) -> NDArray[Any]:
        return self._values


class UnlockedEngine:
    """A chunk graph that has forgotten its lock."""

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Kept]:
        return {"actions": Kept(np.full((T, 200), 0.25, np.float32))}


def test_a_graph_that_does_not_lock_is_not_covered_up(folder: Path, observation: dict[str, Any]) -> None:
    manifest = read_manifest(folder)
    assert manifest.language is not None
    prefix = OnnxRuntimeEngine(folder / "prefix.onnx", manifest.graphs.prefix)
    tokenizer = InstructionTokenizer(folder / "tokenizer.json", manifest.language)
    graphs = LoadedGraphs(folder, manifest)
    graphs.pairs[1] = GraphPair(prefix, UnlockedEngine())
    policy = Policy(graphs, tokenizer)
    assert (policy.infer(observation, some_chunk(), 4).unified == 0.25).all()


def test_what_the_prefix_graph_computes_stays_with_the_engine(folder: Path, observation: dict[str, Any]) -> None:
    given: dict[str, Any] = {}

    class Chunk:
        def run(self, inputs: Mapping[str, Any]) -> dict[str, Kept]:
            given.update(inputs)
            return {"actions": Kept(np.zeros((T, 200), np.float32))}

    class Prefix:
        def __init__(self) -> None:
            self.features = {"glance": Kept(np.zeros((1, 1))), "unified_state": Kept(np.zeros((1, 200)))}

        def run(self, inputs: Mapping[str, Any]) -> dict[str, Kept]:
            return self.features

    manifest, prefix = read_manifest(folder), Prefix()
    assert manifest.language is not None
    tokenizer = InstructionTokenizer(folder / "tokenizer.json", manifest.language)
    graphs = LoadedGraphs(folder, manifest)
    graphs.pairs[1] = GraphPair(prefix, Chunk())
    Policy(graphs, tokenizer).infer(observation)
    assert all(given[name] is value for name, value in prefix.features.items())


def test_results_outlive_what_the_engine_keeps(policy: Policy, observation: dict[str, Any]) -> None:
    kept = policy.infer(observation, noise=some_noise())
    before = bits(kept.unified)
    for _ in range(5):
        policy.infer(observation)
    assert bits(kept.unified) == before


def test_without_refinement_there_are_no_gates(policy: Policy, observation: dict[str, Any]) -> None:
    result = policy.infer(observation)
    assert policy.refinement_rounds == 0
    assert result.gates is None
    assert result.discrepancies is None


def test_refinement_has_its_own_graph_noise_and_gates(folder: Path, observation: dict[str, Any]) -> None:
    refined = Policy.load(folder, refinement_rounds=1)
    noise = np.random.default_rng(4).standard_normal((2, T, 200)).astype(np.float32)
    result = refined.infer(observation, some_chunk(), 3, noise)
    assert refined.refinement_rounds == 1
    assert bits(result.unified[:3]) == bits(some_chunk()[:3])
    assert result.gates is not None
    assert result.discrepancies is not None
    assert result.gates.shape == result.discrepancies.shape == (1, 2)
    np.testing.assert_allclose(result.gates, np.exp(-result.discrepancies), rtol=1e-6)
    changed = noise.copy()
    changed[1] += 1
    assert bits(refined.infer(observation, some_chunk(), 3, changed).unified) != bits(result.unified)
    with refused(ObservationError, "noise: expected shape (2, 8, 200), got (1, 8, 200)"):
        refined.infer(observation, noise=some_noise())
    with refused(ObservationError, "noise: expected shape (2, 8, 200), got (1, 8, 200)"):
        refined.infer(observation, noise=some_noise()[0])


@pytest.mark.parametrize("rounds", [2, -1, 1.5, "1", None])
def test_rounds_that_the_bundle_has_no_graph_for(folder: Path, rounds: Any) -> None:
    there = "2 steps and 0 refinement rounds, 2 steps and 1 refinement rounds"
    words = (f"no graph with 2 steps and {rounds!r} refinement rounds", there, "--refinement-rounds")
    with refused(BundleError, str(folder), *words):
        Policy.load(folder, refinement_rounds=rounds)


def test_only_the_graph_asked_for_is_loaded(bundle: Path) -> None:
    put_file(bundle, "chunk_1.onnx", b"no graph at all")
    policy = Policy.load(bundle)
    assert policy.infer(policy.example_observation())
    with refused(BundleError, "chunk_1.onnx", "not a graph"):
        Policy.load(bundle, refinement_rounds=1)


@pytest.mark.parametrize("delay", range(T + 1))
def test_rows_that_are_not_locked_do_not_leak(policy: Policy, observation: dict[str, Any], delay: int) -> None:
    previous, other = some_chunk(), some_chunk()
    other[delay:] = 5.0
    answers = {bits(policy.infer(observation, chunk, delay, some_noise()).unified) for chunk in (previous, other)}
    assert len(answers) == 1


@pytest.mark.parametrize("rows", [1, 3, T - 1])
def test_a_shorter_previous_chunk_is_continued_with_its_last_row(
    policy: Policy, observation: dict[str, Any], rows: int
) -> None:
    previous = some_chunk(rows)
    continued = np.concatenate([previous, np.repeat(previous[-1:], T - rows, axis=0)])
    for delay in (rows, T):
        short, full = (policy.infer(observation, chunk, delay, some_noise()).unified for chunk in (previous, continued))
        assert bits(short) == bits(full)
        assert bits(short[:delay]) == bits(continued[:delay])


def test_arguments_are_left_as_they_were(policy: Policy, observation: dict[str, Any]) -> None:
    previous, noise = some_chunk(), some_noise()
    previous.flags.writeable = noise.flags.writeable = False
    result = policy.infer(observation, previous, 3, noise)
    result.unified[:] = 0
    assert bits(previous) == bits(some_chunk())


def test_double_precision_and_plain_lists_are_taken(policy: Policy, observation: dict[str, Any]) -> None:
    observation["state.gripper"] = [0.5]
    observation["state.arm_joints"] = np.zeros((1, 5))
    previous: Any = some_chunk().astype(np.float64)
    delay: Any = np.int64(2)
    assert bits(policy.infer(observation, previous, delay).unified[:2]) == bits(some_chunk()[:2])


def test_state_image_and_instruction_all_arrive(policy: Policy, observation: dict[str, Any]) -> None:
    noise = some_noise()
    changes: list[dict[str, Any]] = [
        {},
        {"state.arm_joints": np.full(5, 0.3)},
        {"video.third_person": np.full((24, 24, 3), 200, np.uint8)},
        {"language.instruction": "follow"},
    ]
    answers = {bits(policy.infer({**observation, **change}, noise=noise).unified) for change in changes}
    assert len(answers) == len(changes)


def test_images_of_another_size_are_resized(policy: Policy, observation: dict[str, Any]) -> None:
    noise = some_noise()
    same = policy.infer({**observation, "video.third_person": np.full((24, 24, 3), 90, np.uint8)}, noise=noise)
    other = policy.infer({**observation, "video.third_person": np.full((120, 160, 3), 90, np.uint8)}, noise=noise)
    np.testing.assert_allclose(other.unified, same.unified, atol=1e-6)


def test_further_keys_are_of_no_matter(policy: Policy, observation: dict[str, Any]) -> None:
    noise = some_noise()
    more = {**observation, "video.wrist": "no image", "state.torso": None}
    assert bits(policy.infer(more, noise=noise).unified) == bits(policy.infer(observation, noise=noise).unified)


def test_a_policy_without_language_needs_no_instruction(tmp_path: Path) -> None:
    policy = Policy.load(write_tiny_bundle(tmp_path / "silent", max_tokens=None))
    observation = policy.example_observation()
    assert policy.infer({key: value for key, value in observation.items() if key != "language.instruction"})


@pytest.mark.parametrize("rows", [3, 16])
@pytest.mark.parametrize("steps", [1, 4])
def test_other_sizes(tmp_path: Path, rows: int, steps: int) -> None:
    bundle = write_tiny_bundle(tmp_path / "other", chunk_length=rows, denoising_steps=steps, image_size=8)
    policy = Policy.load(bundle)
    previous = some_chunk(rows)
    unified = policy.infer(policy.example_observation(), previous, 2).unified
    assert bits(unified[:2]) == bits(previous[:2])
    assert np.isfinite(unified).all()


def test_a_policy_gone_wrong_says_so_in_its_rows_only(tmp_path: Path) -> None:
    policy = Policy.load(write_tiny_bundle(tmp_path / "wrong", nan_row=5))
    result = policy.infer(policy.example_observation())
    assert np.isnan(result.unified).any(axis=1).tolist() == [row == 5 for row in range(T)]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("front.png", "got str"),
        (None, "got NoneType"),
        ([[[0, 0, 0]]], "got list"),
        (np.zeros((24, 32, 3), np.float32), "got float32 of shape (24, 32, 3)"),
        (np.zeros((24, 32), np.uint8), "got uint8 of shape (24, 32)"),
        (np.zeros((24, 32, 4), np.uint8), "got uint8 of shape (24, 32, 4)"),
        (np.zeros((3, 24, 32), np.uint8), "got uint8 of shape (3, 24, 32)"),
        (np.zeros((2, 24, 32, 3), np.uint8), "got uint8 of shape (2, 24, 32, 3)"),
        (np.zeros((0, 24, 32, 3), np.uint8), "got uint8 of shape (0, 24, 32, 3)"),
        (np.zeros((1, 1, 24, 32, 3), np.uint8), "got uint8 of shape (1, 1, 24, 32, 3)"),
        (np.zeros((0, 32, 3), np.uint8), "got uint8 of shape (0, 32, 3)"),
    ],
)
def test_wrong_image(policy: Policy, observation: dict[str, Any], image: Any, found: str) -> None:
    observation["video.third_person"] = image
    with refused(ObservationError, "video.third_person: expected an RGB image, uint8 of shape (H, W, 3)", found):
        policy.infer(observation)


@pytest.mark.parametrize("key", ["video.third_person", "state.arm_joints", "state.gripper", "language.instruction"])
def test_missing_key(policy: Policy, observation: dict[str, Any], key: str) -> None:
    del observation[key]
    with refused(ObservationError, f"{key}: missing from the observation, which has", *observation):
        policy.infer(observation)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (np.zeros(4), ("expected shape (5,), got (4,)",)),
        (np.zeros((2, 5)), ("expected shape (5,), got (2, 5)",)),
        (0.0, ("expected shape (5,), got ()",)),
        ([0, 0, float("nan"), 0, 0], ("expected finite values", "nan")),
        ([0, 0, float("inf"), 0, 0], ("expected finite values", "inf")),
        ("straight", ("expected 5 numbers", "'straight'")),
        ([0, [1, 2]], ("expected 5 numbers",)),
        ([None] * 4 + [{}], ("expected 5 numbers",)),
    ],
)
def test_wrong_state(policy: Policy, observation: dict[str, Any], state: Any, words: tuple[str, ...]) -> None:
    observation["state.arm_joints"] = state
    with refused(ObservationError, "state.arm_joints: ", *words):
        policy.infer(observation)


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        ("x" * 63, ("65 tokens with its prompt, expected at most 64", "about 62 for the instruction", "shorten it")),
        ("é" * 32, ("66 tokens with its prompt, expected at most 64",)),
        (b"follow", ("expected a text, got bytes",)),
        (None, ("expected a text, got NoneType",)),
        (["follow", "wave"], ("expected a text, got list of 2",)),
        (np.array(["follow", "wave"]), ("expected a text, got list of 2",)),
        ((), ("expected a text, got tuple of 0",)),
        ([["follow"]], ("expected a text, got list of 1",)),
        ([3], ("expected a text, got int",)),
        (np.array(3), ("expected a text, got int",)),
        ("follow \ud800", ("expected a text that UTF-8 can hold",)),
    ],
)
def test_wrong_instruction(
    policy: Policy, observation: dict[str, Any], instruction: Any, words: tuple[str, ...]
) -> None:
    observation["language.instruction"] = instruction
    with refused(ObservationError, "language.instruction: ", *words):
        policy.infer(observation)


@pytest.mark.parametrize("delay", [-1, T + 1, 1000, 1.5, 2.0, float("nan"), "2", None, True, np.True_])
def test_wrong_delay(policy: Policy, observation: dict[str, Any], delay: Any) -> None:
    with refused(ObservationError, "delay: expected 0 to 8 rows, a whole number", f"got {delay!r}"):
        policy.infer(observation, some_chunk(), delay)


def test_a_delay_without_rows_to_lock(policy: Policy, observation: dict[str, Any]) -> None:
    with refused(ObservationError, "previous_chunk: missing, but delay = 2"):
        policy.infer(observation, delay=2)


@pytest.mark.parametrize("shape", [(200,), (T, 199), (T + 1, 200), (0, 200), (2, T, 200), (1, 1, T, 200)])
def test_wrong_previous_chunk(policy: Policy, observation: dict[str, Any], shape: tuple[int, ...]) -> None:
    with refused(ObservationError, "previous_chunk: expected shape (1 to 8, 200)", f"got {shape}"):
        policy.infer(observation, np.zeros(shape, np.float32), 1)


@pytest.mark.parametrize("shape", [(2, T, 200), (T - 1, 200), (T, 6), (200,), (2, 1, T, 200), (1, 1, 1, T, 200), ()])
def test_wrong_noise(policy: Policy, observation: dict[str, Any], shape: tuple[int, ...]) -> None:
    with refused(ObservationError, "noise: expected shape (1, 8, 200)", "got"):
        policy.infer(observation, noise=np.zeros(shape, np.float32))


def test_arrays_that_are_none(policy: Policy, observation: dict[str, Any]) -> None:
    anything: Any = "rows"
    with refused(ObservationError, "previous_chunk: expected an array of numbers, got 'rows'"):
        policy.infer(observation, anything, 1)
    with refused(ObservationError, "noise: expected an array of numbers, got 'rows'"):
        policy.infer(observation, noise=anything)


def test_a_refusal_draws_no_noise(folder: Path, observation: dict[str, Any]) -> None:
    undisturbed, disturbed = Policy.load(folder), Policy.load(folder)
    with pytest.raises(ObservationError):
        disturbed.infer({})
    with pytest.raises(ObservationError):
        disturbed.infer(observation, delay=3)
    assert bits(disturbed.infer(observation).unified) == bits(undisturbed.infer(observation).unified)
