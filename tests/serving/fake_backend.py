"""A backend without workers: what it answers, and when, the test says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from unichunk.server.serving.backend import Load, SwapRefused, UnknownPolicy
from unichunk.server.serving.work import Answer, Description

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.server.serving.backend import Caller
    from unichunk.server.serving.work import Work

DIGEST = "ab" * 32
HANDSHAKE = b"\x81\xa5hello\x01"


def description(
    name: str = "tiny", *, manifest: bytes = b"\x80", robots: tuple[str, ...] = ("so101", "d1")
) -> Description:
    """A policy that exists in name alone."""
    return Description(
        name=name,
        kind="bundle",
        digest=DIGEST,
        robots=robots,
        manifest=manifest,
        max_batch=1,
        refinement_rounds=0,
        handshake=dict.fromkeys(robots, HANDSHAKE),
        modality={robot: {"video": {"delta_indices": [0], "modality_keys": ["front"]}} for robot in robots},
        service_s=0.001,
    )


class FakeBackend:
    """Answers what it is told to, and writes down what it was asked.

    Attributes:
        asked: Every request: policy, work, caller, deadline.
        given_up: Requests that were cancelled.
        answer_with: Makes an answer of a request; may raise.
        takes_s: How long that lasts, [s].
        gate: Requests wait for it.
    """

    def __init__(self, *policies: str) -> None:
        self.asked: list[tuple[str, Work, Caller, float | None]] = []
        self.given_up: list[Work] = []
        self.answer_with: Callable[[Work], Answer] = lambda work: Answer(payload=work.payload)
        self.takes_s = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.workers = 1
        self.closed = False
        self._loaded = {name: description() for name in policies or ("tiny",)}

    async def start(self) -> None:
        """Nothing to load."""

    @property
    def policies(self) -> Sequence[str]:
        return list(self._loaded)

    def describe(self, policy: str) -> Description:
        if policy not in self._loaded:
            raise UnknownPolicy(f"no policy {policy}")
        return self._loaded[policy]

    def load(self, policy: str) -> Load:
        return Load(waiting=0, running=0, workers=self.workers, service_s=0.001)

    async def answer(self, policy: str, work: Work, caller: Caller, *, deadline_s: float | None = None) -> Answer:
        self.asked.append((policy, work, caller, deadline_s))
        try:
            if self.takes_s:
                await asyncio.sleep(self.takes_s)
            await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up.append(work)
            raise
        return self.answer_with(work)

    async def swap(self, policy: str, source: str, *, force: bool = False) -> Description:
        if source == "bad":
            raise SwapRefused("bad: no such bundle; what was there goes on")
        self._loaded[policy] = description(source)
        return self._loaded[policy]

    async def close(self) -> None:
        self.closed = True
