"""What a policy takes to be loaded and to infer for the first time, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec

from unichunk.benchmarks.harness.document import not_measured
from unichunk.benchmarks.harness.interleave import interleave

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unichunk.benchmarks.stages.subject import Place
    from unichunk.runtime.policy import EngineOptions


def fresh_starts(places: Sequence[Place], engine: EngineOptions, processes: int) -> dict[str, dict[str, Any]]:
    """Start every case in `processes` fresh processes, in turn.

    Returns:
        Label -> number by number, `p50`, `min` and `max` over the processes; or why there is none.
    """
    cases = {place.case.label: _start(place, engine) for place in places}
    results = interleave(cases, processes, warm_up=0)
    return {label: summary_of_starts(starts) for label, starts in results.items()}


def summary_of_starts(starts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median, smallest and largest of each number over all processes; a process that died makes all of it void."""
    died = next((start["died"] for start in starts if "died" in start), None)
    if died is not None:
        return not_measured(died)
    summary: dict[str, Any] = {"processes": len(starts)}
    for name in starts[0]:
        values = [start[name] for start in starts]
        summary[name] = {"p50": median(values), "min": min(values), "max": max(values)}
    return summary


def _start(place: Place, engine: EngineOptions) -> Any:
    module = "unichunk.benchmarks.stages.fresh_process"
    case = place.case
    options = {**asdict(engine), "cache": None if engine.cache is None else str(engine.cache.absolute())}
    command = [sys.executable, "-m", module, str(place.bundle), place.spec.name, str(case.rounds), str(case.steps)]
    command.append(msgspec.json.encode(options).decode())

    def start() -> dict[str, Any]:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own module
        if ended.returncode < 0:
            return {"died": f"its process was killed by signal {-ended.returncode}: is there enough memory?"}
        if ended.returncode:
            return {"died": (ended.stderr.strip().splitlines() or ["without a word"])[-1]}
        numbers: dict[str, Any] = msgspec.json.decode(ended.stdout)
        return numbers

    return start
