"""A process with some clients, one thread each: `python -m unichunk.benchmarks.serving.load_process`.

It does what it is told, one line of JSON each way, until its input ends: `{"connect": [kind, address, count, warm]}`,
`{"run": [begin_ns, end_ns]}`, `{"hang_up": true}`. Each client asks, waits for the answer, asks again. Runs in the
environments of peers, too.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.serving.clients import connect

if TYPE_CHECKING:
    from unichunk.benchmarks.serving.clients import Client


def main() -> None:
    """Obey until the input ends."""
    # What libraries print must not come between the lines.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    clients: list[Client] = []
    for line in sys.stdin:
        asked = json.loads(line)
        answer: dict[str, Any] = {}
        if "connect" in asked:
            kind, address, count, warm = asked["connect"]
            try:
                for _ in range(count):
                    clients.append(connect(kind, address))
                for client in clients if warm else ():
                    client.trip()
            except Exception as error:  # noqa: BLE001  whatever a client raises is what became of it
                answer["failure"] = _one_line(error)
        elif "run" in asked:
            answer = _run(clients, *asked["run"])
        else:
            for client in clients:
                client.close()
            clients = []
        answers.write(json.dumps(answer) + "\n")
    # Threads of a library that hangs must not keep the process.
    os._exit(0)


def _run(clients: list[Client], begin_ns: int, end_ns: int) -> dict[str, Any]:
    """Begin and end of every round trip of each client, [ns], and what went wrong."""
    trips: list[list[tuple[int, int]]] = [[] for _ in clients]
    failures: list[str] = []

    def ask(client: Client, kept: list[tuple[int, int]]) -> None:
        time.sleep(max(0.0, (begin_ns - time.monotonic_ns()) / 1e9))
        try:
            while (begun_ns := time.monotonic_ns()) < end_ns:
                client.trip()
                kept.append((begun_ns, time.monotonic_ns()))
        except Exception as error:  # noqa: BLE001  whatever a client raises is what became of it
            failures.append(_one_line(error))

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(clients, trips, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"trips": trips, "failures": failures}


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


if __name__ == "__main__":
    main()
