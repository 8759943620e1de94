"""A robot that writes down all that it can measure of each answer; a process of its own, which nothing holds up.

Robots have computers of their own, where no policy computes: here it runs under SCHED_FIFO where that is permitted. It
asks once a tick, whoever answers. What a motion looks like is not written down, but for when it begins.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from unichunk.runtime.realtime import prefer_this_thread
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.openpi import pack, unpack

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

PERIOD_S: Final = 0.05
MOVES: Final = 1e-3
"""A joint that changes by more than this has begun to move, [rad]."""


@dataclass(frozen=True)
class Sight:
    """What one answer was like.

    Attributes:
        bytes: Of the message.
        fields: How many it has; with the rows of `actions` and the bytes of a number, what its shape is.
        rows: See there.
        item: See there.
        response_s: From the request to the answer, [s].
        interval_s: From the answer before, [s].
        moved: Whether a joint moved in it.
    """

    bytes: int
    fields: int
    rows: int
    item: int
    response_s: float
    interval_s: float
    moved: bool


@dataclass(frozen=True)
class Trial:
    """What a robot saw of a trial.

    Attributes:
        greeting: Bytes of the first frame.
        sights: Of each answer.
        error: Bytes of the answer to a request that is none.
        code: Of the close frame after it.
    """

    greeting: int
    sights: tuple[Sight, ...]
    error: int
    code: int


def observe(pipe: Connection, joints: int, image: tuple[int, int]) -> None:
    """Watch trials until told to end: entry point of the process.

    Args:
        pipe: Address and key of each trial come in; then `begin`, `end`; a `Trial` goes out. None: no more.
        joints: n.
        image: Height and width of the only camera's pictures, [px].
    """
    prefer_this_thread()
    picture = np.random.default_rng(0).integers(0, 255, (*image, 3)).astype(np.uint8)
    while (told := pipe.recv()) is not None:
        pipe.send(_watch(pipe, told, joints, picture))


def _watch(pipe: Connection, told: tuple[str, str], joints: int, picture: NDArray[np.uint8]) -> Trial:
    address, key = told
    headers = {"Authorization": f"Api-Key {key}"} if key else {}
    with connect(address, additional_headers=headers, compression=None, max_size=None) as socket:
        greeting = len(socket.recv())
        state: NDArray[np.float32] = np.zeros(joints, np.float32)
        sights: list[Sight] | None = None
        tick, before, due = 0, time.perf_counter(), time.perf_counter()
        while True:
            if pipe.poll():
                if pipe.recv() == "end":
                    break
                sights = []
            message = pack({"state": state, "image.third_person": picture, "tick": tick, "prompt": "wave"})
            asked = time.perf_counter()
            socket.send(message)
            data = socket.recv()
            came = time.perf_counter()
            sight, state = _look(data, state, came - asked, came - before)
            if sights is not None:
                sights.append(sight)
            tick, before, due = tick + 1, came, max(due + PERIOD_S, came)
            time.sleep(max(0.0, due - time.perf_counter()))
        error, code = _provoke(socket)
    return Trial(greeting, tuple(sights or ()), error, code)


def _look(
    data: str | bytes, state: NDArray[np.float32], response_s: float, interval_s: float
) -> tuple[Sight, NDArray[np.float32]]:
    fields = unpack(data) if isinstance(data, bytes) else {}
    actions = fields.get("actions", np.zeros((0, 0)))
    moved = bool(len(actions)) and float(np.abs(actions - actions[:1]).max()) > MOVES
    sight = Sight(len(data), len(fields), len(actions), actions.itemsize, response_s, interval_s, moved)
    return sight, actions[0].astype(np.float32) if len(actions) else state


def _provoke(socket: Any) -> tuple[int, int]:
    """What is said to a request that is none, and how the connection ends."""
    error = 0
    try:
        socket.send(pack({"nonsense": 1}))
        while True:
            error += len(socket.recv(timeout=5.0))
    except ConnectionClosed as closed:
        return error, closed.rcvd.code if closed.rcvd is not None else 0
    except (TimeoutError, WireError):
        return error, 0
