"""A policy at work: the next request is decoded while this one is inferred, and what is ready is inferred together."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from unichunk.runtime.errors import PolicyError
from unichunk.server.serving.faults import answer_to
from unichunk.server.serving.served_policy import Timing
from unichunk.server.serving.work import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.server.serving.served_policy import ServedPolicy
    from unichunk.server.serving.work import Work

C = TypeVar("C")
R = TypeVar("R")

CANCELLED: Final = Answer(error="cancelled: nobody waited for this request any more")
"""The answer to what was cancelled before its inference began."""

LATE: Final = Answer(error="too late: the deadline had passed before the inference could begin", fault="late")
"""The answer to what would have been no use any more."""

SWITCH_S: Final = 0.0005
"""How long the thread that decodes may keep the interpreter from the one that infers, and the other way round, [s]: for
`sys.setswitchinterval` of a process that has a pipeline."""

_END: Final = None


@dataclass(frozen=True)
class _Ready(Generic[C]):
    """A decoded request."""

    ticket: int
    call: C
    decode_s: float
    deadline_s: float


class Pipeline(Generic[C, R]):
    """Runs a policy: requests are decoded in the thread that submits them, and inferred in one of its own.

    Args:
        policy: What runs.
        done: Called with a ticket and its answer, from either thread, once for each ticket. It must not raise.
        depth: Decoded requests that wait for the inference at most; who submits more waits. None: two full batches.
    """

    def __init__(
        self,
        policy: ServedPolicy[C, R],
        done: Callable[[int, Answer], None],
        *,
        depth: int | None = None,
    ) -> None:
        self._policy = policy
        self._done = done
        self._ready: SimpleQueue[_Ready[C] | None] = SimpleQueue()
        self._room = threading.Semaphore(2 * policy.max_batch if depth is None else depth)
        self._open: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="unichunk-infer", daemon=True)
        self._thread.start()

    def submit(self, ticket: int, work: Work, deadline_s: float | None = None) -> None:
        """Decode a request and hand it over; waits while enough are waiting for the inference.

        Args:
            ticket: Its name.
            work: The request.
            deadline_s: From then on its inference is not begun, `time.monotonic()`, [s]; None: no matter when.
        """
        began_s = time.perf_counter()
        self._open.add(ticket)
        try:
            call = self._policy.decode(work)
        except Exception as error:  # noqa: BLE001  one request's trouble must not become every request's
            self._open.discard(ticket)
            self._done(ticket, _timed(answer_to(error), decode_s=time.perf_counter() - began_s))
            return
        until_s = math.inf if deadline_s is None else deadline_s
        ready = _Ready(ticket, call, time.perf_counter() - began_s, until_s)
        self._room.acquire()
        self._ready.put(ready)

    def cancel(self, ticket: int) -> None:
        """Nobody waits for this one: if it is not being inferred yet, it will not be."""
        self._open.discard(ticket)

    def close(self) -> None:
        """Answer what was handed over, then stop. Nothing may be submitted any more."""
        self._ready.put(_END)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            batch: list[_Ready[C]] = []
            going = self._gather(batch)
            if batch:
                self._work_on(batch)

    def _gather(self, batch: list[_Ready[C]]) -> bool:
        """Wait for a request, and take what else is ready; False at the end."""
        while len(batch) < self._policy.max_batch:
            try:
                ready = self._ready.get(block=not batch)
            except Empty:
                return True
            if ready is _END:
                return False
            self._room.release()
            if ready.ticket not in self._open:
                self._done(ready.ticket, CANCELLED)
                continue
            self._open.discard(ready.ticket)
            if time.monotonic() >= ready.deadline_s:
                self._done(ready.ticket, LATE)
                continue
            batch.append(ready)
        return True

    def _work_on(self, batch: list[_Ready[C]]) -> None:
        began_s = time.perf_counter()
        results = self._infer([ready.call for ready in batch])
        infer_s = time.perf_counter() - began_s
        for ready, result in zip(batch, results, strict=True):
            self._done(ready.ticket, self._answer(ready, result, infer_s, len(batch)))

    def _infer(self, calls: Sequence[C]) -> Sequence[R | Exception]:
        try:
            return self._policy.infer(calls)
        except Exception as error:  # noqa: BLE001  it is the request's error, not the worker's end
            if len(calls) == 1:
                return [error]
        except SystemExit as end:
            # It would end this thread, without a word, and nothing would be answered any more.
            if len(calls) == 1:
                return [PolicyError(f"the policy called for the end of its process ({end})")]
        # One of them may have spoilt it for the others.
        return [self._infer([call])[0] for call in calls]

    def _answer(self, ready: _Ready[C], result: R | Exception, infer_s: float, batch: int) -> Answer:
        began_s = time.perf_counter()
        try:
            if isinstance(result, Exception):
                raise result
            payload = self._policy.encode(ready.call, result, Timing(ready.decode_s, infer_s))
            answer = Answer(payload=payload)
        except Exception as error:  # noqa: BLE001  as above
            answer = answer_to(error)
        encode_s = time.perf_counter() - began_s
        return _timed(answer, decode_s=ready.decode_s, infer_s=infer_s, encode_s=encode_s, batch=batch)


def _timed(answer: Answer, **timing: Any) -> Answer:
    """The same answer, with what it took."""
    return msgspec.structs.replace(answer, **timing)
