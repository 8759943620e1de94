"""Physical values to unified rows and back, in every normalization mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import ObservationError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.manifest import Key, MeanStd, MinMax, NoNormalization
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


SCALES = st.sampled_from([0.0, 1e-9, 1e-3, 0.1, 1.0, 30.0])
NORMALIZATIONS: st.SearchStrategy[Normalization] = st.one_of(
    st.just(NoNormalization()),
    st.builds(MeanStd, mean=triples(PHYSICAL), std=triples(SCALES)),
    st.builds(
        lambda low, span: MinMax(low=low, high=tuple(a + b for a, b in zip(low, span, strict=True))),
        triples(PHYSICAL),
        triples(SCALES),
    ),
)


@given(normalization=NORMALIZATIONS, values=ROWS)
def test_decoding_undoes_encoding(normalization: Normalization, values: NDArray[np.float64]) -> None:
    slots = SlotMap("action", {"arm": Key(slots=(7, 7 + WIDTH), normalization=normalization)}, 200)
    unified = slots.encode({"action.arm": values}, len(values))
    assert unified.shape == (len(values), 200)
    assert unified.dtype == np.float32
    assert not np.delete(unified, range(7, 7 + WIDTH), axis=1).any()
    # Values far from the mean of a narrow slot are large numbers in float32; nothing else is lost.
    tolerance = 1e-5 * (1 + np.abs(values).max() + 50)
    np.testing.assert_allclose(slots.decode(unified)["action.arm"], values, rtol=0, atol=tolerance)


@given(values=ROWS, constant=PHYSICAL)
@pytest.mark.parametrize("mode", ["mean_std", "min_max"])
def test_slots_that_never_varied_are_centred(mode: str, values: NDArray[np.float64], constant: float) -> None:
    same = (constant,) * WIDTH
    normalization: Normalization = MinMax(low=same, high=same)
    if mode == "mean_std":
        normalization = MeanStd(mean=same, std=(0.0,) * WIDTH)
    slots = SlotMap("state", {"arm": Key(slots=(0, WIDTH), normalization=normalization)}, 200)
    unified = slots.encode({"state.arm": values}, len(values))
    np.testing.assert_allclose(unified[:, :WIDTH], values - constant, rtol=1e-6, atol=1e-6)
    at_rest = np.full((1, WIDTH), constant)
    assert not slots.encode({"state.arm": at_rest}, 1).any()
    np.testing.assert_array_equal(slots.decode(np.zeros((1, 200), np.float32))["state.arm"], at_rest.astype(np.float32))


def test_the_formulas() -> None:
    values = np.array([[1.0, 2.0, 4.0]])
    cases: list[tuple[Normalization, list[float]]] = [
        (NoNormalization(), [1.0, 2.0, 4.0]),
        (MeanStd(mean=(1.0, 1.0, 1.0), std=(1.0, 2.0, 4.0)), [0.0, 0.5, 0.75]),
        (MinMax(low=(0.0, 0.0, 0.0), high=(1.0, 4.0, 16.0)), [1.0, 0.0, -0.5]),
    ]
    for normalization, expected in cases:
        slots = SlotMap("action", {"arm": Key(slots=(0, WIDTH), normalization=normalization)}, 200)
        assert slots.encode({"action.arm": values}, 1)[0, :WIDTH].tolist() == expected


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
