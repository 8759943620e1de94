"""Somebody at the pages of a running service: signs in with a key, and sends what the pages' scripts send."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

SOON_S = 30.0


class PageClient:
    """One browser; signs in when it has to."""

    def __init__(self, address: str, key: str) -> None:
        self._host = urlsplit(address).netloc
        self._key = key
        self._cookie = ""
        self._token = ""
        self._numbers = itertools.count()

    def sign_in(self) -> None:
        status, headers, _ = self._send("POST", "/login", urlencode({"key": self._key}))
        assert status == 303
        self._cookie = headers["set-cookie"].partition(";")[0]
        _, _, page = self._send("GET", headers["location"])
        found = re.search(rb'name="form-token" content="([^"]+)"', page)
        assert found is not None
        self._token = found[1].decode()

    def now(self) -> Any:
        status, _, content = self._send("GET", "/api/now")
        assert status == 200, content
        return json.loads(content)

    def post(self, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """Send a command; the status and what came back."""
        headers = {"idempotency-key": key or f"test-key-{next(self._numbers):016d}", "x-form-token": self._token}
        status, _, content = self._send("POST", path, json.dumps({} if body is None else body), headers)
        return status, json.loads(content)

    def do(self, path: str, body: Any = None, key: str = "") -> Any:
        """The same; it has to be taken."""
        status, answer = self.post(path, body, key)
        assert status == 200, answer
        return answer["trial"]

    def move(self, path: str) -> Any:
        """The same for what sets a robot in motion."""
        return self.do(path, {"ticket": self.now()["ticket"]})

    def until(self, what: Callable[[Any], Any]) -> Any:
        """Look until something is so."""
        deadline = time.monotonic() + SOON_S
        while not (found := what(self.now()["overview"])):
            assert time.monotonic() < deadline, self.now()
            time.sleep(0.02)
        return found

    def armed(self, robot: str) -> str:
        """The id of a trial whose robot is in its start pose."""
        self.until(lambda seen: [one for one in seen["robots"] if one["name"] == robot and one["connected"]])
        trial: str = self.do("/api/lease", {"robot": robot})["trial"]
        self.move(f"/api/trials/{trial}/arm")
        self.until(lambda seen: [one for one in seen["robots"] if one["name"] == robot and one["at_home"]])
        return trial

    def started(self, robot: str) -> str:
        """The id of a trial that runs."""
        trial = self.armed(robot)
        assert self.move(f"/api/trials/{trial}/start")["state"] == "running"
        return trial

    def judge(self, trial: str, *, success: bool) -> None:
        """Stop a trial, and score it."""
        assert self.do(f"/api/trials/{trial}/stop")["state"] == "awaiting score"
        assert self.do(f"/api/trials/{trial}/score", {"success": success, "rubric": []})["state"] == "scored"

    def _send(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._host, timeout=SOON_S)
        try:
            connection.request(method, path, body, {"cookie": self._cookie, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()
