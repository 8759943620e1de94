"""Recordings keep what was sent, exactly; and the shares of the limits are those of the stream's own differences."""

from __future__ import annotations

import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.one_line import refused
from unichunk.runtime.command_recording import (
    CommandRecording,
    check_recording_path,
    largest_shares,
    most_commands,
    save_commands,
)
from unichunk.runtime.errors import ReportError
from unichunk.runtime.guard import Guard
from unichunk.runtime.limits import JointLimits

LIMITS = JointLimits.of(["a", "b"], [-9, -9], [9, 9], [2.0, 4.0], [10.0, 20.0], [100.0, 400.0])
HZ = 100


def test_what_is_added_is_kept_bit_by_bit_and_what_does_not_fit_is_counted() -> None:
    random, recording = np.random.default_rng(0), CommandRecording(5, 2)
    commands = random.standard_normal((7, 2))
    for step, command in zip([3, 4, 9, 10, 11, 12, 13], commands, strict=True):
        scratch = command.copy()
        recording.add(step, scratch)
        scratch[:] = np.nan
    assert recording.steps.tolist() == [3, 4, 9, 10, 11]
    assert recording.commands.tobytes() == commands[:5].tobytes()
    assert recording.left_out == 2
    assert recording.shortage(Path("a.npz")) == (
        "recording a.npz: full, the first 5 commands are in it, 2 later ones are not"
    )
    assert CommandRecording(5, 2).shortage(Path("a.npz")) == ""


@pytest.mark.parametrize(
    ("duration_s", "commands"), [(None, 66_000), (20.0, 66_000), (600.0, 66_000), (1800.0, 186_000)]
)
def test_ten_minutes_fit_or_the_run_where_it_is_longer_and_a_minute(duration_s: float | None, commands: int) -> None:
    assert most_commands(HZ, duration_s) == commands


def test_a_recording_comes_back_from_its_file_bit_by_bit(tmp_path: Path) -> None:
    recording = CommandRecording(10, 2)
    for step in range(3):
        recording.add(step, np.array([0.1, 0.2]) * step)
    recording.save(tmp_path / "commands.npz", LIMITS, HZ)
    with np.load(tmp_path / "commands.npz", allow_pickle=False) as archive:
        assert sorted(archive) == ["command_hz", "commands", "joints", "steps"]
        assert archive["steps"].tobytes() == recording.steps.tobytes()
        assert archive["commands"].tobytes() == recording.commands.tobytes()
        assert archive["joints"].tolist() == ["a", "b"]
        assert archive["command_hz"] == HZ


def test_an_empty_recording_can_be_written_and_judged(tmp_path: Path) -> None:
    recording = CommandRecording(0, 2)
    recording.save(tmp_path / "commands.npz", LIMITS, HZ)
    shares = largest_shares(recording.steps, recording.commands, LIMITS, HZ)
    assert {name: share.tolist() for name, share in shares.items()} == {name: [0.0, 0.0] for name in shares}


def test_a_recording_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "commands.npz"
    with refused(ReportError, f"recording {path}: cannot be written (No such file or directory)"):
        save_commands(path, np.zeros(0, np.int64), np.zeros((0, 2)), LIMITS, HZ)
    with refused(ReportError, f"recording {path}: cannot be written (No such file or directory); choose another path"):
        check_recording_path(path)


def test_writing_takes_no_second_copy(tmp_path: Path) -> None:
    stream = np.zeros((2_000_000, 2))
    tracemalloc.start()
    try:
        save_commands(tmp_path / "commands.npz", np.zeros(1, np.int64), stream, LIMITS, HZ)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # NumPy writes pieces of 16 MiB.
    assert most < 18 * 2**20 < stream.nbytes


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path, stream = tmp_path / "commands.npz", np.zeros((10_000, 2))
    save_commands(path, np.arange(1), stream[:1], LIMITS, HZ)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with refused(ReportError, f"recording {path}: cannot be written (File too large)"):
            save_commands(path, np.arange(10_000), stream, LIMITS, HZ)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [entry.name for entry in tmp_path.iterdir()] == ["commands.npz"]
    with np.load(path, allow_pickle=False) as archive:
        assert archive["steps"].tolist() == [0]


def test_what_a_recording_cannot_replace_is_refused_before_and_all_else_left_alone(tmp_path: Path) -> None:
    with refused(ReportError, f"recording {tmp_path}: is a folder; give the name of a file"):
        check_recording_path(tmp_path)
    with refused(ReportError, "recording /dev/null: is no regular file; give the name of a new one"):
        check_recording_path(Path("/dev/null"))
    (tmp_path / "old.npz").write_text("old")
    check_recording_path(tmp_path / "old.npz")
    check_recording_path(tmp_path / "new.npz")
    assert [entry.name for entry in tmp_path.iterdir()] == ["old.npz"]
    assert (tmp_path / "old.npz").read_text() == "old"


def cubic(steps: np.ndarray) -> np.ndarray:
    """Positions whose backward differences are known: jerk 50 and -200 rad/s^3 throughout."""
    t = steps / HZ
    return np.stack([50 * t**3 / 6, -200 * t**3 / 6], axis=1)


def test_shares_are_those_of_the_backward_differences() -> None:
    steps = np.arange(20)
    q = cubic(steps)
    shares = largest_shares(steps, q, LIMITS, HZ)
    assert shares["jerk"] == pytest.approx([0.5, 0.5], rel=1e-9)
    assert (shares["velocity"] == np.abs(np.diff(q, axis=0) * HZ).max(axis=0) / LIMITS.velocity).all()
    acceleration = np.diff(np.diff(q, axis=0) * HZ, axis=0) * HZ
    assert (shares["acceleration"] == np.abs(acceleration).max(axis=0) / LIMITS.acceleration).all()


def test_nothing_is_concluded_across_a_gap_and_everything_beside_it() -> None:
    steps = np.concatenate([np.arange(20), np.arange(21, 30), [40], [50, 51]])
    q = cubic(steps) + np.where(steps[:, None] > 20, 5.0, 0.0)
    with_gaps = largest_shares(steps, q, LIMITS, HZ)
    whole = largest_shares(np.arange(30), cubic(np.arange(30)), LIMITS, HZ)
    assert with_gaps["jerk"] == pytest.approx(whole["jerk"], rel=1e-6)
    assert with_gaps["acceleration"] == pytest.approx(whole["acceleration"], rel=1e-9)
    # The pair at the end has a velocity, and nothing more.
    pair = np.abs(np.diff(q[-2:], axis=0)[0]) * HZ / LIMITS.velocity
    assert with_gaps["velocity"] == pytest.approx(pair, rel=1e-9)


def test_without_a_jerk_limit_its_share_is_zero() -> None:
    free = JointLimits.of(["a", "b"], [-9, -9], [9, 9], [2.0, 4.0], [10.0, 20.0])
    assert largest_shares(np.arange(20), cubic(np.arange(20)), free, HZ)["jerk"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("every", [2, 3, 7])
def test_of_what_is_held_only_the_commands_that_were_taken_count(every: int) -> None:
    random, guard = np.random.default_rng(every), Guard(LIMITS, HZ)
    guard.reset(np.zeros(2))
    stream, target = [], np.zeros(2)
    for step in range(600):
        if step % 40 == 0:
            target = random.uniform(-1, 1, 2)
        guard.filter(target)
        stream.append(guard.command.copy())
    steps = np.arange(600)
    taken = steps % every == 0
    # One that was not taken in time, as a last command before a rest.
    taken[-1] = True
    held = np.array(stream)[np.maximum.accumulate(np.where(taken, steps, 0))]
    for share in largest_shares(steps, held, LIMITS, HZ, taken).values():
        assert (share <= 1 + 1e-6).all()
        assert (share > 0.5).all()
    assert (largest_shares(steps, held, LIMITS, HZ)["jerk"] > 2).all()
