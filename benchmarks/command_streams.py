"""Recorded streams of commands, and how close they come to the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.franka_checks import check_stream
from unichunk.runtime.command_recording import largest_shares

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

FRANKA_JOINTS: Final = tuple(f"fr3_joint{number}" for number in range(1, 8))

AT_REST: Final = 1e-6
"""Smaller steps of the last set-points are rest, [rad]."""


@dataclass(frozen=True)
class Stream:
    """A recording.

    Attributes:
        steps: Control steps or periods, shape (N,).
        commands: Shape (N, n), [rad].
        starts: Where the robot stood before each stretch without a gap, shape (S, n), [rad]; none for what was sent.
        command_hz: Steps a second.
    """

    steps: NDArray[np.int64]
    commands: NDArray[np.float64]
    starts: NDArray[np.float64]
    command_hz: int

    def stretches(self) -> list[NDArray[np.float64]]:
        """Commands of consecutive steps, each (m, n)."""
        return np.split(self.commands, np.flatnonzero(np.diff(self.steps) != 1) + 1) if len(self.steps) else []


def read_stream(path: Path) -> Stream:
    """What `unichunk run --record` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        starts = archive["starts"] if "starts" in archive.files else np.empty((0, archive["commands"].shape[1]))
        return Stream(archive["steps"], archive["commands"], starts, int(archive["command_hz"]))


def worst_shares(stream: Stream, spec: EmbodimentSpec) -> dict[str, float]:
    """Largest velocity, acceleration and jerk over their limits.

    Of the groups that are commanded at the robot's own rate: the set-points that a slower group holds between two of
    its own are no stream at that rate.
    """
    shares = largest_shares(stream.steps, stream.commands, spec.limits, stream.command_hz)
    fast = [
        i for name, group in spec.groups.items() if group.command_hz == spec.command_hz for i in spec.joint_index(name)
    ]
    return {kind: float(values[fast].max()) for kind, values in shares.items()}


def franka_verdicts(stream: Stream, spec: EmbodimentSpec) -> list[str]:
    """What the published checks of an FR3's controller say of a stream of set-points, one line each.

    Every stretch must begin where the arm stood, pass all checks in every sample, and end at rest. Nothing for robots
    without that arm.
    """
    if not set(FRANKA_JOINTS) <= set(spec.joint_names):
        return []
    arm = [spec.joint_names.index(name) for name in FRANKA_JOINTS]
    verdicts = []
    for stretch, start in zip(stream.stretches(), stream.starts, strict=True):
        for check in check_stream(stretch[:, arm], start[arm]):
            verdicts.append(f"{'passed' if check.passed else 'FAILED'}, {len(stretch)} samples: {check.text}")
        moving = float(np.abs(np.diff(stretch[-4:, arm], axis=0)).max(initial=0.0))
        verdicts.append(f"{'passed' if moving < AT_REST else 'FAILED'}: ends at rest, last steps {moving:.1e} rad")
    return verdicts or ["FAILED: no set-point was recorded"]
