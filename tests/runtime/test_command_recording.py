"""Recordings keep what was sent, exactly; and the shares of the limits are those of the stream's own differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.one_line import refused
from unichunk.runtime.command_recording import CommandRecording, largest_shares, save_commands
from unichunk.runtime.errors import ReportError
from unichunk.runtime.guard import Guard
from unichunk.runtime.limits import JointLimits

if TYPE_CHECKING:
    from pathlib import Path

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
