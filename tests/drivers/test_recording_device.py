"""What a recording around a device has: every period's set-points, gaps where it rested, and whose turn it was."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.drivers.fake_device import FakeDevice
from tests.drivers.judged_device import JudgedDevice
from tests.drivers.loop_bench import LoopBench
from tests.one_line import refused
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers.recording_device import RecordingDevice, taken
from unichunk.runtime.command_recording import largest_shares
from unichunk.runtime.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unichunk.embodiments.spec import EmbodimentSpec


def recorded(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return archive["steps"], archive["commands"]


def test_everything_is_passed_on(spec: EmbodimentSpec, tmp_path: Path) -> None:
    device = FakeDevice(spec)
    recording = RecordingDevice(device, spec, tmp_path / "set_points.npz")
    assert recording.description == "fake, recorded"
    assert recording.simulated
    recording.start()
    assert device.running
    recording.command(spec.rest + 0.01)
    assert device.target.tobytes() == (spec.rest + 0.01).tobytes()
    q, dq = recording.step()
    assert q.tobytes() == device.q.tobytes()
    assert dq.any()
    recording.rest()
    assert device.resting == 1
    assert list(recording.cameras()) == list(spec.cameras)
    assert recording.task_begin("do it") == ""
    assert device.instruction == "do it"
    assert recording.task_end() == {"duration_s": 1.0}
    recording.stop()
    assert not device.running


def test_each_period_has_what_held_in_it_and_rests_are_gaps(spec: EmbodimentSpec, tmp_path: Path) -> None:
    recording = RecordingDevice(FakeDevice(spec), spec, tmp_path / "set_points.npz")
    recording.start()
    one, two = spec.rest + 0.01, spec.rest + 0.02
    plan = [None, None, one, None, two, "rest", None, one, "rest"]
    for event in plan:
        if isinstance(event, str):
            recording.rest()
        elif event is not None:
            scratch = event.copy()
            recording.command(scratch)
            scratch[:] = np.nan
        recording.step()
    recording.stop()
    periods, set_points = recorded(tmp_path / "set_points.npz")
    assert periods.tolist() == [2, 3, 4, 7]
    assert set_points.tobytes() == np.array([one, one, two, one]).tobytes()


def test_without_a_command_the_recording_is_empty(spec: EmbodimentSpec, tmp_path: Path) -> None:
    recording = RecordingDevice(FakeDevice(spec), spec, tmp_path / "set_points.npz")
    recording.start()
    recording.step()
    recording.stop()
    periods, set_points = recorded(tmp_path / "set_points.npz")
    assert (periods.shape, set_points.shape) == ((0,), (0, len(spec.joints)))
    assert taken(periods, set_points, spec, "arm_joints").tolist() == []


def test_a_recording_that_cannot_be_written_is_said_after_the_device_was_released(
    spec: EmbodimentSpec, tmp_path: Path
) -> None:
    device, path = FakeDevice(spec), tmp_path / "there" / "set_points.npz"
    path.parent.mkdir()
    recording = RecordingDevice(device, spec, path)
    recording.start()
    path.parent.rmdir()
    with refused(ReportError, f"recording {path}: cannot be written (No such file or directory)"):
        recording.stop()
    assert not device.running


def test_a_recording_that_could_not_be_written_touches_no_device(spec: EmbodimentSpec, tmp_path: Path) -> None:
    device, path = FakeDevice(spec), tmp_path / "nowhere" / "set_points.npz"
    with refused(ReportError, f"recording {path}: cannot be written (No such file or directory); choose another path"):
        RecordingDevice(device, spec, path).start()
    assert not device.running


@pytest.mark.parametrize(("capacity", "kept", "starts"), [(0, [], 0), (3, [1, 2, 3], 1), (4, [1, 2, 3, 6], 2)])
def test_what_does_not_fit_is_counted_and_said_once_at_the_end(
    spec: EmbodimentSpec,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    capacity: int,
    kept: list[int],
    starts: int,
) -> None:
    path = tmp_path / "set_points.npz"
    recording = RecordingDevice(FakeDevice(spec), spec, path, capacity)
    recording.start()
    stood = [recording.step()[0]]
    for period in range(1, 20):
        if period == 4:
            recording.rest()
        elif period not in {5, 13}:
            recording.command(spec.rest + 0.01 * period)
        stood.append(recording.step()[0])
    assert capsys.readouterr().err == ""
    recording.stop()
    left_out = 17 - capacity
    assert capsys.readouterr().err == (
        f"warning: recording {path}: full, the first {capacity} commands are in it, {left_out} later ones are not\n"
    )
    with np.load(path, allow_pickle=False) as archive:
        assert archive["steps"].tolist() == kept
        assert archive["commands"].shape == (capacity, len(spec.joints))
        # One for each stretch that is in the recording, wherever it was full.
        assert archive["starts"].tobytes() == np.array([stood[0], stood[5]][:starts]).tobytes()


def test_ten_minutes_fit_and_memory_does_not_grow(spec: EmbodimentSpec, tmp_path: Path) -> None:
    recording = RecordingDevice(FakeDevice(spec), spec, tmp_path / "set_points.npz")
    recording.start()
    step, q = recording.step, spec.rest + 0.01
    recording.command(q)
    tracemalloc.start()
    try:
        for _ in range(600 * spec.command_hz):
            step()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 20_000
    recording.stop()
    periods, _ = recorded(tmp_path / "set_points.npz")
    assert len(periods) == 600 * spec.command_hz


@pytest.mark.parametrize("length", [331, 340])
def test_a_slower_hand_is_within_its_limits_in_its_own_periods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    spec = load_spec("fr3_inspire")
    device = JudgedDevice(spec)
    recording = RecordingDevice(device, spec, tmp_path / "set_points.npz")
    bench = LoopBench(spec, recording, monkeypatch)

    def script() -> Iterator[int]:
        yield 0
        for session in ("one", "two"):
            bench.hello(session)
            for _ in range(length):
                bench.command(spec.rest + 0.09, session)
                yield 0
            bench.lease.release(session)
            for _ in range(400):
                yield 0

    bench.run(script())
    recording.stop()
    periods, set_points = recorded(tmp_path / "set_points.npz")
    assert (np.diff(periods) > 1).sum() == 1
    streams = np.split(set_points, np.flatnonzero(np.diff(periods) != 1) + 1)
    assert [np.array(stream.set_points).tobytes() for stream in device.streams] == [q.tobytes() for q in streams]
    hand = spec.joint_index("right_hand")
    given = taken(periods, set_points, spec, "right_hand")
    # The last set-points of a stream do not show where they repeat what the hand has.
    assert 0 <= bench.counters.applied["right_hand"] - given.sum() <= 2
    assert taken(periods, set_points, spec, "right_arm").all()
    shares = largest_shares(periods, set_points, spec.limits, spec.command_hz, given)
    assert all((share[hand] <= 1 + 1e-6).all() for share in shares.values())
    assert (largest_shares(periods, set_points, spec.limits, spec.command_hz)["jerk"][hand] > 2).all()
