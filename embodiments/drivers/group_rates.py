"""Groups of joints whose hardware takes commands at different rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class GroupRates:
    """When each group gets a set-point. Knows no clock.

    A group is due in those periods k in which floor(k hz / base_hz) has changed: exactly hz times a second on average,
    and each time within one period of the even spacing, for rates that do not divide the base's, too.

    Args:
        rates_hz: Group -> its command rate.
        base_hz: Periods a second, not less than any of the rates.
    """

    def __init__(self, rates_hz: Mapping[str, int], base_hz: int) -> None:
        self._rates_hz = dict(rates_hz)
        self._base_hz = base_hz

    def due(self, period: int) -> tuple[str, ...]:
        """The groups that get a set-point in a period; all of them in period 0."""
        base = self._base_hz
        return tuple(name for name, hz in self._rates_hz.items() if period * hz // base != (period - 1) * hz // base)


class GroupCommands:
    """Passes the newest set-points of each group on when it is due; until then the group keeps those it had.

    The stream that arrives has one set-point a period for all joints and respects their limits. Taking every so many
    samples of such a stream gives one that respects them too: its divided differences are averages of the stream's.
    Where the rate does not divide, the samples are not evenly spaced, and count with the time that is between them.

    Args:
        rates: When each group is due.
        joints: Group -> positions of its joints in the set-points.

    Attributes:
        applied: Group -> how many set-points it was given.
    """

    def __init__(self, rates: GroupRates, joints: Mapping[str, list[int]]) -> None:
        self._rates = rates
        self._joints = {name: np.array(index) for name, index in joints.items()}
        self._newest: NDArray[np.float64] | None = None
        self._given: NDArray[np.float64] | None = None
        self._waiting: set[str] = set()
        self.applied = dict.fromkeys(joints, 0)

    @property
    def waiting(self) -> bool:
        """Whether some group has not been given its newest set-points."""
        return bool(self._waiting)

    def offer(self, q: NDArray[np.float64]) -> None:
        """Take new set-points of all joints, shape (n,), [rad]."""
        self._newest = q
        self._waiting.update(self._joints)

    def clear(self) -> None:
        """Forget everything: the robot was brought to rest."""
        self._newest = self._given = None
        self._waiting.clear()

    def flush(self) -> NDArray[np.float64] | None:
        """The last set-points of a stream: every group gets its newest now, whether it is due or not.

        Returns:
            As `take`.
        """
        if self._newest is None or not self._waiting:
            return None
        self._given = self._newest.copy()
        for name in self._waiting:
            self.applied[name] += 1
        self._waiting.clear()
        return self._given.copy()

    def take(self, period: int) -> NDArray[np.float64] | None:
        """The set-points of a period.

        The first after a rest go to all groups at once, because nobody knows what the others would keep.

        Args:
            period: Its number; asked for in rising order.

        Returns:
            Of all joints, shape (n,), [rad], an array of the caller's own; None where no group gets anything new.
        """
        if self._newest is None or not self._waiting:
            return None
        if self._given is None:
            return self.flush()
        groups = tuple(name for name in self._rates.due(period) if name in self._waiting)
        for name in groups:
            self._given[self._joints[name]] = self._newest[self._joints[name]]
            self.applied[name] += 1
        self._waiting.difference_update(groups)
        return self._given.copy() if groups else None
