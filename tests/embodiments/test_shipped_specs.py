"""The contract of all specs that ship with the project."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.spec import RampFallback, embodiment_names, load_spec
from unichunk.kinematics.model import KinematicModel, urdf_path

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


def model_of(spec: EmbodimentSpec) -> KinematicModel:
    return KinematicModel.from_urdf(urdf_path(spec.model), spec.joint_names)


def test_there_are_some() -> None:
    assert "so101" in embodiment_names()
    assert list(embodiment_names()) == sorted(embodiment_names())


def test_a_spec_goes_by_the_name_of_its_file() -> None:
    assert [load_spec(name).name for name in embodiment_names()] == list(embodiment_names())


def test_limits_are_those_of_the_joints(spec: EmbodimentSpec) -> None:
    limits = spec.limits
    assert limits.names == spec.joint_names
    assert limits.size == len(spec.joints)
    for values in (limits.lower, limits.upper, limits.velocity, limits.acceleration):
        assert values.shape == (limits.size,)
        assert np.isfinite(values).all()
        assert not values.flags.writeable
    assert (limits.lower < limits.upper).all()
    assert (limits.velocity > 0).all()
    assert (limits.acceleration > 0).all()


def test_the_rest_pose_is_within_the_limits(spec: EmbodimentSpec) -> None:
    assert spec.rest.shape == (len(spec.joints),)
    assert (spec.rest >= spec.limits.lower).all()
    assert (spec.rest <= spec.limits.upper).all()


def test_a_joint_can_reach_its_speed_and_stop_within_its_range(spec: EmbodimentSpec) -> None:
    """Limits that contradict each other are typing mistakes: degrees for radians, a missing zero."""
    ramp = spec.limits.velocity**2 / (2 * spec.limits.acceleration)
    assert (ramp < spec.limits.upper - spec.limits.lower).all()
    assert (spec.limits.velocity < 20).all()
    assert (spec.limits.upper - spec.limits.lower < 4 * math.pi).all()


def test_groups_cover_the_joints_and_their_slots(spec: EmbodimentSpec) -> None:
    index = [i for name in spec.groups for i in spec.joint_index(name)]
    assert sorted(index) == list(range(len(spec.joints)))
    slots = [slot for group in spec.groups.values() for slot in range(*group.slots)]
    assert len(set(slots)) == len(slots) == len(spec.joints)
    assert min(slots) >= 0
    assert max(slots) < 200


def test_the_model_has_the_joints_the_tool_and_at_least_the_range(spec: EmbodimentSpec) -> None:
    model = model_of(spec)
    assert model.frame_pose(spec.rest, spec.tool_frame).shape == (4, 4)
    for joint in spec.joints:
        assert model.joints[joint.name].lower <= joint.lower + 1e-3
        assert model.joints[joint.name].upper >= joint.upper - 1e-3


def test_rates_and_times_fit_each_other(spec: EmbodimentSpec) -> None:
    assert 10 <= spec.action_hz <= 50
    assert 50 <= spec.command_hz <= 1000
    # One late command is no reason to stop, and a frame must be allowed to be one frame old.
    assert spec.watchdog_s > 2 / spec.command_hz
    for camera in spec.cameras.values():
        assert spec.observation_max_age_s > 1 / camera.fps
        assert spec.frozen_camera_s > 2 / camera.fps
    assert spec.observation_max_age_s > 1 / spec.action_hz


def test_the_fallback_is_declared(spec: EmbodimentSpec) -> None:
    if isinstance(spec.fallback, RampFallback):
        assert 0 < spec.fallback.velocity_fraction <= 1
