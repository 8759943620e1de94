"""Asks an application in the test's own process, as a browser would: with its cookies, following nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

HOST = "robots.lab:8443"


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP.
        headers: As they were sent, in their order, names in lower case.
        body: All of it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known == name), None)


@dataclass
class AsgiClient:
    """One browser.

    Attributes:
        app: The application.
        cookies: Its cookies.
        address: Where it is.
    """

    app: Any
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "192.0.2.7"

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, b"", headers)

    async def post(self, path: str, body: Any = None, *, key: str = "k" * 16, token: str = "", **more: str) -> Answer:
        headers = {"idempotency-key": key, "x-form-token": token, "content-type": "application/json", **more}
        return await self.send("POST", path, json.dumps({} if body is None else body).encode(), headers)

    async def form(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        return await self.send("POST", path, urlencode(fields).encode(), headers)

    async def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        plain, _, query = path.partition("?")
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"host": HOST, **({"cookie": cookies} if cookies else {}), **headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()],
            "client": (self.address, 50000),
            "server": ("robots.lab", 8443),
        }
        received: list[dict[str, Any]] = []
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            received.append(message)

        try:
            await self.app(scope, receive, send)
        except Exception:
            # The framework raises again what it has answered.
            if not received:
                raise
        answer = Answer(
            received[0]["status"],
            tuple((name.decode().lower(), value.decode()) for name, value in received[0]["headers"]),
            b"".join(message.get("body", b"") for message in received[1:]),
        )
        self._take_cookies(answer)
        return answer

    def _take_cookies(self, answer: Answer) -> None:
        for name, value in answer.headers:
            if name == "set-cookie":
                for key, morsel in SimpleCookie(value).items():
                    if morsel["max-age"] == "0":
                        self.cookies.pop(key, None)
                    else:
                        self.cookies[key] = morsel.value
