"""A stand-in of openpi's policy server: `python -m unichunk.benchmarks.serving.openpi_stand_in POLICY PORT`.

openpi's server is one file of its repository and on no package index, so this is written after what it is known to do,
with its own packages: `openpi_client.msgpack_numpy` and `websockets.asyncio.server`. Uncompressed frames of any
size; the metadata first; then receive, unpack, infer on the event loop, add the times, pack, send; failures as text.
`GET /healthz` says OK. asyncio's own event loop, as `asyncio.run` gives it.

Runs in openpi's environment; ends when its input does.
"""

from __future__ import annotations

import asyncio
import http
import sys
import threading
import time
import traceback
from importlib import import_module
from typing import Any, Final

from unichunk.benchmarks.serving.policies import FACTORIES

OPENPI_MSGPACK: Final = "openpi_client.msgpack_numpy"
"""Only openpi's environment has it."""

INTERNAL_ERROR: Final = 1011


def main() -> None:
    """Serve until the input ends."""
    name, port = sys.argv[1], int(sys.argv[2])
    asyncio.run(_serve(FACTORIES[name](), port))


async def _serve(policy: Any, port: int) -> None:
    msgpack_numpy = import_module(OPENPI_MSGPACK)
    from websockets.asyncio.server import serve  # noqa: PLC0415
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

    async def handle(connection: Any) -> None:
        packer = msgpack_numpy.Packer()
        await connection.send(packer.pack({}))
        previous_s = None
        while True:
            try:
                begun = time.monotonic()
                observation = msgpack_numpy.unpackb(await connection.recv())
                infer_begun = time.monotonic()
                result = policy.infer(observation)
                result["server_timing"] = {"infer_ms": 1e3 * (time.monotonic() - infer_begun)}
                if previous_s is not None:
                    result["server_timing"]["prev_total_ms"] = 1e3 * previous_s
                await connection.send(packer.pack(result))
                previous_s = time.monotonic() - begun
            except ConnectionClosed:
                return
            except Exception:
                await connection.send(traceback.format_exc())
                await connection.close(INTERNAL_ERROR)
                raise

    async with serve(handle, "127.0.0.1", port, compression=None, max_size=None, process_request=_healthy) as server:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(target=_wait_for_end, args=(loop, ended), daemon=True).start()
        await ended.wait()
        server.close()


def _healthy(connection: Any, request: Any) -> Any:
    return connection.respond(http.HTTPStatus.OK, "OK\n") if request.path == "/healthz" else None


def _wait_for_end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    sys.stdin.read()
    loop.call_soon_threadsafe(ended.set)


if __name__ == "__main__":
    main()
