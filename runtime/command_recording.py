"""The stream of commands of a run, kept whole for whoever wants to check it against the robot's limits."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import ReportError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.limits import JointLimits

RECORDED_S: Final = 600.0
"""What fits into every recording, however long the run is meant to be, [s]."""

LONGEST_S: Final = 3600.0
"""Longest run that is recorded, [s]: its memory is taken at the start, 0.4 GB for 13 joints at 1 kHz."""

MARGIN_S: Final = 60.0
"""Room besides that for synchronizing, holding and recovering, [s]."""


def most_commands(command_hz: int, duration_s: float | None = None) -> int:
    """Capacity of a recording: ten minutes, the run's duration where that is longer, and a minute to spare.

    Args:
        command_hz: Commands a second.
        duration_s: How long the run is meant to be, [s], at most `LONGEST_S`; None where nobody knows.
    """
    return round((max(RECORDED_S, duration_s or 0.0) + MARGIN_S) * command_hz)


class CommandRecording:
    """Commands by control step. Memory is taken at the start: what does not fit is counted, not kept.

    Args:
        capacity: Most commands to keep.
        joints: Number of joints n.
    """

    def __init__(self, capacity: int, joints: int) -> None:
        self._steps: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self._commands: NDArray[np.float64] = np.zeros((capacity, joints))
        # Touched now, so that no page is fetched in the control thread.
        self._steps.fill(0)
        self._commands.fill(0.0)
        self._count = 0
        self.left_out = 0
        """Commands that did not fit."""

    def add(self, step: int, command: NDArray[np.float64]) -> None:
        """Keep a command (n,), [rad], of a control step."""
        if self._count == len(self._steps):
            self.left_out += 1
            return
        self._steps[self._count] = step
        self._commands[self._count] = command
        self._count += 1

    def save(self, path: Path, limits: JointLimits, command_hz: int, starts: NDArray[np.float64] | None = None) -> None:
        """Write what was kept, without a copy of it in memory, see `save_commands`."""
        save_commands(path, self.steps, self.commands, limits, command_hz, starts)

    def shortage(self, path: Path) -> str:
        """What of it is not in its file, one line; empty where everything fitted."""
        if not self.left_out:
            return ""
        return f"recording {path}: full, the first {self._count} commands are in it, {self.left_out} later ones are not"

    @property
    def steps(self) -> NDArray[np.int64]:
        """Control steps, shape (N,), increasing; numbers are left out where steps were missed or nothing was sent."""
        return self._steps[: self._count]

    @property
    def commands(self) -> NDArray[np.float64]:
        """Commands, shape (N, n), [rad]."""
        return self._commands[: self._count]


def check_recording_path(path: Path) -> None:
    """Make sure that a recording can be written, before anything moves. What lies there stays as it is.

    Raises:
        ReportError: Where the folder is absent or cannot be written to, or the path is taken by something else than a
            file.
    """
    try:
        if path.is_dir():
            raise ReportError(f"recording {path}: is a folder; give the name of a file")
        if path.exists() and not path.is_file():
            raise ReportError(f"recording {path}: is no regular file; give the name of a new one")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ReportError(f"recording {path}: cannot be written ({error.strerror}); choose another path") from None


def save_commands(
    path: Path,
    steps: NDArray[np.int64],
    commands: NDArray[np.float64],
    limits: JointLimits,
    command_hz: int,
    starts: NDArray[np.float64] | None = None,
) -> None:
    """Write a stream as an .npz file: `steps` (N,), `commands` (N, n), `joints` (n,), `command_hz`, perhaps `starts`.

    The starts, shape (S, n), are where the robot stood before each stretch of consecutive steps, [rad].

    It is written beside its place, then renamed.

    Raises:
        ReportError: Where it cannot be written; nothing is left behind.
    """
    arrays: dict[str, Any] = {"steps": steps, "commands": commands, "joints": np.array(limits.names)}
    arrays["command_hz"] = np.int64(command_hz)
    if starts is not None:
        arrays["starts"] = starts
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise ReportError(f"recording {path}: cannot be written ({error.strerror})") from None


def largest_shares(
    steps: NDArray[np.int64],
    commands: NDArray[np.float64],
    limits: JointLimits,
    command_hz: int,
    taken: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """The largest velocity, acceleration and jerk of a stream, as shares of the joints' limits.

    Backward differences over the control period, as the guard counts them. Only within stretches of consecutive
    steps: what a robot does in a step that was left out is not in the stream. Where only some commands count, divided
    differences over the time between those: averages of the derivatives, so a stream within the limits has none above.

    Args:
        steps: Shape (N,), increasing.
        commands: Shape (N, n), [rad].
        limits: Of the n joints.
        command_hz: Control steps a second.
        taken: Which commands count, shape (N,); None: all. For joints whose hardware takes commands at a lower rate,
            and of which the others only repeat what they hold: `embodiments.drivers.recording_device.taken`.

    Returns:
        `velocity`, `acceleration`, `jerk`, each shape (n,); zero where a stretch is too short.
    """
    bounds = {"velocity": limits.velocity, "acceleration": limits.acceleration, "jerk": limits.jerk}
    largest = {name: np.zeros(limits.size) for name in bounds}
    cuts = np.flatnonzero(np.diff(steps) != 1) + 1
    counts = np.ones(len(steps), dtype=bool) if taken is None else taken
    for stretch in np.split(np.arange(len(steps)), cuts):
        chosen = stretch[counts[stretch]]
        at, derivative = steps[chosen], commands[chosen]
        for order, (name, bound) in enumerate(bounds.items(), start=1):
            per_second = order * command_hz / (at[order:] - at[:-order])
            derivative = np.diff(derivative, axis=0) * per_second[:, None]
            if len(derivative):
                largest[name] = np.maximum(largest[name], np.abs(derivative).max(axis=0) / bound)
    return largest
