"""The simulated robot in a thread of its own, for callers in an event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.evaluation.demo.simulated_robot import SimulatedRobot

T = TypeVar("T")


class RobotThread:
    """Constructs a robot in a thread, and does everything with it there: its cameras' graphics belong to one thread.

    Args:
        make: Makes the robot.
    """

    def __init__(self, make: Callable[[], SimulatedRobot]) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="simulated robot")
        self._make = make
        self._robot: SimulatedRobot | None = None

    async def do(self, what: Callable[[SimulatedRobot], T]) -> T:
        """Do something with the robot, after everything that was asked before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, what)

    async def close(self) -> None:
        """Close the robot, and end the thread."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._close)
        await loop.run_in_executor(None, self._thread.shutdown)

    def _do(self, what: Callable[[SimulatedRobot], T]) -> T:
        if self._robot is None:
            self._robot = self._make()
        return what(self._robot)

    def _close(self) -> None:
        if self._robot is not None:
            self._robot.close()
            self._robot = None
