"""Physical values to unified rows and back, in every normalization mode and every published configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.manifest import Binary, Key, MeanStd, MinMax, NoNormalization, Quantiles
from unichunk.runtime.policy.normalization import SlotMap

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.policy.tiny_bundle import Mode
    from unichunk.runtime.policy.manifest import Normalization

WIDTH = 3
PHYSICAL = st.floats(-50, 50, allow_subnormal=False)
ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.just(WIDTH)), elements=PHYSICAL)


def triples(values: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(values, values, values)


def ranges(kind: Any, low: str, high: str) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda start, span: kind(**{low: start, high: tuple(a + b for a, b in zip(start, span, strict=True))}),
        triples(PHYSICAL),
        triples(SCALES),
    )


SCALES = st.sampled_from([1e-3, 0.1, 1.0, 30.0])
NORMALIZATIONS: st.SearchStrategy[Normalization] = st.one_of(
    st.just(NoNormalization()),
    st.builds(MeanStd, mean=triples(PHYSICAL), std=triples(SCALES)),
    ranges(MinMax, "low", "high"),
)
PUBLISHED: dict[str, dict[str, tuple[tuple[int, int], Normalization]]] = {
    "libero_nonorm": {
        "eef_position": ((0, 3), NoNormalization()),
        "eef_rotation": ((3, 6), NoNormalization()),
        "gripper_position": ((18, 19), NoNormalization()),
    },
    "robocasa_human": {
        "eef_position": ((0, 3), NoNormalization()),
        "eef_rotation": ((3, 6), NoNormalization()),
        "gripper_position": ((18, 19), Binary()),
        "base_motion": ((70, 74), NoNormalization()),
        "control_mode": ((74, 75), Binary()),
    },
}
PUBLISHED_STATES: dict[str, dict[str, tuple[int, int]]] = {
    "libero_nonorm": {"eef_position": (0, 3), "eef_rotation": (3, 6), "libero_gripper_position": (44, 46)},
    "robocasa_human": {
        "eef_position": (0, 3),
        "eef_rotation": (3, 6),
        "gripper_qpos": (44, 46),
        "base_position": (70, 73),
        "base_rotation": (73, 76),
    },
}


def only(normalization: Normalization, section: str = "action") -> SlotMap:
    """One key in the slots 7-10."""
    return SlotMap(section, {"arm": Key(slots=(7, 7 + WIDTH), normalization=normalization)}, 200)


def encoded(normalization: Normalization, values: Any) -> NDArray[np.float32]:
    """What is in the slots."""
    values = np.asarray(values, np.float64).reshape(-1, WIDTH)
    return only(normalization).encode({"action.arm": values}, len(values))[:, 7 : 7 + WIDTH]


def decoded(normalization: Normalization, values: Any) -> NDArray[np.float32]:
    values = np.asarray(values, np.float32).reshape(-1, WIDTH)
    unified = np.full((len(values), 200), 99, np.float32)
    unified[:, 7 : 7 + WIDTH] = values
    return only(normalization).decode(unified)["action.arm"]


@settings(deadline=None)
@given(normalization=NORMALIZATIONS, values=ROWS)
def test_decoding_undoes_encoding(normalization: Normalization, values: NDArray[np.float64]) -> None:
    slots = only(normalization)
    unified = slots.encode({"action.arm": values}, len(values))
    assert unified.shape == (len(values), 200)
    assert unified.dtype == np.float32
    assert not np.delete(unified, range(7, 7 + WIDTH), axis=1).any()
    # Values far from the mean of a narrow slot are large numbers in float32; nothing else is lost.
    tolerance = 1e-5 * (1 + np.abs(values).max() + 50)
    np.testing.assert_allclose(slots.decode(unified)["action.arm"], values, rtol=0, atol=tolerance)


@settings(deadline=None)
@given(normalization=ranges(Quantiles, "q01", "q99"), values=ROWS)
def test_quantiles_clip_on_the_way_in(normalization: Quantiles, values: NDArray[np.float64]) -> None:
    inside = encoded(normalization, values)
    assert (np.abs(inside) <= 1).all()
    expected = np.clip(values, normalization.q01, normalization.q99)
    np.testing.assert_allclose(decoded(normalization, inside), expected, rtol=0, atol=1e-3 * 1e-1)


@settings(deadline=None)
@given(values=ROWS)
def test_quantiles_do_not_clip_on_the_way_out(values: NDArray[np.float64]) -> None:
    normalization = Quantiles(q01=(0.0,) * WIDTH, q99=(4.0,) * WIDTH)
    np.testing.assert_allclose(decoded(normalization, values), 2 * values + 2, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(values=ROWS)
def test_binary_values(values: NDArray[np.float64]) -> None:
    ones = encoded(Binary(), values)
    np.testing.assert_array_equal(ones, (values > 0.5).astype(np.float32))
    np.testing.assert_array_equal(decoded(Binary(), ones), ones)
    np.testing.assert_array_equal(decoded(Binary(), values), values.astype(np.float32) > 0.5)


def test_what_is_not_a_number_is_not_hidden() -> None:
    nothing = [np.nan, 0.2, 0.8]
    modes: list[Normalization] = [
        Binary(),
        NoNormalization(),
        Quantiles(q01=(0.0,) * 3, q99=(1.0,) * 3),
        MinMax(low=(0.0,) * 3, high=(1.0,) * 3),
        MeanStd(mean=(0.0,) * 3, std=(1.0,) * 3),
    ]
    for mode in modes:
        assert np.isnan(decoded(mode, nothing)).tolist() == [[True, False, False]]
        assert np.isnan(encoded(mode, nothing)).tolist() == [[True, False, False]]


def test_the_formulas() -> None:
    values = [1.0, 2.0, 4.0]
    cases: list[tuple[Normalization, list[float]]] = [
        (NoNormalization(), [1.0, 2.0, 4.0]),
        (MeanStd(mean=(1.0, 1.0, 1.0), std=(1.0, 2.0, 4.0)), [0.0, 0.5, 0.75]),
        (MinMax(low=(0.0, 0.0, 0.0), high=(1.0, 4.0, 16.0)), [1.0, 0.0, -0.5]),
        (MinMax(low=(0.0, 0.0, 3.0), high=(0.5, 1.0, 3.5)), [3.0, 3.0, 3.0]),
        (Quantiles(q01=(0.0, 0.0, 0.0), q99=(1.0, 4.0, 16.0)), [1.0, 0.0, -0.5]),
        (Quantiles(q01=(0.0, 3.0, 3.0), q99=(0.5, 4.0, 3.5)), [1.0, -1.0, 1.0]),
        (Binary(), [1.0, 1.0, 1.0]),
    ]
    for normalization, expected in cases:
        assert encoded(normalization, values)[0].tolist() == expected


@settings(deadline=None)
@given(values=ROWS, constant=PHYSICAL)
def test_slots_that_never_varied_are_what_they_were_in_training(values: NDArray[np.float64], constant: float) -> None:
    same, zero = (constant,) * WIDTH, (0.0,) * WIDTH
    at_rest = np.full((1, WIDTH), constant, np.float32)
    raw = values.astype(np.float32)
    cases: list[tuple[Normalization, NDArray[np.float32]]] = [
        (MeanStd(mean=same, std=zero), raw),
        (Quantiles(q01=same, q99=same), np.clip(raw, -1, 1)),
        (MinMax(low=same, high=same), np.zeros_like(raw)),
    ]
    for normalization, expected in cases:
        np.testing.assert_array_equal(encoded(normalization, values), expected)
        # Whatever the policy says there, the robot gets the one value that was ever seen.
        answers = decoded(normalization, values)
        np.testing.assert_array_equal(answers, np.broadcast_to(at_rest, answers.shape))


def test_equal_means_equal_in_single_precision() -> None:
    nearly = Quantiles(q01=(0.1,) * WIDTH, q99=(0.1 + 1e-12,) * WIDTH)
    assert encoded(nearly, [0.3, 0.1, 0.0])[0].tolist() == pytest.approx([0.3, 0.1, 0.0])


@pytest.mark.parametrize("name", PUBLISHED)
@settings(deadline=None)
@given(data=st.data())
def test_round_trips_of_the_published_actions(name: str, data: Any) -> None:
    keys = {key: Key(slots=slots, normalization=mode) for key, (slots, mode) in PUBLISHED[name].items()}
    slots = SlotMap("action", keys, 200)
    rows = data.draw(st.integers(1, 16))
    actions: dict[str, NDArray[np.float32]] = {}
    for key, value in keys.items():
        elements = st.floats(-10, 10, width=32)
        drawn = data.draw(hnp.arrays(np.float32, (rows, value.width), elements=elements))
        binary = isinstance(value.normalization, Binary)
        actions[f"action.{key}"] = (drawn > 0.5).astype(np.float32) if binary else drawn
    unified = slots.encode(actions, rows)
    used = [slot for value in keys.values() for slot in range(*value.slots)]
    assert not np.delete(unified, used, axis=1).any()
    back = slots.decode(unified)
    assert list(back) == list(actions)
    for key, value in actions.items():
        np.testing.assert_array_equal(back[key], value)


@pytest.mark.parametrize("name", PUBLISHED_STATES)
@settings(deadline=None)
@given(data=st.data())
def test_published_states_in_their_slots(name: str, data: Any) -> None:
    keys = {
        key: Key(
            slots=slots,
            normalization=NoNormalization(),
            rotation="quaternion_wxyz" if key == "base_rotation" else "axis_angle",
        )
        for key, slots in PUBLISHED_STATES[name].items()
    }
    slots = SlotMap("state", keys, 200)
    state: dict[str, NDArray[np.float32]] = {}
    for key, value in keys.items():
        state[f"state.{key}"] = data.draw(hnp.arrays(np.float32, (1, value.width), elements=st.floats(-1, 1, width=32)))
    expected = {key: value.copy() for key, value in state.items()}
    if "state.base_rotation" in state:
        vector = state["state.base_rotation"].astype(np.float64)
        angle = np.linalg.norm(vector)
        sine = np.sin(angle / 2) / angle if angle else 0.5
        state["state.base_rotation"] = np.concatenate([[[np.cos(angle / 2)]], vector * sine], axis=1)
        assert slots.widths["state.base_rotation"] == 4
    unified = slots.encode(state, 1)
    for key, (start, stop) in PUBLISHED_STATES[name].items():
        tolerance = 1e-6 if key == "base_rotation" else 0
        np.testing.assert_allclose(unified[:, start:stop], expected[f"state.{key}"], rtol=0, atol=tolerance)
    used = [slot for value in keys.values() for slot in range(*value.slots)]
    assert not np.delete(unified, used, axis=1).any()


@pytest.mark.parametrize("mode", ["none", "mean_std", "min_max"])
def test_a_policys_actions_encode_to_its_rows(tmp_path: Path, mode: Mode) -> None:
    policy = Policy.load(write_tiny_bundle(tmp_path / mode, normalization=mode))
    result = policy.infer(policy.example_observation())
    actions = {key: value.astype(np.float64) for key, value in result.actions.items()}
    np.testing.assert_allclose(policy.encode_actions(actions), result.unified, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("actions", "name"),
    [
        ({}, "action.arm_joints"),
        ({"action.arm_joints": np.zeros((4, 5))}, "action.gripper"),
        ({"action.arm_joints": np.zeros((4, 1)), "action.gripper": np.zeros((4, 1))}, "action.arm_joints"),
        ({"action.arm_joints": np.zeros((4, 5)), "action.gripper": np.zeros((3, 1))}, "action.arm_joints"),
        ({"action.arm_joints": np.zeros(5), "action.gripper": np.zeros(5)}, "action.arm_joints"),
    ],
)
def test_actions_of_another_shape_are_refused(tmp_path: Path, actions: Any, name: str) -> None:
    policy = Policy.load(write_tiny_bundle(tmp_path / "tiny"))
    with refused(ObservationError, f"{name}: expected shape (rows, ", "got"):
        policy.encode_actions(actions)
