"""A robot that does exactly what it is told, in a thread: it asks a running service for rows, and comes back to it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from unichunk.embodiments.catalogue import load_spec
from unichunk.server.wire.openpi import pack, unpack

ROBOT = "so101"
PAUSE_S = 0.01


class WireRobot:
    """Runs from `with` to its end.

    Attributes:
        wish: A field of its requests, for policies that look at it.
        moved: How far its joints have been moved so far, summed over rows, [rad].
    """

    def __init__(self, address: str, key: str) -> None:
        spec = load_spec(ROBOT)
        self.wish = ""
        self.moved = 0.0
        self._address = address
        self._key = key
        self._joints = np.zeros(len(spec.joints), np.float32)
        picture = np.zeros((24, 32, 3), np.uint8)
        self._pictures = {f"image.{name}": picture for name in spec.cameras}
        self._tick = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> WireRobot:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(10.0)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.wait(0.05):
            try:
                self._exchange()
            except (OSError, ConnectionClosed, InvalidHandshake):
                continue

    def _exchange(self) -> None:
        headers = {"Authorization": f"Api-Key {self._key}"}
        with connect(self._address, additional_headers=headers, compression=None, close_timeout=0.2) as socket:
            socket.recv(10.0)
            while not self._ending.wait(PAUSE_S):
                socket.send(pack(self._observation()))
                message = socket.recv(10.0)
                assert isinstance(message, bytes)
                answer: Any = unpack(message)
                rows = answer["actions"]
                self.moved += float(np.abs(np.diff(rows, axis=0, prepend=self._joints[None])).sum())
                self._joints = rows[-1]
                self._tick += len(rows)

    def _observation(self) -> dict[str, Any]:
        return {
            **self._pictures,
            "state": self._joints,
            "tick": self._tick,
            "lockstep": True,
            "wish": self.wish,
        }
