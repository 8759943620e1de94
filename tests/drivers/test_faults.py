"""Faults on purpose: parsed, timed from the first command, played by a device around a working one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.drivers.fake_device import FakeDevice
from tests.drivers.serving import eventually, serve
from tests.one_line import refused
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.faults import Fault, FaultKind, FaultPlan, parse_fault
from unichunk.embodiments.drivers.faulty_device import FaultyDevice
from unichunk.embodiments.drivers.state_history import StateHistory
from unichunk.embodiments.link.messages import State

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


def test_faults_are_parsed() -> None:
    assert parse_fault("freeze_camera@5") == Fault(FaultKind.FREEZE_CAMERA, 5.0)
    assert parse_fault("die@0.25") == Fault(FaultKind.DIE, 0.25)


@pytest.mark.parametrize("text", ["", "die", "die@", "die@soon", "die@-1", "die@nan", "die@inf", "explode@3", "@3"])
def test_other_texts_are_refused(text: str) -> None:
    with refused(DriverError, repr(text), "expected KIND@SECONDS", "freeze_camera, stall_camera, die"):
        parse_fault(text)


def test_time_starts_with_the_first_command() -> None:
    plan = FaultPlan([Fault(FaultKind.DIE, 5.0)])
    assert not plan.active(FaultKind.DIE, 100.0)
    plan.commanded(100.0)
    plan.commanded(103.0)
    assert not plan.active(FaultKind.DIE, 104.9)
    assert plan.active(FaultKind.DIE, 105.0)
    assert not plan.active(FaultKind.STALL_CAMERA, 105.0)


def test_a_frozen_camera_repeats_its_picture_under_fresh_stamps(spec: EmbodimentSpec, endpoint: str) -> None:
    device = FaultyDevice(FakeDevice(spec), [Fault(FaultKind.FREEZE_CAMERA, 0.1)])
    with serve(spec, device, endpoint) as served:
        link = served.make_link()
        link.connect()
        link.commands.send(0, spec.rest)
        time.sleep(0.3)
        assert link.sensors.wait(1.0)
        first = link.sensors.newest()
        assert link.sensors.wait(1.0)
        second = link.sensors.newest()
        assert second.stamp_ns > first.stamp_ns
        assert np.array_equal(second.frames["third_person"].image, first.frames["third_person"].image)


def test_a_stalled_camera_falls_silent_while_states_go_on(spec: EmbodimentSpec, endpoint: str) -> None:
    device = FaultyDevice(FakeDevice(spec), [Fault(FaultKind.STALL_CAMERA, 0.1)])
    with serve(spec, device, endpoint) as served:
        link = served.make_link()
        link.connect()
        eventually(lambda: link.sensors.newest() is not None)
        link.commands.send(0, spec.rest)
        time.sleep(0.3)
        last, state = link.sensors.newest(), link.states.newest()
        assert not link.sensors.wait(0.2)
        assert link.sensors.newest() is last
        assert link.states.newest().sequence > state.sequence


def test_the_state_closest_to_a_frame_is_found() -> None:
    history = StateHistory(3)
    assert history.closest(5) is None
    for stamp in (10, 20, 30, 40):
        history.add(_state(stamp))
    assert [history.closest(stamp).stamp_ns for stamp in (0, 20, 24, 26, 36, 99)] == [20, 20, 20, 30, 40, 40]


def _state(stamp_ns: int) -> State:
    zeros = np.zeros(1)
    return State(
        sequence=0,
        stamp_ns=stamp_ns,
        q=zeros,
        dq=zeros,
        watchdog=False,
        stopped=False,
        session="",
        last_command_sequence=-1,
    )
