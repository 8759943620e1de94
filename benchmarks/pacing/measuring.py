"""Measures loops beside loads, round by round."""

from __future__ import annotations

import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.harness.environments import Environment, EnvironmentUnavailable, environment
from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.pacing.foreign_load import foreign_load
from unichunk.benchmarks.pacing.loops import LOOPS, UNPRIVILEGED
from unichunk.benchmarks.pacing.plan import WARM_UP_S
from unichunk.benchmarks.pacing.subject import Run, Subject, SubjectFailed
from unichunk.server.shipped_bundles import GENERALIST, shipped_bundles

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.benchmarks.pacing.plan import Plan


@dataclass
class Measured:
    """What a plan gave.

    Attributes:
        runs: (Loop, load, rate) -> one run a round.
        failures: (Loop, load) -> why it was not measured.
        environments: Loop -> what was imported and installed where.
        missing_permissions: What the system did not permit our process.
    """

    runs: dict[tuple[str, str, int], list[Run]] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing_permissions: list[str] = field(default_factory=list)


def measure(plan: Plan, *, limit_s: float, say: Callable[[str], None]) -> Measured:
    """Measure what a plan asks for; what cannot be is left out with the reason.

    Args:
        plan: What is asked for.
        limit_s: How long making environments may take in all, [s].
        say: Told what is going on, line by line.
    """
    measured = Measured()
    bundle = next(path for path in shipped_bundles() if path.name == GENERALIST)
    environments = _environments(plan, measured, limit_s, say)
    for load in plan.loads:
        say(f"{load}: {plan.rounds} rounds of {', '.join(plan.loops)}")
        with ExitStack() as stack:
            subjects = {}
            for name in plan.loops:
                if (name, load) in measured.failures:
                    continue
                try:
                    subjects[name] = Subject(name, LOOPS[name], load, bundle, environments.get(name))
                except SubjectFailed as failure:
                    measured.failures[name, load] = str(failure)
                    continue
                stack.callback(subjects[name].close)
                _keep_ready(name, subjects[name].ready, measured)
            stack.enter_context(foreign_load() if load == "foreign" else nullcontext())
            _rounds(plan, load, subjects, measured)
    for (name, load), why in measured.failures.items():
        say(f"not measured: {name}, {load}: {why}")
    return measured


def _environments(plan: Plan, measured: Measured, limit_s: float, say: Callable[[str], None]) -> dict[str, Environment]:
    """An environment for each peer; without one the peer is not measured anywhere."""
    until = time.monotonic() + limit_s
    environments = {}
    for name in plan.loops:
        peer = LOOPS[name].peer
        if peer is None:
            continue
        say(f"environment of {name}: {peer.requirement}")
        try:
            environments[name] = environment(name, peer.installs(), limit_s=until - time.monotonic())
        except EnvironmentUnavailable as error:
            measured.failures.update({(name, load): str(error) for load in plan.loads})
            continue
        measured.environments[name] = {"installed": list(environments[name].installed)}
    return environments


def _keep_ready(name: str, ready: dict[str, Any], measured: Measured) -> None:
    measured.environments.setdefault(name, {}).update({"python": ready["python"], "imported": ready["imported"]})
    # Where the loop runs that is told to do without, nothing is missing.
    for line in ready["missing_permissions"] if name != UNPRIVILEGED else ():
        if line not in measured.missing_permissions:
            measured.missing_permissions.append(line)


def _rounds(plan: Plan, load: str, subjects: dict[str, Subject], measured: Measured) -> None:
    def case(name: str) -> Callable[[], dict[int, Run] | None]:
        def run() -> dict[int, Run] | None:
            if (name, load) in measured.failures:
                return None
            try:
                return {rate: subjects[name].measure(rate, WARM_UP_S, plan.seconds[rate]) for rate in plan.rates}
            except SubjectFailed as failure:
                measured.failures[name, load] = str(failure)
                return None

        return run

    # No warm-up round: the first steps of every run are dropped, and every process has run its graphs once.
    results = interleave({name: case(name) for name in subjects}, plan.rounds, warm_up=0)
    for name, rounds in results.items():
        whole = [runs for runs in rounds if runs is not None]
        if len(whole) == plan.rounds:
            for rate in plan.rates:
                measured.runs[name, load, rate] = [runs[rate] for runs in whole]
