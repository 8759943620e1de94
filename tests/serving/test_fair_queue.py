"""The queue against an independent model, in virtual time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from unichunk.server.serving.admission import Capacity, Limits, Refusal, Why
from unichunk.server.serving.backend import Caller
from unichunk.server.serving.fair_queue import FairQueue

LIMITS = Limits(waiting=12, per_tenant=8, per_client=4, waiting_bytes=100, tenant_bytes=60, patience_s=5.0)
IDLE = Capacity(workers=1)
CALLERS = st.sampled_from([Caller("A", "x"), Caller("A", "y"), Caller("A", "z"), Caller("B", "x"), Caller("C", "y")])


@dataclass
class Entry:
    item: int
    caller: Caller
    size: int
    until_s: float


class QueueMachine(RuleBasedStateMachine):
    """Everything that can happen to the queue; the model is a list in order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[int] = FairQueue(LIMITS)
        self.now_s = 100.0
        self.items = 0
        self.waiting: dict[int, Entry] = {}
        self.gone: list[int] = []
        self.due: list[int] = []
        # Who was served how often since somebody waits.
        self.passed_tenants: dict[str, dict[str, int]] = {}
        self.passed_clients: dict[Caller, dict[str, int]] = {}

    def of_tenant(self, tenant: str) -> list[Entry]:
        return [entry for entry in self.waiting.values() if entry.caller.tenant == tenant]

    def of_client(self, caller: Caller) -> list[Entry]:
        return [entry for entry in self.waiting.values() if entry.caller == caller]

    def settle(self) -> None:
        """What the passing of time does."""
        for ticket, entry in list(self.waiting.items()):
            if entry.until_s <= self.now_s:
                self.due.append(self.waiting.pop(ticket).item)
        self.forget_who_left()

    def forget_who_left(self) -> None:
        tenants = {entry.caller.tenant for entry in self.waiting.values()}
        callers = {entry.caller for entry in self.waiting.values()}
        self.passed_tenants = {tenant: seen for tenant, seen in self.passed_tenants.items() if tenant in tenants}
        self.passed_clients = {caller: seen for caller, seen in self.passed_clients.items() if caller in callers}

    @rule(caller=CALLERS, left_s=st.none() | st.floats(-1, 9), size=st.sampled_from([0, 1, 15, 30, 200]))
    def offer(self, caller: Caller, left_s: float | None, size: int) -> None:
        self.settle()
        held = sum(entry.size for entry in self.waiting.values())
        of_tenant = sum(entry.size for entry in self.of_tenant(caller.tenant))
        full = (
            len(self.waiting) >= LIMITS.waiting
            or len(self.of_tenant(caller.tenant)) >= LIMITS.per_tenant
            or len(self.of_client(caller)) >= LIMITS.per_client
            or (held > 0 and held + size > LIMITS.waiting_bytes)
            or (of_tenant > 0 and of_tenant + size > LIMITS.tenant_bytes)
        )
        self.items += 1
        deadline_s = None if left_s is None else self.now_s + left_s
        result = self.queue.offer(self.now_s, self.items, caller, IDLE, size=size, deadline_s=deadline_s)
        late = deadline_s is not None and deadline_s <= self.now_s
        assert isinstance(result, Refusal) == (full or late)
        if isinstance(result, Refusal):
            assert (result.why is Why.LATE) == late
            return
        assert result not in self.waiting
        until_s = min(self.now_s + LIMITS.patience_s, float("inf") if deadline_s is None else deadline_s)
        self.waiting[result] = Entry(self.items, caller, size, until_s)
        self.passed_tenants.setdefault(caller.tenant, defaultdict(int))
        self.passed_clients.setdefault(caller, defaultdict(int))

    @rule(caller=CALLERS, count=st.integers(2, 4))
    def flood(self, caller: Caller, count: int) -> None:
        for _ in range(count):
            self.offer(caller, None, 0)

    @rule(most=st.integers(0, 5))
    def take(self, most: int) -> None:
        self.settle()
        expected = min(most, len(self.waiting))
        taken = self.queue.take(self.now_s, most)
        assert len(taken) == expected
        for one in taken:
            entry = self.waiting[one.ticket]
            caller = entry.caller
            assert one.item == entry.item
            assert entry.until_s > self.now_s
            assert entry.item == min(other.item for other in self.of_client(caller)), "a client's own are in order"
            del self.waiting[one.ticket]
            self.gone.append(one.item)
            self.passed_tenants.pop(caller.tenant)
            self.passed_clients.pop(caller)
            for seen in self.passed_tenants.values():
                seen[caller.tenant] += 1
                assert seen[caller.tenant] <= 1, "a tenant was served twice while another one waited"
            for other, seen in self.passed_clients.items():
                if other.tenant == caller.tenant:
                    seen[caller.client] += 1
                    assert seen[caller.client] <= 1, "a client was served twice while another one waited"
            if self.of_tenant(caller.tenant):
                self.passed_tenants[caller.tenant] = defaultdict(int)
            if self.of_client(caller):
                self.passed_clients[caller] = defaultdict(int)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.settle()
        # Cancelling looks at no clock: have the queue notice first what is too late.
        self.expire_all()
        ticket = data.draw(st.sampled_from([*self.waiting, 10**6]))
        assert self.queue.cancel(ticket) == (ticket in self.waiting)
        if ticket in self.waiting:
            self.gone.append(self.waiting.pop(ticket).item)
            self.forget_who_left()

    @rule(seconds=st.floats(0, 4))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def expire(self) -> None:
        self.settle()
        self.expire_all()

    def expire_all(self) -> None:
        assert sorted(self.queue.expire(self.now_s)) == sorted(self.due)
        self.gone += self.due
        self.due = []

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        everything = [*self.gone, *self.due, *(entry.item for entry in self.waiting.values())]
        assert len(set(everything)) == len(everything)
        counts = self.queue.counts
        assert len(everything) == counts.admitted == self.items - sum(counts.refused.values())
        out = counts.handed_out + counts.expired + counts.cancelled
        assert counts.admitted == out + len(self.queue)

    @invariant()
    def it_is_bounded(self) -> None:
        assert len(self.queue) <= LIMITS.waiting
        assert len(self.queue._deadlines) <= 2 * LIMITS.waiting + 65
        sizes = [entry.size for entry in self.waiting.values() if entry.size]
        assert sum(sizes) <= LIMITS.waiting_bytes or len(sizes) == 1, "more than one, and too large together"

    @invariant()
    def it_knows_when_to_look_again(self) -> None:
        next_s = self.queue.next_deadline_s()
        # Those that are due already may be out, or not yet.
        untils = [entry.until_s for entry in self.waiting.values()]
        assert next_s == min(untils, default=None) or (next_s is not None and next_s <= self.now_s)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@given(st.lists(CALLERS, max_size=30), st.lists(st.booleans(), max_size=30), CALLERS)
def test_so_many_are_ahead_at_most_and_who_is_alone_waits_for_nobody(
    offers: list[Caller], takes: list[bool], last: Caller
) -> None:
    queue: FairQueue[int] = FairQueue(Limits())
    for caller, take in zip(offers, takes, strict=False):
        queue.offer(0.0, 0, caller, IDLE)
        if take:
            queue.take(0.0, 1)
    ahead = queue._turns.ahead_of(last)
    before = len(queue)
    assert ahead <= before
    assert isinstance(queue.offer(0.0, 1, last, IDLE), int)
    order = [taken.item for taken in queue.take(0.0, before + 1)]
    assert order.index(1) <= ahead


def test_a_flood_delays_others_by_one_round() -> None:
    queue: FairQueue[str] = FairQueue(Limits(per_client=100))
    for number in range(50):
        queue.offer(0.0, f"flood {number}", Caller("A", "flood"), IDLE)
    queue.offer(0.0, "same key", Caller("A", "other"), IDLE)
    queue.offer(0.0, "other key", Caller("B", "b"), IDLE)
    assert [taken.item for taken in queue.take(0.0, 4)] == ["flood 0", "other key", "same key", "flood 1"]


def refused(result: int | Refusal) -> Refusal:
    assert isinstance(result, Refusal)
    assert "\n" not in result.message
    assert result.retry_after_s >= 0
    return result


def test_what_would_wait_longer_than_it_may_is_refused_at_once() -> None:
    queue: FairQueue[str] = FairQueue(Limits(per_client=20, patience_s=1.0))
    busy = Capacity(workers=2, running=4, each_s=0.2, service_s=0.2)
    caller = Caller("A", "a")
    # 4 are running and 0 wait: half of 3 x 0.2 s.
    assert isinstance(queue.offer(10.0, "in time", caller, busy, deadline_s=10.6), int)
    late = refused(queue.offer(10.0, "too late", caller, busy, deadline_s=10.45))
    assert late.why is Why.TOO_LONG
    assert "deadline" in late.message
    for _ in range(7):
        assert isinstance(queue.offer(10.0, "more", caller, busy), int)
    patience = refused(queue.offer(10.0, "beyond patience", caller, busy))
    assert patience.why is Why.TOO_LONG
    assert "patience" in patience.message
    assert patience.retry_after_s == pytest.approx(0.1)
    # Another key has its turn soon, however many the first one has waiting.
    assert isinstance(queue.offer(10.0, "somebody else", Caller("B", "b"), busy, deadline_s=10.7), int)


def test_an_old_measurement_refuses_nobody_while_a_worker_is_free() -> None:
    queue: FairQueue[str] = FairQueue(Limits(patience_s=1.0))
    slow = Capacity(workers=1, running=0, each_s=30.0, service_s=30.0)
    assert isinstance(queue.offer(0.0, "first", Caller("A", "a"), slow, deadline_s=0.1), int)
    assert refused(queue.offer(0.0, "second", Caller("A", "a"), slow, deadline_s=0.1)).why is Why.TOO_LONG


def test_bounds_say_whose_they_are() -> None:
    queue: FairQueue[str] = FairQueue(Limits(waiting=4, per_tenant=3, per_client=2))
    reasons = [
        result.why if isinstance(result := queue.offer(0.0, "", Caller(*caller), IDLE), Refusal) else None
        for caller in ("Aa", "Aa", "Aa", "Ab", "Ac", "Bd", "Ce")
    ]
    assert reasons == [None, None, Why.CLIENT, None, Why.TENANT, None, Why.FULL]


def test_bytes_that_wait_are_bounded_in_all_and_for_each_key_and_a_large_message_may_come_alone() -> None:
    queue: FairQueue[str] = FairQueue(Limits(waiting_bytes=10 << 20, tenant_bytes=6 << 20))
    one, other = Caller("A", "a"), Caller("B", "b")
    assert isinstance(queue.offer(0.0, "alone", one, IDLE, size=50 << 20), int)
    whole = refused(queue.offer(0.0, "", other, IDLE, size=1))
    assert whole.why is Why.FULL
    assert "50 MiB of all clients would be waiting, 10 MiB may" in whole.message
    assert len(queue.take(0.0, 1)) == 1
    assert isinstance(queue.offer(0.0, "", one, IDLE, size=5 << 20), int)
    own = refused(queue.offer(0.0, "", one, IDLE, size=2 << 20))
    assert own.why is Why.TENANT
    assert "this key or address" in own.message
    ticket = queue.offer(0.0, "", other, IDLE, size=5 << 20)
    assert isinstance(ticket, int)
    assert queue.cancel(ticket)
    assert isinstance(queue.offer(0.0, "", other, IDLE, size=5 << 20, deadline_s=1.0), int)
    assert refused(queue.offer(0.0, "", Caller("C", "c"), IDLE, size=1)).why is Why.FULL
    queue.expire(1.0)
    assert isinstance(queue.offer(1.0, "", Caller("C", "c"), IDLE, size=5 << 20), int)
