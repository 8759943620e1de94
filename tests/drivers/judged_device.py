"""A robot that wants exactly one set-point a period while a stream runs, and keeps every stream for later judgement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tests.drivers.fake_device import FakeDevice
from unichunk.embodiments.franka_checks import check_stream

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


@dataclass
class Stream:
    """What came from one first set-point to the next rest, and where the robot stood before it."""

    start: np.ndarray
    arm: list[int]
    set_points: list[np.ndarray] = field(default_factory=list)

    @property
    def ends_at_rest(self) -> bool:
        """Whether the arm does; a slower hand may get the last set-points that it was not due for."""
        return len({q[self.arm].tobytes() for q in self.set_points[-3:]}) == 1


class JudgedDevice(FakeDevice):
    def __init__(self, spec: EmbodimentSpec) -> None:
        super().__init__(spec)
        self.streams: list[Stream] = []
        self.stream: Stream | None = None
        self._given, self._rested = 0, False
        self.runaway: np.ndarray | float = 0.0
        """What moves a robot that was told to rest, in every period, [rad]."""
        self._arm = spec.joint_index("right_arm")

    def command(self, q: np.ndarray) -> None:
        assert not self._rested, "a stream begins in the very period of a rest"
        super().command(q)
        if self.stream is None:
            self.stream = Stream(self.q.copy(), self._arm)
            self.streams.append(self.stream)
        self.stream.set_points.append(q.copy())
        self._given += 1

    def rest(self) -> None:
        super().rest()
        self._rested = True
        self.stream = None

    def step(self) -> tuple[np.ndarray, np.ndarray]:
        assert self._given == (self.stream is not None), "not exactly one set-point in this period"
        self._given, self._rested = 0, False
        if self.stream is None:
            self.target = self.target + self.runaway
        return super().step()

    def complaints(self) -> list[str]:
        """What the controller of a Franka arm would have refused."""
        return [
            f"stream {number}: {check.text}"
            for number, stream in enumerate(self.streams)
            for check in check_stream(np.array(stream.set_points)[:, self._arm], stream.start[self._arm])
            if not check.passed
        ]
