"""A device that writes down the set-points it is given, around any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.drivers.device_around import DeviceAround
from unichunk.embodiments.drivers.group_rates import GroupRates
from unichunk.runtime.command_recording import save_commands

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
    late have no numbers: a stream that is checked ends there, of any other the differences are larger than they were.

    Args:
        device: The device.
        spec: The robot.
        path: Where the recording is written when the device is stopped, an .npz file.
    """

    def __init__(self, device: RobotDevice, spec: EmbodimentSpec, path: Path) -> None:
        super().__init__(device)
        self._measured: NDArray[np.float64] = np.full(len(spec.joints), np.nan)
        self._starts: list[NDArray[np.float64]] = []
        self._spec = spec
        self._path = path
        self._newest: NDArray[np.float64] | None = None
        self._begins = False
        self._period = 0
        self._periods: list[int] = []
        self._set_points: list[NDArray[np.float64]] = []

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"{self._device.description}, recorded"

    def stop(self) -> None:
        """Stop the device and write the recording.

        Raises:
            ReportError: Where it cannot be written.
        """
        self._device.stop()
        commands = np.array(self._set_points).reshape(len(self._periods), len(self._spec.joints))
        starts = np.array(self._starts).reshape(-1, len(self._spec.joints))
        steps = np.array(self._periods, np.int64)
        save_commands(self._path, steps, commands, self._spec.limits, self._spec.command_hz, starts)

    def command(self, q: NDArray[np.float64]) -> None:
        """Pass the set-points on, shape (n,), [rad]."""
        self._begins |= self._newest is None
        self._newest = q.copy()
        self._device.command(q)

    def rest(self) -> None:
        """Bring the device to rest: where it holds is its own business, so the recording has a gap."""
        self._newest = None
        self._device.rest()

    def step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Step the device; positions and velocities, each shape (n,), [rad] and [rad/s]."""
        if self._newest is not None:
            if self._begins:
                self._starts.append(self._measured)
                self._begins = False
            self._periods.append(self._period)
            self._set_points.append(self._newest)
        self._period += 1
        q, dq = self._device.step()
        self._measured = q
        return q, dq
