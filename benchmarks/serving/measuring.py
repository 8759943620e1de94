"""Measures cells of cases, round by round."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.serving.felt import Felt
from unichunk.benchmarks.serving.load import Group, LoadFailed, LoadGenerator, hang_up, run
from unichunk.benchmarks.serving.observations import ROWS, WIDTH, droid_observation
from unichunk.benchmarks.serving.plan import UNICHUNK, UNICHUNK_SLEEPING
from unichunk.benchmarks.serving.servers import HOST, Servers, start_servers
from unichunk.benchmarks.serving.statistics import Round, round_of
from unichunk.server.wire.openpi import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.benchmarks.harness.environments import Environment
    from unichunk.benchmarks.serving.load import LoadProcess
    from unichunk.benchmarks.serving.plan import Case, Cell, Plan

BESIDE: Final = 63
"""Clients of the policy that sleeps beside the one of the no-op policy."""

BESIDE_LEAD_S: Final = 0.5


@dataclass
class Others:
    """What others felt of a server, [ms].

    Attributes:
        healthz_ms: Round trips of `GET /healthz`.
        ping_ms: Of pings.
    """

    healthz_ms: list[float] = field(default_factory=list)
    ping_ms: list[float] = field(default_factory=list)


@dataclass
class Measured:
    """What a plan gave.

    Attributes:
        rounds: (Case, clients) -> its rounds.
        failures: (Case, clients) -> why it was not measured.
        others: (Case, clients) -> what others felt, of all rounds.
        beside: Server -> rounds of the one client of its no-op policy.
        footprints: Server -> what it held, all connections closed again.
        request_bytes, answer_bytes: Of an openpi client's message and of a no-op policy's answer.
    """

    rounds: dict[tuple[Case, int], list[Round]] = field(default_factory=dict)
    failures: dict[tuple[Case, int], str] = field(default_factory=dict)
    others: dict[tuple[Case, int], Others] = field(default_factory=dict)
    beside: dict[str, list[Round]] = field(default_factory=dict)
    footprints: dict[str, Any] = field(default_factory=dict)
    request_bytes: int = 0
    answer_bytes: int = 0


def measure(
    plan: Plan, peers: Environment | None, why_no_peers: str, *, bundle: bool, say: Callable[[str], None]
) -> Measured:
    """Measure what a plan asks for; what cannot be is left out with the reason.

    Args:
        plan: What is asked for.
        peers: Openpi's environment; None: there is none.
        why_no_peers: Why not.
        bundle: Whether the empty bundle can be made.
        say: Told what is going on, line by line.

    Raises:
        ServerFailed: A server did not come up.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unichunk-serve-")))
        servers = start_servers(stack, folder, peers, bundle=bundle)
        bench = Bench(servers, peers, stack)
        for cell in plan.cells:
            say(f"{cell.clients} clients: {cell.rounds} rounds of {'; '.join(case.name for case in cell.cases)}")
            possible = []
            for case in cell.cases:
                why = _impossible(case, peers is not None, why_no_peers, bundle=bundle)
                if why:
                    bench.measured.failures[case, cell.clients] = why
                else:
                    possible.append(case)
            bench.cell(cell, possible)
        say(f"one client of a no-op policy beside {BESIDE} of one that sleeps")
        for _ in range(plan.beside_rounds):
            try:
                bench.beside(plan.beside_s)
            except LoadFailed as failure:
                # What was measured until then is worth telling.
                say(f"not measured to its end: {failure}")
                break
        bench.measured.footprints = servers.footprints()
        for (case, clients), why in bench.measured.failures.items():
            say(f"not measured: {case.name}, {clients} clients: {why}")
        return bench.measured


class Bench:
    """Servers that are up, and the clients that ask them.

    Args:
        servers: The servers.
        peers: Openpi's environment, with its clients.
        stack: Ends what is started here.

    Attributes:
        measured: What was found so far.
    """

    def __init__(self, servers: Servers, peers: Environment | None, stack: ExitStack) -> None:
        request, answer = pack(droid_observation()), pack(_noop_answer())
        self.measured = Measured(request_bytes=len(request), answer_bytes=len(answer))
        self._servers = servers
        self._own = LoadGenerator()
        stack.callback(self._own.close)
        self._foreign = self._own if peers is None else LoadGenerator(peers)
        if self._foreign is not self._own:
            stack.callback(self._foreign.close)

    def cell(self, cell: Cell, cases: Sequence[Case]) -> None:
        """Measure some cases of a cell in turn; one that fails once is not asked again."""
        failures = self.measured.failures

        def asked(case: Case) -> Callable[[], Round | None]:
            def once() -> Round | None:
                if (case, cell.clients) in failures:
                    return None
                try:
                    one = self._round(cell, case)
                except LoadFailed as failure:
                    failures[case, cell.clients] = str(failure)
                    return None
                if one.failures:
                    failures[case, cell.clients] = one.failures[0]
                return one

            return once

        # No round to warm up: each client asks once before it counts, or runs for a while.
        results = interleave({case.name: asked(case) for case in cases}, cell.rounds, warm_up=0)
        for case in cases:
            if (case, cell.clients) not in failures:
                self.measured.rounds[case, cell.clients] = [one for one in results[case.name] if one is not None]

    def beside(self, seconds: float) -> None:
        """One round of a no-op policy's client beside many of one that sleeps, ours and openpi's."""
        servers = self._servers
        ours = [self.address(case) for case in (UNICHUNK, UNICHUNK_SLEEPING)]
        openpi = [f"ws://{HOST}:{servers.openpi[name]}" for name in ("noop", "sleeping") if name in servers.openpi]
        for name, addresses in (("unichunk", ours), ("openpi", openpi)):
            if not addresses or self._foreign is self._own:
                continue
            with ExitStack() as connected:
                many = self._foreign.connect(Group("openpi", addresses[1], BESIDE, warm=False))
                connected.callback(hang_up, many)
                one = self._foreign.connect(Group("openpi", addresses[0], 1, warm=True), beside=many)
                connected.callback(hang_up, one)
                (trips, _), first_ns, end_ns = run([one, many], BESIDE_LEAD_S, seconds)
            self.measured.beside.setdefault(name, []).append(
                round_of(trips.by_client, trips.failures, first_ns, end_ns)
            )

    def address(self, case: Case) -> str:
        """Where a case's clients connect to, in the form that they take."""
        servers = self._servers
        if case.kind == "echo":
            back = self.measured.request_bytes if case.client.startswith("echo") else self.measured.answer_bytes
            return f"tcp://{HOST}:{servers.echo}#{self.measured.request_bytes},{back}"
        if case.kind == "groot":
            return f"tcp://{HOST}:{servers.own.zmq}"
        if case.kind == "lean":
            ports = servers.bundle
            endpoints = {"ws": f"ws://{HOST}:{ports.http}", "zmq": f"zmq://{HOST}:{ports.zmq}", "ipc": ports.ipc}
            return endpoints.get(case.transport, f"{ports.ipc}#shared")
        if case.server == "openpi":
            return f"ws://{HOST}:{servers.openpi[case.policy]}"
        if case.policy == "empty bundle":
            return f"ws://{HOST}:{servers.bundle.http}#example"
        return f"ws://{HOST}:{servers.own.http}/{case.policy}"

    def _round(self, cell: Cell, case: Case) -> Round:
        generator = self._foreign if case.kind in {"openpi", "groot"} else self._own
        used: list[LoadProcess] = generator.connect(Group(case.kind, self.address(case), cell.clients, cell.warm))
        felt: Felt | None = None
        try:
            if cell.felt and case.kind == "openpi":
                felt = Felt(self._servers.openpi[case.policy] if case.server == "openpi" else self._servers.own.http)
            with nullcontext() if felt is None else felt:
                (trips,), first_ns, end_ns = run([used], cell.lead_s, cell.seconds)
        finally:
            hang_up(used)
        if felt is not None:
            others = self.measured.others.setdefault((case, cell.clients), Others())
            others.healthz_ms += felt.healthz_ms
            others.ping_ms += felt.ping_ms
        return round_of(trips.by_client, trips.failures, first_ns, end_ns)


def _impossible(case: Case, peers: bool, why_no_peers: str, *, bundle: bool) -> str:  # noqa: FBT001
    """Why a case cannot be measured; empty where it can."""
    if case.kind in {"openpi", "groot"} and not peers:
        return why_no_peers
    if case.policy == "empty bundle" and not bundle:
        return "needs the extra compile, to make the bundle: pip install 'unichunk[compile]'"
    return ""


def _noop_answer() -> dict[str, Any]:
    timing = {"infer_ms": 0.0}
    actions = np.zeros((ROWS, WIDTH), np.float32)
    return {"actions": actions, "policy_timing": timing, "server_timing": {**timing, "prev_total_ms": 0.0}}
