"""Runs a robot in one place whose policy is in another."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.benchmarks.netlab.conditions import Conditions
from unichunk.benchmarks.networked.rows import ANSWERED, first_answer_s, row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from unichunk.benchmarks.netlab.conditions import Outage
    from unichunk.benchmarks.netlab.laboratory import Laboratory
    from unichunk.benchmarks.networked.plan import Cell

UNICHUNK: Final = (sys.executable, "-m", "unichunk.server.command_line")
ROBOT: Final = "so101"
HTTP_PORT: Final = 8000
ZMQ_PORT: Final = 5555
UP_S: Final = 60.0
DOWN_S: Final = 15.0
BEFORE_AND_AFTER_S: Final = 90.0
"""How much longer than asked a run may take, [s]."""

UNDER_WAY: Final = 40
"""So many requests have been answered once a robot moves, and not only tries how fast its policy is."""

LOOK_S: Final = 0.1


class RunFailed(RuntimeError):
    """A server or a run did not do what it should; one line says what."""


class Server:
    """`unichunk serve` with the shipped bundle at the far end of a laboratory, for as long as a block lasts.

    Anybody in the laboratory may use it: it has no keys, and nothing is encrypted.

    Args:
        laboratory: Where.
        folder: For what it says.

    Raises:
        RunFailed: Where it does not come up.
    """

    def __init__(self, laboratory: Laboratory, folder: Path) -> None:
        self.log = folder / "server.jsonl"
        """What it says, with every request."""
        ready, told = os.pipe()
        command = [*UNICHUNK, "serve", "--host", "0.0.0.0", "--insecure"]  # noqa: S104  the laboratory is the world
        command += ["--port", str(HTTP_PORT), "--zmq-port", str(ZMQ_PORT), "--until-stdin-closes"]
        command += ["--log-format", "json", "--log-level", "debug", "--ready-fd", str(told)]
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603  our own module
                    laboratory.far.command(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    pass_fds=[told],
                    start_new_session=True,
                )
        finally:
            os.close(told)
        try:
            if not select.select([ready], [], [], UP_S)[0] or not os.read(ready, 1):
                raise RunFailed(f"unichunk serve did not come up: {_last_line(self.log)}")
        except RunFailed:
            self.close()
            raise
        finally:
            os.close(ready)

    def __enter__(self) -> Server:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    def close(self) -> None:
        """End it."""
        _end(self._process)


def run_cell(cell: Cell, laboratory: Laboratory, server: Server, folder: Path, seed: int) -> dict[str, Any]:
    """One run, as a row.

    Args:
        cell: Which.
        laboratory: The network, which gets the cell's conditions.
        server: At its far end.
        folder: For the report.
        seed: Of policy and simulator.

    Raises:
        RunFailed: Where it wrote no report.
    """
    laboratory.change(cell.network.conditions)
    laboratory.forget()
    report_path = folder / "report.json"
    report_path.unlink(missing_ok=True)
    said = folder / "run.txt"
    # On loopback the robot is where the server is.
    place = laboratory.far if cell.network.where == "loopback" else laboratory.near
    command = [*UNICHUNK, "run", "--embodiment", ROBOT, "--sim", "--duration", str(cell.duration_s)]
    command += ["--seed", str(seed), "--report", str(report_path), *_policy(cell, laboratory)]
    log_from = server.log.stat().st_size
    outages: list[Outage] = []
    with said.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603  our own module
            place.command(command), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    try:
        if cell.network.outage_s:
            outages.append(
                _cut(cell, laboratory, lambda: process.poll() is None and _requests(server, log_from) < UNDER_WAY)
            )
        process.wait(cell.duration_s + BEFORE_AND_AFTER_S)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{cell.network.name}, {cell.transport}: the run did not end: {_last_line(said)}") from None
    finally:
        _end(process)
    packets = laboratory.statistics()
    laboratory.change(Conditions())
    if not report_path.is_file():
        raise RunFailed(f"{cell.network.name}, {cell.transport}: exit status {process.returncode}: {_last_line(said)}")
    row = row_of(cell, process.returncode, msgspec.json.decode(report_path.read_bytes()))
    if cell.network.where == "path":
        row["packets"] = packets
    for outage in outages:
        row["outage_s"] = (outage.end_ns - outage.begin_ns) / 1e9
        row["first_chunk_s"] = _first_chunk_s(server, log_from, outage, cell)
    return row


def _policy(cell: Cell, laboratory: Laboratory) -> Sequence[str]:
    if cell.network.where == "local":
        return ()
    host = "127.0.0.1" if cell.network.where == "loopback" else laboratory.far.address
    port = HTTP_PORT if cell.transport == "ws" else ZMQ_PORT
    return ("--policy", f"{cell.transport}://{host}:{port}")


def _cut(cell: Cell, laboratory: Laboratory, is_early: Callable[[], bool]) -> Outage:
    """Plan the outage for the middle of a run, once that is under way."""
    until_s = time.monotonic() + BEFORE_AND_AFTER_S
    while is_early() and time.monotonic() < until_s:
        time.sleep(LOOK_S)
    return laboratory.cut((cell.duration_s - cell.network.outage_s) / 2, cell.network.outage_s)


def _requests(server: Server, log_from: int) -> int:
    """Requests that the server has answered since its log was so long."""
    return sum(ANSWERED in line for line in _log(server, log_from))


def _log(server: Server, log_from: int) -> list[str]:
    with server.log.open("rb") as log:
        log.seek(log_from)
        return log.read().decode(errors="replace").splitlines()


def _first_chunk_s(server: Server, log_from: int, outage: Outage, cell: Cell) -> float | None:
    """From the end of an outage until the server had answered the next request and the answer was there, [s]."""
    end_s = time.time() - (time.monotonic_ns() - outage.end_ns) / 1e9
    after_s = first_answer_s(_log(server, log_from), end_s)
    return None if after_s is None else round(after_s + cell.network.conditions.delay_s, 3)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process in order, or by force."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        timer = threading.Timer(DOWN_S, process.kill)
        timer.start()
        try:
            process.wait()
        finally:
            timer.cancel()


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip()[-300:] for line in reversed(lines) if line.strip()), "it said nothing")
