"""The contract of a robot's adapter: joints and policy keys say the same, and only fitting policies are let in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.embodiments.adapter import JointAdapter
from unichunk.embodiments.spec import embodiment_names, load_spec
from unichunk.runtime.errors import BundleError
from unichunk.runtime.observation import CameraFrame, Observation, RobotState
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.policy.manifest import Key, Manifest

ORIGIN = "bundles/mine"


@pytest.fixture
def adapter(spec: EmbodimentSpec) -> JointAdapter:
    return JointAdapter(spec)


@pytest.fixture
def manifest(spec: EmbodimentSpec, tmp_path: Path) -> Manifest:
    return read_manifest(write_tiny_bundle(tmp_path / "tiny", embodiment=spec.name))


def observation_at(spec: EmbodimentSpec, q: NDArray[np.float64]) -> Observation:
    state = RobotState(stamp_ns=0, sequence=0, q=q, dq=np.zeros_like(q), watchdog=False)
    frames = {
        name: CameraFrame(0, 0, np.full((camera.height, camera.width, 3), i, np.uint8))
        for i, (name, camera) in enumerate(spec.cameras.items())
    }
    return Observation(stamp_ns=0, state=state, frames=frames)


def single_precision(actions: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float32]]:
    return {key: values.astype(np.float32) for key, values in actions.items()}


@pytest.mark.parametrize("name", embodiment_names())
@settings(deadline=None)
@given(data=st.data())
def test_joints_to_actions_and_back(name: str, data: st.DataObject) -> None:
    spec = load_spec(name)
    adapter = JointAdapter(spec)
    shape = (data.draw(st.integers(1, 30)), len(spec.joints))
    joints = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-7, 7, allow_subnormal=False)))
    actions = adapter.actions(joints)
    assert list(actions) == [f"action.{group}" for group in spec.groups]
    for group in spec.groups:
        assert actions[f"action.{group}"].shape == (shape[0], len(spec.groups[group].joints))
    back = adapter.joints(single_precision(actions))
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, joints, rtol=0, atol=5e-6)


def test_every_joint_moves_its_own_action_and_no_other(spec: EmbodimentSpec, adapter: JointAdapter) -> None:
    names = [joint for group in spec.groups.values() for joint in group.joints]
    at_rest = np.concatenate(list(adapter.actions(spec.rest[None]).values()), axis=1)
    for i, joint in enumerate(spec.joint_names):
        moved = spec.rest.copy()
        moved[i] += 0.01
        actions = np.concatenate(list(adapter.actions(moved[None]).values()), axis=1)
        assert [names[column] for column in np.flatnonzero(actions[0] != at_rest[0])] == [joint]


def test_units(spec: EmbodimentSpec, adapter: JointAdapter) -> None:
    """Radians stay radians; an open fraction is 0 at the lower limit (closed) and 1 at the upper (open)."""
    poses = np.stack([spec.limits.lower, spec.limits.upper, (spec.limits.lower + spec.limits.upper) / 2])
    for name, group in spec.groups.items():
        values = adapter.actions(poses)[f"action.{name}"]
        if group.unit == "rad":
            np.testing.assert_array_equal(values, poses[:, spec.joint_index(name)])
        else:
            expected = np.repeat([[0.0], [1.0], [0.5]], len(group.joints), axis=1)
            np.testing.assert_allclose(values, expected, atol=1e-12)


def test_actions_within_their_range_are_joints_within_the_limits(spec: EmbodimentSpec, adapter: JointAdapter) -> None:
    joints = adapter.joints(single_precision(adapter.actions(np.stack([spec.limits.lower, spec.limits.upper]))))
    np.testing.assert_allclose(joints, [spec.limits.lower, spec.limits.upper], atol=1e-6)


def test_the_policys_view_of_an_observation(spec: EmbodimentSpec, adapter: JointAdapter) -> None:
    q = spec.limits.lower + 0.3 * (spec.limits.upper - spec.limits.lower)
    observation = observation_at(spec, q)
    inputs = adapter.policy_input(observation, "follow the block")
    assert set(inputs) == {
        *(f"video.{camera}" for camera in spec.cameras),
        *(f"state.{group}" for group in spec.groups),
        "language.instruction",
    }
    assert inputs["language.instruction"] == "follow the block"
    for camera in spec.cameras:
        assert inputs[f"video.{camera}"] is observation.frames[camera].image
    # State and action count alike, or a policy could not stay where it is.
    as_actions = {f"action.{group}": inputs[f"state.{group}"][None] for group in spec.groups}
    np.testing.assert_allclose(adapter.joints(as_actions)[0], q, atol=1e-12)


def test_a_policy_made_for_the_robot_drives_it(spec: EmbodimentSpec, adapter: JointAdapter, tmp_path: Path) -> None:
    policy = Policy.load(write_tiny_bundle(tmp_path / "tiny", embodiment=spec.name))
    adapter.check_policy(policy.manifest, ORIGIN)
    locked = policy.encode_actions(adapter.actions(np.repeat(spec.rest[None], policy.chunk_length, axis=0)))
    result = policy.infer(adapter.policy_input(observation_at(spec, spec.rest), ""), locked, 2)
    joints = adapter.joints(result.actions)
    assert joints.shape == (policy.chunk_length, len(spec.joints))
    np.testing.assert_allclose(joints[:2], spec.rest[None].repeat(2, axis=0), atol=1e-6)
    assert (joints >= spec.limits.lower - 1e-6).all()
    assert (joints <= spec.limits.upper + 1e-6).all()
    steps = np.abs(np.diff(joints, axis=0))
    assert (steps < spec.limits.velocity / spec.action_hz).all()
    assert steps[2:].max() > 0


def test_slots_are_the_specs(spec: EmbodimentSpec, manifest: Manifest) -> None:
    assert {name: key.slots for name, key in manifest.action.items()} == {
        name: group.slots for name, group in spec.groups.items()
    }


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    return msgspec.structs.replace(manifest, **changes)


def first_key(manifest: Manifest) -> tuple[str, Key]:
    return next(iter(manifest.action.items()))


def test_a_bundle_for_another_robot(spec: EmbodimentSpec, adapter: JointAdapter, manifest: Manifest) -> None:
    other = changed(manifest, embodiments=("walker", "crane"))
    with refused(BundleError, ORIGIN, "'tiny' drives walker, crane, not", spec.name, "choose another bundle"):
        adapter.check_policy(other, ORIGIN)


def test_a_bundle_for_several_robots(spec: EmbodimentSpec, adapter: JointAdapter, manifest: Manifest) -> None:
    adapter.check_policy(changed(manifest, embodiments=("walker", spec.name)), ORIGIN)


def test_a_bundle_that_needs_another_camera(spec: EmbodimentSpec, adapter: JointAdapter, manifest: Manifest) -> None:
    other = changed(manifest, cameras=(*manifest.cameras, "periscope"))
    with refused(BundleError, ORIGIN, "needs camera 'periscope'", spec.name, *spec.cameras, "choose another bundle"):
        adapter.check_policy(other, ORIGIN)


def test_a_bundle_of_another_rate(spec: EmbodimentSpec, adapter: JointAdapter, manifest: Manifest) -> None:
    other = changed(manifest, action_hz=spec.action_hz + 1)
    words = (f"rows are {spec.action_hz + 1} Hz", f"{spec.name} runs at {spec.action_hz} Hz", "choose another bundle")
    with refused(BundleError, ORIGIN, *words):
        adapter.check_policy(other, ORIGIN)


@pytest.mark.parametrize("section", ["state", "action"])
def test_a_bundle_with_a_key_that_the_robot_lacks(
    spec: EmbodimentSpec, adapter: JointAdapter, manifest: Manifest, section: str
) -> None:
    keys = {**getattr(manifest, section), "tail": first_key(manifest)[1]}
    with refused(BundleError, ORIGIN, f"{section}.tail in slots", f"{spec.name} does not have it"):
        adapter.check_policy(changed(manifest, **{section: keys}), ORIGIN)


@pytest.mark.parametrize("section", ["state", "action"])
def test_a_bundle_with_a_key_in_other_slots(
    spec: EmbodimentSpec, adapter: JointAdapter, manifest: Manifest, section: str
) -> None:
    name, key = first_key(manifest)
    start, stop = key.slots
    keys = {**getattr(manifest, section), name: msgspec.structs.replace(key, slots=(start + 1, stop + 1))}
    words = (f"{section}.{name} in slots {start + 1}-{stop + 1}", f"{spec.name} has it in {start}-{stop}")
    with refused(BundleError, ORIGIN, *words, "choose another bundle"):
        adapter.check_policy(changed(manifest, **{section: keys}), ORIGIN)


def test_a_bundle_without_one_of_the_actions(spec: EmbodimentSpec, adapter: JointAdapter, manifest: Manifest) -> None:
    name, _ = first_key(manifest)
    keys = {key: value for key, value in manifest.action.items() if key != name}
    with refused(BundleError, ORIGIN, f"no action for {name} of {spec.name}", "choose another bundle"):
        adapter.check_policy(changed(manifest, action=keys), ORIGIN)


def test_a_bundle_that_looks_at_fewer_things(adapter: JointAdapter, manifest: Manifest) -> None:
    name, _ = first_key(manifest)
    keys = {key: value for key, value in manifest.state.items() if key != name}
    adapter.check_policy(changed(manifest, state=keys, cameras=manifest.cameras[:1]), ORIGIN)
