"""Bare ZeroMQ, the floor: `python -m unichunk.benchmarks.serving.echo PORT`.

A ROUTER that answers each request with as many bytes as its first eight bytes ask for. It ends when its input does.
"""

from __future__ import annotations

import select
import struct
import sys
from typing import Final

import zmq

ASKED: Final = struct.Struct("<Q")


def main() -> None:
    """Answer until the input ends."""
    answers: dict[int, bytes] = {}
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.LINGER, 0)
        router.bind(f"tcp://127.0.0.1:{sys.argv[1]}")
        poller = zmq.Poller()
        poller.register(router, zmq.POLLIN)
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
        while True:
            poller.poll()
            if select.select([sys.stdin], [], [], 0)[0]:
                return
            while router.poll(0):
                sender, empty, request = router.recv_multipart()
                (size,) = ASKED.unpack_from(request)
                # What came goes back; less than that is cut from it once.
                answer = request if size == len(request) else answers.setdefault(size, request[:size])
                router.send_multipart([sender, empty, answer])


if __name__ == "__main__":
    main()
