"""What `Policy.infer` makes of recordings, published clients, and numbers that are none."""

from __future__ import annotations

import os
import signal
import time
import warnings
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError, ObservationError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.manifest import Key, MeanStd, NoNormalization
from unichunk.runtime.policy.preprocessing import Preprocessor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

T = 8
CAMERA = "video.third_person"


@pytest.fixture
def observation(policy: Policy) -> dict[str, Any]:
    picture = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)
    return {**policy.example_observation(), CAMERA: picture, "language.instruction": "follow"}


def bits(values: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(values).tobytes()


def noise_of(rounds: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((1 + rounds, T, 200), np.float32)


def some_chunk() -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((T, 200)).astype(np.float32)


@pytest.mark.parametrize(
    "make",
    [
        np.array,
        lambda delay: np.array(delay, np.uint8),
        np.int32,
    ],
    ids=["array", "bytes", "scalar"],
)
def test_a_delay_of_numpy_locks_as_many_rows(
    policy: Policy, observation: dict[str, Any], make: Callable[[int], Any]
) -> None:
    unified = policy.infer(observation, some_chunk(), make(3), noise_of()).unified
    assert bits(unified) == bits(policy.infer(observation, some_chunk(), 3, noise_of()).unified)
    assert bits(unified[:3]) == bits(some_chunk()[:3])


@pytest.mark.parametrize(
    ("delay", "found"),
    [
        (np.array(True), "array(True)"),
        (np.array(2.0), "array(2.)"),
        (np.array(T + 1), "array(9)"),
        (np.array(-1), "array(-1)"),
        (np.array([2]), "int64 of shape (1,)"),
        (np.zeros((40, 3)), "float64 of shape (40, 3)"),
    ],
)
def test_an_array_that_is_no_delay(policy: Policy, observation: dict[str, Any], delay: Any, found: str) -> None:
    with refused(ObservationError, "delay: expected 0 to 8 rows, a whole number", found):
        policy.infer(observation, some_chunk(), delay)


@pytest.mark.parametrize(
    "instruction",
    [
        ["follow"],
        ("follow",),
        np.array(["follow"]),
        np.array("follow"),
        np.array(["follow"], object),
        [np.str_("follow")],
    ],
)
def test_an_observation_of_a_published_client(policy: Policy, observation: dict[str, Any], instruction: Any) -> None:
    batched = {
        CAMERA: observation[CAMERA][None],
        **{name: value[None] for name, value in observation.items() if name.startswith("state.")},
        "language.instruction": instruction,
    }
    answer = policy.infer(batched, some_chunk()[None], 3, noise_of()[None]).unified
    assert bits(answer) == bits(policy.infer(observation, some_chunk(), 3, noise_of()).unified)


def test_a_batch_of_one_with_refinement(folder: Path, observation: dict[str, Any]) -> None:
    policy = Policy.load(folder, refinement_rounds=1)
    answers = [policy.infer(observation, noise=noise) for noise in (noise_of(1), noise_of(1)[None])]
    assert bits(answers[0].unified) == bits(answers[1].unified)


def test_an_image_of_one_row_is_no_batch(policy: Policy, observation: dict[str, Any]) -> None:
    thin = observation[CAMERA][:1]
    assert np.isfinite(policy.infer({**observation, CAMERA: thin}).unified).all()
    with refused(ObservationError, CAMERA, "got uint8 of shape (1, 32, 3, 1)"):
        policy.infer({**observation, CAMERA: thin[..., None]})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_noise_that_is_not_finite(policy: Policy, observation: dict[str, Any], value: float) -> None:
    noise = noise_of()
    noise[0, 7, 199] = value
    with refused(ObservationError, "noise: expected finite float32 numbers", f"got {value} at [0, 7, 199]"):
        policy.infer(observation, noise=noise)


def test_noise_that_float32_cannot_hold(policy: Policy, observation: dict[str, Any]) -> None:
    noise: Any = noise_of().astype(np.float64)
    noise[0, 2, 5] = 1e300
    with refused(ObservationError, "noise: expected finite float32 numbers", "got inf at [0, 2, 5]"):
        policy.infer(observation, noise=noise)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_rows_to_lock_that_are_not_finite(policy: Policy, observation: dict[str, Any], value: float) -> None:
    previous: Any = some_chunk().astype(np.float64)
    previous[2, 17] = value
    for delay in (3, T):
        with refused(ObservationError, f"previous_chunk, rows to lock (delay = {delay})", "finite", "at [2, 17]"):
            policy.infer(observation, previous, delay)


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("delay", range(T))
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_rows_that_are_not_locked_may_hold_anything(
    folder: Path, observation: dict[str, Any], delay: int, value: float, rounds: int
) -> None:
    policy, noise = Policy.load(folder, refinement_rounds=rounds), noise_of(rounds)
    previous: Any = some_chunk().astype(np.float64)
    expected = policy.infer(observation, previous, delay, noise)
    previous[delay:] = value
    # The second one is short: its last row, which is not finite, is repeated.
    for rows in (previous, previous[: delay + 1]):
        answer = policy.infer(observation, rows, delay, noise)
        assert bits(answer.unified) == bits(expected.unified)
        assert rounds == 0 or bits(np.stack([answer.gates])) == bits(np.stack([expected.gates]))  # type: ignore[list-item]


def test_a_last_row_that_is_repeated_into_the_locked_ones(policy: Policy, observation: dict[str, Any]) -> None:
    previous = some_chunk()[:2]
    previous[1, 4] = np.nan
    assert np.isfinite(policy.infer(observation, previous, 1).unified).all()
    with refused(ObservationError, "previous_chunk", "got nan at [1, 4]"):
        policy.infer(observation, previous, 5)


@pytest.mark.parametrize("value", [1e39, 1e300, -1e308])
def test_a_state_that_float32_cannot_hold(policy: Policy, observation: dict[str, Any], value: float) -> None:
    observation["state.arm_joints"] = [0, 0, value, 0, 0]
    words = ("state.arm_joints: expected values that are finite once normalized", str(value))
    with refused(ObservationError, *words):
        policy.infer(observation)


def test_the_key_that_is_not_finite_is_named(folder: Path) -> None:
    manifest = msgspec.structs.replace(read_manifest(folder), language=None)
    robot = msgspec.structs.replace(
        manifest.robots["so101"],
        state={
            "a": Key(slots=(50, 52), normalization=NoNormalization()),
            "b": Key(slots=(10, 11), normalization=MeanStd(mean=(0.0,), std=(1e-30,))),
        },
    )
    observation = {CAMERA: np.zeros((24, 24, 3), np.uint8), "state.a": [1.0, 2.0], "state.b": [1e30]}
    with refused(ObservationError, "state.b: expected values that are finite once normalized", "got [1e+30]"):
        Preprocessor(manifest, robot, None)(observation)


@pytest.mark.parametrize(
    ("rotation", "value"),
    [
        ("axis_angle", [1e300, 0, 0]),
        ("rotation_6d", [1e300, 0, 0, 0, 1, 0]),
        ("rotation_6d", [1, 0, 0, 0, 1e300, 0]),
        ("rotation_6d", [1, 1, 1, 1.5e308, 1.5e308, 1.5e308]),
        ("matrix", [1e300, 0, 0, 0, 1e300, 0, 0, 1, 1e300]),
    ],
)
def test_huge_rotations_are_refused_without_a_warning(folder: Path, rotation: Any, value: list[float]) -> None:
    key = Key(slots=(73, 76), normalization=NoNormalization(), rotation=rotation)
    manifest = msgspec.structs.replace(read_manifest(folder), language=None)
    robot = msgspec.structs.replace(manifest.robots["so101"], state={"base": key})
    observation = {CAMERA: np.zeros((24, 24, 3), np.uint8), "state.base": value}
    with refused(ObservationError, "state.base: expected "):
        Preprocessor(manifest, robot, None)(observation)


NO_NUMBERS: list[Any] = [
    np.ones((T, 200), complex),
    np.full((T, 200), "1"),
    np.full((T, 200), 1, object),
    np.zeros((T, 200), "datetime64[s]"),
    [["1"] * 200] * T,
    [[1 + 2j] * 200] * T,
    [[10**400] * 200] * T,
    [[10**400, 1.0] * 100] * T,
    [[0.0] * 200, [0.0] * 199],
    {"rows": 3},
]


@pytest.mark.parametrize("values", NO_NUMBERS, ids=lambda values: type(values).__name__)
def test_arrays_of_no_numbers(policy: Policy, observation: dict[str, Any], values: Any) -> None:
    with refused(ObservationError, "previous_chunk: expected an array of numbers, got "):
        policy.infer(observation, values, 1)
    with refused(ObservationError, "noise: expected an array of numbers, got "):
        policy.infer(observation, noise=values)
    with refused(ObservationError, "state.arm_joints: expected 5 numbers, got "):
        policy.infer({**observation, "state.arm_joints": values})


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.float64, np.longdouble])
def test_numbers_of_every_kind(policy: Policy, observation: dict[str, Any], dtype: Any) -> None:
    rows = (np.arange(T * 200).reshape(T, 200) % 2).astype(dtype)
    assert (policy.infer(observation, rows, 4, noise=rows).unified[:4] == rows[:4].astype(np.float32)).all()


@pytest.mark.parametrize("nothing", [None, 3, "video", [], np.zeros(3), object()])
def test_an_observation_that_has_no_keys(policy: Policy, nothing: Any) -> None:
    with refused(ObservationError, f"observation: expected {CAMERA} and others by name, got "):
        policy.infer(nothing)


def test_keys_of_several_types(policy: Policy, observation: dict[str, Any]) -> None:
    del observation[CAMERA]
    mixed: dict[Any, Any] = {**observation, 1: 2, None: 3}
    with refused(ObservationError, f"{CAMERA}: missing from the observation, which has", "'1'", "state.gripper"):
        policy.infer(mixed)


@pytest.mark.parametrize("seed", [-1, 1.5, "seven", np.zeros((30, 3))])
def test_a_seed_that_is_none(tmp_path: Path, seed: Any) -> None:
    # Refused before the bundle is looked for.
    with refused(BundleError, "seed: expected a whole number, 0 or more, got "):
        Policy.load(tmp_path / "nowhere", seed=seed)


def test_a_forked_process_goes_on_with_helpers_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2})
    policy = Policy.load(write_tiny_bundle(tmp_path / "views", cameras=("left", "right", "wrist")))
    observation = policy.example_observation()
    expected = bits(policy.infer(observation, noise=noise_of()).unified)

    def same() -> bool:
        return bits(policy.infer(observation, noise=noise_of()).unified) == expected

    assert exit_code_of_fork(same) == 0
    # The parent's are still there.
    assert same()


def exit_code_of_fork(check: Callable[[], bool]) -> int | None:
    """0 where the check holds in a forked process; None where it has no answer within seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that this process has threads is the point
        child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
