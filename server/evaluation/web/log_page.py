"""The page of auditors: the log, and its head to be kept elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

import msgspec
from fastapi import Request  # noqa: TC002  (read at run time)
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from unichunk.server.evaluation.web.places import LOG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from unichunk.server.evaluation.desk import Desk
    from unichunk.server.evaluation.store.chain import Event
    from unichunk.server.evaluation.web.gate import Gate
    from unichunk.server.evaluation.web.pages import Pages
    from unichunk.server.serving.identity import Identity

PAGE: Final = 100
"""Events on one page."""

PIECE: Final = 1000
"""Events that are read at once for an export."""


@dataclass(frozen=True)
class Line:
    """One event, for people.

    Attributes:
        event: As it is stored.
        at: UTC, to the second.
        actor: Who.
        role: Their role; `server` for the server itself.
        command: What.
        trial: Which trial; empty where it is about none.
    """

    event: Event
    at: str
    actor: str
    role: str
    command: str
    trial: str


class LogPage:
    """The log, page by page and whole.

    Args:
        desk: The campaign.
        gate: Knows who asks.
        pages: The templates.
    """

    def __init__(self, desk: Desk, gate: Gate, pages: Pages) -> None:
        self._desk = desk
        self._gate = gate
        self._pages = pages

    def add_to(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(LOG.path, self.page, methods=["GET"])
        app.add_api_route("/log/head.txt", self.head, methods=["GET"])
        app.add_api_route("/log/events.jsonl", self.export, methods=["GET"])

    async def page(self, request: Request) -> Response:
        """Events, the newest first; `?before=N` for older ones."""
        visitor = self._gate.visitor(request, *LOG.rights)
        head = await self._desk.head(visitor.who)
        last = min(head.seq, _number(request.query_params.get("before"), head.seq + 1) - 1)
        after = max(0, last - PAGE)
        events = await self._desk.log(visitor.who, after, last - after) if last > after else []
        lines = [line_of(event) for event in reversed(events)]
        older = after + 1 if after else 0
        return self._pages.page(request, "log", visitor, lines=lines, head=head, older=older)

    async def head(self, request: Request) -> Response:
        """The head, as `unichunk eval verify --head` takes it."""
        visitor = self._gate.visitor(request, *LOG.rights)
        head = await self._desk.head(visitor.who)
        return PlainTextResponse(f"{head}\n", headers=_saved_as(f"head-{head.seq}.txt"))

    async def export(self, request: Request) -> Response:
        """All events as they are stored, one JSON object a line."""
        visitor = self._gate.visitor(request, *LOG.rights)
        head = await self._desk.head(visitor.who)
        name = f"events-{head.seq}.jsonl"
        return StreamingResponse(
            self._events(visitor.who, head.seq), media_type="application/jsonl", headers=_saved_as(name)
        )

    async def _events(self, who: Identity, last: int) -> AsyncIterator[bytes]:
        after = 0
        while after < last:
            events = await self._desk.log(who, after, min(PIECE, last - after))
            if not events:
                return
            after = events[-1].seq
            yield b"".join(msgspec.json.encode(event) + b"\n" for event in events)


def line_of(event: Event) -> Line:
    """An event, for people."""
    entry = event.entry
    at = datetime.fromtimestamp(entry.at_ns // 1_000_000_000, timezone.utc)
    command = msgspec.to_builtins(entry.command)
    return Line(
        event=event,
        at=f"{at:%Y-%m-%d %H:%M:%S}",
        actor=entry.actor,
        role="server" if entry.role is None else entry.role.value,
        command=command["command"],
        trial=command.get("trial", ""),
    )


def _number(text: str | None, otherwise: int) -> int:
    """A number in an address; what is none is as if it were not there."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 18):
        return otherwise
    return max(1, int(text))


def _saved_as(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}
