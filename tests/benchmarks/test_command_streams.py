"""What is said of recorded command streams: shares of limits at the robot's own rate, and the FR3's checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from unichunk.benchmarks.command_streams import FRANKA_JOINTS, Stream, franka_verdicts, read_stream, worst_shares
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.spec import EmbodimentSpec  # noqa: TC001  used in an annotation of a fixture
from unichunk.runtime.command_recording import save_commands
from unichunk.runtime.motion import Ramp

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def fr3() -> EmbodimentSpec:
    return load_spec("fr3_inspire")


def ramp(spec: EmbodimentSpec, share: float = 0.5, by: float = 0.1) -> NDArray[np.float64]:
    """Set-points from rest to rest at a share of the limits, shape (N, n)."""
    limits = spec.limits
    motion = Ramp(
        spec.rest,
        spec.rest + by,
        velocity=share * limits.velocity,
        acceleration=share * limits.acceleration,
        jerk=share * limits.jerk,
        command_hz=spec.command_hz,
    )
    rows = [spec.rest]
    while not motion.finished:
        rows.append(np.empty_like(spec.rest))
        motion.sample(len(rows), rows[-1])
    return np.array(rows + 5 * rows[-1:])


def stream(spec: EmbodimentSpec, *stretches: NDArray[np.float64], start: NDArray[np.float64] | None = None) -> Stream:
    """Stretches with gaps between them."""
    steps = [1000 * i + np.arange(len(stretch)) for i, stretch in enumerate(stretches)]
    starts = np.array([spec.rest if start is None else start] * len(stretches))
    return Stream(np.concatenate(steps), np.concatenate(stretches), starts, spec.command_hz)


def test_shares_are_those_of_the_arms_backward_differences(fr3: EmbodimentSpec) -> None:
    commands = ramp(fr3)
    shares = worst_shares(stream(fr3, commands), fr3)
    arm = fr3.joint_index("right_arm")
    limits = [fr3.limits.velocity, fr3.limits.acceleration, fr3.limits.jerk]
    for order, (kind, limit) in enumerate(zip(("velocity", "acceleration", "jerk"), limits, strict=True), start=1):
        derivative = np.diff(commands, n=order, axis=0) * float(fr3.command_hz) ** order
        assert shares[kind] == pytest.approx(float((np.abs(derivative) / limit)[:, arm].max()))
        assert 0.0 < shares[kind] <= 0.5 + 1e-6


def test_a_slower_hand_is_no_stream_at_the_robots_rate(fr3: EmbodimentSpec) -> None:
    commands = ramp(fr3)
    commands[40:, fr3.joint_index("right_hand")] += 0.3
    assert worst_shares(stream(fr3, commands), fr3) == worst_shares(stream(fr3, ramp(fr3)), fr3)
    commands[40:, fr3.joint_index("right_arm")[2]] += 0.3
    assert worst_shares(stream(fr3, commands), fr3)["velocity"] > 1.0


def test_stretches_from_rest_to_rest_pass_the_controllers_checks(fr3: EmbodimentSpec) -> None:
    verdicts = franka_verdicts(stream(fr3, ramp(fr3), ramp(fr3)), fr3)
    assert len(verdicts) == 2 * 7
    assert all(verdict.startswith("passed") for verdict in verdicts)


@pytest.mark.parametrize(
    ("broken", "word"), [("step", "jerk"), ("start", "start pose"), ("end", "ends at rest"), ("nan", "finite")]
)
def test_one_bad_sample_fails(fr3: EmbodimentSpec, broken: str, word: str) -> None:
    commands, start = ramp(fr3), fr3.rest.copy()
    joint = fr3.joint_names.index(FRANKA_JOINTS[3])
    if broken == "step":
        commands[50:, joint] += 2e-5
    elif broken == "start":
        start[joint] += 1e-4
    elif broken == "end":
        commands = commands[: len(commands) // 2]
    else:
        commands[7, joint] = np.nan
    verdicts = franka_verdicts(stream(fr3, ramp(fr3), commands, start=start), fr3)
    assert any(verdict.startswith("FAILED") and word in verdict for verdict in verdicts)


def test_nothing_recorded_is_a_failure_and_other_arms_are_not_asked(fr3: EmbodimentSpec) -> None:
    nothing = Stream(np.empty(0, np.int64), np.empty((0, len(fr3.joints))), np.empty((0, len(fr3.joints))), 1000)
    assert franka_verdicts(nothing, fr3) == ["FAILED: no set-point was recorded"]
    so101 = load_spec("so101")
    assert franka_verdicts(stream(so101, ramp(so101)), so101) == []


def test_what_was_recorded_is_read_back_with_and_without_starts(fr3: EmbodimentSpec, tmp_path: Path) -> None:
    written = stream(fr3, ramp(fr3), ramp(fr3))
    for starts in (written.starts, None):
        path = tmp_path / "recording.npz"
        save_commands(path, written.steps, written.commands, fr3.limits, fr3.command_hz, starts)
        read = read_stream(path)
        assert read.command_hz == 1000
        assert read.commands.tobytes() == written.commands.tobytes()
        assert [len(stretch) for stretch in read.stretches()] == [len(ramp(fr3))] * 2
        assert read.starts.tobytes() == (b"" if starts is None else written.starts.tobytes())
        path.unlink()
