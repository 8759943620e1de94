"""A device that writes down the set-points it is given, around any other."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.drivers.device_around import DeviceAround
from unichunk.embodiments.drivers.group_rates import GroupRates
from unichunk.runtime.command_recording import CommandRecording, check_recording_path, most_commands

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.spec import EmbodimentSpec


def taken(
    periods: NDArray[np.int64], set_points: NDArray[np.float64], spec: EmbodimentSpec, group: str
) -> NDArray[np.bool_]:
    """In which periods of a recording a group was given its set-points; in the others it held those it had.

    Args:
        periods: Numbers of the periods, shape (N,), increasing, as recorded from the driver's start.
        set_points: What held in them, shape (N, n), [rad].
        spec: The robot.
        group: One of its groups.

    Returns:
        Shape (N,): the first period of every stretch, those in which the group was due, and those that brought others.
    """
    held = set_points[:, spec.joint_index(group)]
    rates = GroupRates({group: spec.groups[group].command_hz}, spec.command_hz)
    due = np.array([bool(rates.due(period)) for period in periods.tolist()], dtype=bool)
    due[:1] = True
    due[1:] |= (np.diff(periods) != 1) | (held[1:] != held[:-1]).any(axis=1)
    return due


class RecordingDevice(DeviceAround):
    """Passes everything on; what holds in each command period, once there was a first command, is in the recording.

    A group that was not due in a period is in the recording with the set-points that it holds. So, of a group whose
    rate is lower than the robot's, only the periods that `taken` tells are its stream. Numbers of periods are left out
    where the robot rested, between two streams at least one. Periods that the driver's loop left out because it was
    late have no numbers: a checked stream ends there, any other goes on as if they had not been.

    Memory is taken here: of a stream that is longer, the first periods are kept, and stopping says how many are not.

    Args:
        device: The device.
        spec: The robot.
        path: Where the recording is written when the device is stopped, an .npz file.
        capacity: Most periods to keep; None: as many as `most_commands` gives for a run of unknown length.
    """

    def __init__(self, device: RobotDevice, spec: EmbodimentSpec, path: Path, capacity: int | None = None) -> None:
        super().__init__(device)
        self._spec = spec
        self._path = path
        if capacity is None:
            capacity = most_commands(spec.command_hz)
        self._recording = CommandRecording(capacity, len(spec.joints))
        # One for each stretch that is kept, of which there are few.
        self._starts: list[NDArray[np.float64]] = []
        self._measured: NDArray[np.float64] = np.full(len(spec.joints), np.nan)
        self._newest: NDArray[np.float64] = np.zeros(len(spec.joints))
        self._follows = False
        self._begins = False
        self._period = 0

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"{self._device.description}, recorded"

    def start(self) -> None:
        """Start the device, once it is sure that its recording can be written.

        Raises:
            ReportError: Where it cannot; the device was not touched.
        """
        check_recording_path(self._path)
        self._device.start()

    def stop(self) -> None:
        """Stop the device and write the recording; a line on the standard error says what did not fit into it.

        Raises:
            ReportError: Where it cannot be written.
        """
        self._device.stop()
        starts = np.array(self._starts).reshape(-1, len(self._spec.joints))
        self._recording.save(self._path, self._spec.limits, self._spec.command_hz, starts)
        if shortage := self._recording.shortage(self._path):
            # Whoever started the driver may listen no more.
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"warning: {shortage}\n")
                sys.stderr.flush()

    def command(self, q: NDArray[np.float64]) -> None:
        """Pass the set-points on, shape (n,), [rad]."""
        self._begins |= not self._follows
        self._follows = True
        self._newest[:] = q
        self._device.command(q)

    def rest(self) -> None:
        """Bring the device to rest: where it holds is its own business, so the recording has a gap."""
        self._follows = False
        self._device.rest()

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Step the device; positions and velocities, each shape (n,), [rad] and [rad/s]."""
        if self._follows:
            self._recording.add(self._period, self._newest)
            if self._begins and not self._recording.left_out:
                self._starts.append(self._measured.copy())
            self._begins = False
        self._period += 1
        q, dq = self._device.step()
        self._measured = q
        return q, dq
