"""From runs to rows, ratios and a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.document import document, is_measured, not_measured
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.percentiles import percentiles
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.pacing.loops import LOOPS, OURS
from unichunk.benchmarks.pacing.plan import LOADS, WARM_UP_S
from unichunk.benchmarks.pacing.steadiness import achieved_hz, interval_errors_us, lateness_us, missed, pooled

if TYPE_CHECKING:
    from unichunk.benchmarks.pacing.measuring import Measured
    from unichunk.benchmarks.pacing.plan import Plan
    from unichunk.benchmarks.pacing.subject import Run

QUANTILES: Final = ("p50", "p99", "p999", "max")
NO_GRID: Final = "it paces relative to now and keeps no grid"
DEFINITIONS: Final = {
    "p50_us, p99_us, p999_us, max_us": (
        "interval error: how far the time between two steps is from the period, absolute; the same for loops that keep "
        "a grid and for those that drift; a quantile with fewer than five samples beyond it is not measured"
    ),
    "late_p50_us, late_p99_us, late_p999_us, late_max_us": (
        "lateness: how long after its deadline on the absolute grid a step began, counted from the oldest step left "
        "out, where there was one; only a loop that keeps a grid has it"
    ),
    "achieved_hz": "intervals a second, over all rounds",
    "missed": "steps short of the exact rate, over all rounds: left out, or lost by drifting",
    "n": "intervals, over all rounds",
    "inferences_hz": "inferences a second beside the loop, over all rounds",
    "ratios": "of the p99 of each round; only where every round has the 500 intervals that a p99 takes",
    "a run": "as many steps as are due in the seconds of a round; a slow loop gets up to twice as long for them",
    "step": f"every loop calls a step that only writes down the time; the first {WARM_UP_S:g} s of a run do not count",
}


def rows(plan: Plan, measured: Measured) -> list[dict[str, Any]]:
    """One row for each loop, rate and load; what was not measured says why."""
    return [_row(name, rate, load, measured) for load in plan.loads for rate in plan.rates for name in plan.loops]


def ratios(plan: Plan, measured: Measured) -> dict[str, Ratio]:
    """Our p99 of the interval error in parts of each peer's, by label."""
    found = {}
    for load in plan.loads:
        for rate in plan.rates:
            ours = _p99s(measured.runs.get((OURS, load, rate)), rate)
            for name in plan.loops:
                theirs = _p99s(measured.runs.get((name, load, rate)), rate)
                if name != OURS and ours and theirs:
                    label = f"p99 of interval error, {load}, {rate} Hz: {OURS} / {name}"
                    found[label] = paired_ratio(ours, theirs, better="lower")
    return found


def make_document(plan: Plan, measured: Measured, *, quick: bool) -> dict[str, Any]:
    """The whole result as plain values."""
    return document(
        "jitter",
        quick=quick,
        ratios=ratios(plan, measured),
        rounds=plan.rounds,
        seconds_a_round={str(rate): seconds for rate, seconds in plan.seconds.items()},
        missing_permissions=measured.missing_permissions,
        loops={name: {"what": LOOPS[name].what, **measured.environments.get(name, {})} for name in plan.loops},
        loads={load: LOADS[load] for load in plan.loads},
        definitions=DEFINITIONS,
        rows=rows(plan, measured),
    )


def markdown(result: dict[str, Any]) -> str:
    """Rows and ratios as tables."""
    keys = ("p50_us", "p99_us", "p999_us", "max_us", "achieved", "missed", "late_p99_us", "n")
    headers = ("load", "rate [Hz]", "loop", "p50", "p99", "p99.9", "max [us]", "achieved [Hz]", "missed", "late p99")
    cells = []
    for row in result["rows"]:
        achieved = row["achieved_hz"]
        shown = {**row, "achieved": f"{achieved:.1f}" if is_measured(achieved) else achieved}
        cells.append([shown[key] for key in ("load", "rate_hz", "loop", *keys)])
    lines = [
        "Interval error in microseconds; lateness where a loop keeps a grid.\n",
        markdown_table((*headers, "n"), cells),
    ]
    if result["ratios"]:
        table = [[label, str(Ratio(**ratio))] for label, ratio in result["ratios"].items()]
        lines += ["", markdown_table(("ratio", "median (interval)"), table)]
    return "\n".join(lines)


def _row(name: str, rate: int, load: str, measured: Measured) -> dict[str, Any]:
    why = measured.failures.get((name, load))
    runs = measured.runs.get((name, load, rate), [])
    stamps = [run.stamps_ns for run in runs]
    achieved = achieved_hz(stamps)
    if achieved is None and why is None:
        why = "no two steps in a round"
    errors = percentiles(pooled([interval_errors_us(taken, rate) for taken in stamps]))
    late = percentiles(
        pooled([lateness_us(run.stamps_ns, run.epoch_ns, rate) for run in runs if run.epoch_ns is not None])
    )
    no_late = NO_GRID if why is None and late["n"] == 0 else why
    elapsed_s = sum(run.elapsed_s for run in runs)
    return {
        "loop": name,
        "rate_hz": rate,
        "load": load,
        **{f"{key}_us": errors[key] if why is None else not_measured(why) for key in QUANTILES},
        "achieved_hz": achieved if why is None else not_measured(why),
        "n": errors["n"],
        "rounds": len(runs),
        "missed": sum(missed(taken, rate) for taken in stamps) if why is None else not_measured(why),
        **{f"late_{key}_us": late[key] if no_late is None else not_measured(no_late) for key in QUANTILES},
        "inferences_hz": sum(run.inferences for run in runs) / elapsed_s if why is None else not_measured(why),
    }


def _p99s(runs: list[Run] | None, rate: int) -> list[float] | None:
    """The p99 of each round; None where one round has too few intervals for it."""
    found = [percentiles(interval_errors_us(run.stamps_ns, rate))["p99"] for run in runs or []]
    return found if found and all(is_measured(p99) for p99 in found) else None
