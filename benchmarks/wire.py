"""What the link between runtime and driver costs beside bare ZeroMQ.

    unichunk bench wire [--json FILE] [--quick]

A message goes to another process and comes back. `bytes` is the floor: as many bytes over the same kind of socket, read
by nobody. `link` is what a robot's messages cost: encoded, decoded and checked there, answered, and the same on the way
back. Both take turns, over ipc and over tcp on this machine, in processes that keep the memory they have freed, as
runtime and driver do (`runtime/kept_memory.py`). Policies that are served: `unichunk bench serve`.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tyro
import zmq

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.percentiles import percentiles
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.embodiments.link.codec import Decoder, encode
from unichunk.embodiments.link.messages import COMMANDS, FRAMES, STATES, Command, Frame, State
from unichunk.runtime.kept_memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    import msgspec

WAIT_MS: Final = 10_000


@dataclass(frozen=True)
class Options:
    """Measure round trips of a robot's messages."""

    json: Path | None = None
    """Write the result to this file too."""
    quick: bool = False
    """Six rounds of 100 messages instead of fifteen of 500."""


@dataclass(frozen=True)
class Kind:
    """One kind of message."""

    message: msgspec.Struct
    decoder: Decoder[Any]


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, description=__doc__)
    check_writable(options.json)
    rounds, count = (6, 100) if options.quick else (15, 500)
    rows, ratios = measure(rounds, count)
    columns = ("message", "bytes", "transport", "how", "p50_us", "p99_us", "max_us", "per_s")
    print(markdown_table(columns, [[row[column] for column in columns] for row in rows]))
    print()
    print(markdown_table(("link / bytes, median round trip", "ratio (95 %)"), [[k, str(v)] for k, v in ratios.items()]))
    write_json(options.json, document("wire", quick=options.quick, ratios=ratios, rows=rows))


def kinds() -> dict[str, Kind]:
    """What is sent, by name."""
    state = State(
        sequence=1,
        stamp_ns=1,
        q=np.linspace(-1, 1, 26),
        dq=np.zeros(26),
        watchdog=False,
        stopped=False,
        session="benchmark",
        last_command_sequence=1,
    )
    command = Command(session="benchmark", sequence=1, tick=1, stamp_ns=1, q=np.linspace(-1, 1, 26))
    random = np.random.default_rng(0)
    frames = {
        f"camera frame {height} x {width}": Frame(
            sequence=1, stamp_ns=1, image=random.integers(0, 256, (height, width, 3), np.uint8), state=state
        )
        for height, width in ((224, 224), (480, 640))
    }
    return {
        "command, 26 joints": Kind(command, COMMANDS),
        "state, 26 joints": Kind(state, STATES),
        **{name: Kind(frame, FRAMES) for name, frame in frames.items()},
    }


def measure(rounds: int, count: int) -> tuple[list[dict[str, Any]], dict[str, Ratio]]:
    """Rows and the link's ratio to bare bytes, by message and transport.

    Args:
        rounds: How often all cases take turns.
        count: Messages of a case in a round.
    """
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="unichunk-") as folder, zmq.Context() as context:
        ears, mouth = multiprocessing.get_context("spawn").Pipe(duplex=False)
        echo = multiprocessing.get_context("spawn").Process(target=_echo, args=(mouth, folder), daemon=True)
        echo.start()
        mouth.close()
        cases = {
            (name, transport, how): _case(context, endpoint, kind, how, count)
            for transport, endpoint in ears.recv().items()
            for name, kind in kinds().items()
            for how in ("bytes", "link")
        }
        trips = interleave({"|".join(key): case for key, case in cases.items()}, rounds)
        echo.terminate()
        echo.join()
    rows, ratios = [], {}
    for name, transport, how in cases:
        times = np.array(trips[f"{name}|{transport}|{how}"]) / 1e3
        spread = percentiles(times)
        rows.append(
            {
                "message": name,
                "bytes": len(encode(kinds()[name].message)),
                "transport": transport,
                "how": how,
                "n": spread["n"],
                **{f"{key}_us": spread[key] for key in ("p50", "p99", "p999", "max")},
                "per_s": 1e6 / float(times.mean()),
            }
        )
        if how == "link":
            medians = [[float(np.median(one)) for one in trips[f"{name}|{transport}|{h}"]] for h in ("link", "bytes")]
            ratios[f"{name}, {transport}"] = paired_ratio(*medians, better="lower")
    return rows, ratios


def _case(
    context: zmq.Context[zmq.Socket[bytes]], endpoint: str, kind: Kind, how: str, count: int
) -> Callable[[], list[int]]:
    """Times of `count` round trips, [ns]."""
    plain = encode(kind.message)

    def run() -> list[int]:
        times = []
        with context.socket(zmq.DEALER) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, WAIT_MS)
            socket.connect(endpoint)
            # The first one waits for the connection, and does not count.
            for number in range(-1, count):
                begun = time.perf_counter_ns()
                if how == "link":
                    socket.send_multipart([_tag(kind), encode(kind.message)])
                    kind.decoder.decode(socket.recv_multipart()[-1])
                else:
                    socket.send_multipart([b"", plain])
                    socket.recv_multipart()
                if number >= 0:
                    times.append(time.perf_counter_ns() - begun)
        return times

    return run


def _tag(kind: Kind) -> bytes:
    return type(kind.message).__name__.encode()


def _echo(mouth: Connection, folder: str) -> None:
    """Answer every message with itself: untouched, or decoded and encoded anew where it says what it is."""
    keep_freed_memory()
    decoders = {_tag(kind): kind.decoder for kind in kinds().values()}
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.bind(f"ipc://{folder}/echo")
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        mouth.send({"ipc": f"ipc://{folder}/echo", "tcp": f"tcp://127.0.0.1:{port}"})
        while True:
            sender, tag, data = socket.recv_multipart()
            decoder = decoders.get(tag)
            socket.send_multipart([sender, tag, data if decoder is None else encode(decoder.decode(data))])


if __name__ == "__main__":
    main()
