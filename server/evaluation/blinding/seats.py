"""All policies of the plan at one robot: connected and warm before it may be armed, whichever drives first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import UnichunkError
from unichunk.server.evaluation.blinding.seat import Seat
from unichunk.server.evaluation.errors import NotNow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.evaluation.blinding.hidden_policy import HiddenPolicy, Host, Seen
    from unichunk.server.evaluation.planning.campaign import Blinding

AGAIN_S: Final = 1.0
"""Pause before a policy that could not be connected is tried again, [s]."""


class Seats:
    """Keeps them so: what was lost is connected again. In one event loop.

    Args:
        hosts: The policies, in the plan's order.
        spec: The embodiment.
        blinding: Of the plan.
        trouble: Told in one line, by the policy's name, why one cannot be connected: for whoever runs the server.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        spec: EmbodimentSpec,
        blinding: Blinding,
        trouble: Callable[[str], None],
    ) -> None:
        self._seats = [Seat(host, spec, blinding) for host in hosts]
        self._trouble = trouble
        self._first: Seen | None = None
        self._taking: dict[int, asyncio.Task[None]] = {}

    @property
    def ready(self) -> bool:
        """Whether every policy is connected and warm."""
        return all(seat.policy is not None for seat in self._seats)

    def warm_up(self, first: Seen) -> None:
        """A robot came: connect what is not connected.

        Args:
            first: What it sees, for policies that want its fields.
        """
        self._first = first
        for seat in self._seats:
            self._take(seat)

    def get(self, number: int) -> tuple[Seat, HiddenPolicy]:
        """A policy's seat, and its connection.

        Raises:
            NotNow: Where it is not connected.
        """
        seat = self._seats[number]
        if seat.policy is None:
            raise NotNow("the policies are not ready for this robot yet: wait a moment, or see the server's log")
        return seat, seat.policy

    def lose(self, seat: Seat, *, hangs: bool) -> None:
        """Give a policy's connection up, and make another one.

        Args:
            seat: The policy's.
            hangs: Whether it is still busy: then its process is started anew.
        """
        seat.lose(hangs=hangs)
        self._take(seat)

    def close(self) -> None:
        """Hang up."""
        for task in self._taking.values():
            task.cancel()
        for seat in self._seats:
            seat.close()

    def _take(self, seat: Seat) -> None:
        taking = self._taking.get(seat.number)
        if seat.policy is None and (taking is None or taking.done()):
            self._taking[seat.number] = asyncio.ensure_future(self._keep_taking(seat))

    async def _keep_taking(self, seat: Seat) -> None:
        said = ""
        while seat.policy is None and self._first is not None:
            try:
                await asyncio.wrap_future(seat.take(self._first))
            except (UnichunkError, OSError) as error:
                if str(error) != said:
                    said = str(error)
                    self._trouble(said)
                await asyncio.sleep(AGAIN_S)
