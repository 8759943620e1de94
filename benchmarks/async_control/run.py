"""The whole benchmark: train what is missing, measure all cells, print tables, write the document."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.async_control.cell import Cell, measure
from unichunk.benchmarks.async_control.cost import forecast
from unichunk.benchmarks.async_control.latency import DelayKind
from unichunk.benchmarks.async_control.methods import METHODS
from unichunk.benchmarks.async_control.report import print_tables, success_ratios
from unichunk.benchmarks.async_control.store import policy_file, trained_policy
from unichunk.benchmarks.async_control.tasks import TASKS
from unichunk.benchmarks.harness.document import document, not_measured, write_json
from unichunk.runtime.errors import UnichunkError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from unichunk.benchmarks.async_control.options import Options
    from unichunk.benchmarks.async_control.training import Recipe, Variant


def run(options: Options) -> dict[str, Any]:
    """Measure and print what the options ask for; everything as one document."""
    left_out = {name: not_measured(why) for name in options.wanted_tasks() if (why := _missing(name))}
    for name, reason in left_out.items():
        print(f"{name}: left out: {reason['not_measured']}", file=sys.stderr)
    cells = planned(options, [name for name in options.wanted_tasks() if name not in left_out])
    recipe, folder = options.recipe(), options.cache
    needed = sorted({(cell.task, cell.chunk, METHODS[cell.method].variant) for cell in cells}, key=str)
    missing = [want for want in needed if not policy_file(folder, TASKS[want[0]](), *want[1:], recipe).exists()]
    costs = forecast(cells, missing, recipe, options.workers)
    print(costs.sentence(), file=sys.stderr)
    policies = _in_processes(options.workers, _train, [(folder, *want, recipe) for want in needed], _told_policy)
    cells.sort(key=costs.of_cell, reverse=True)
    rows = _in_processes(options.workers, _measure, [(folder, cell, recipe) for cell in cells], _told_row)
    rows.sort(key=_order)
    result = document(
        "async",
        quick=options.quick,
        ratios=success_ratios(rows),
        options={key: value for key, value in asdict(options).items() if key not in ("cache", "json")},
        forecast=costs.as_dict(),
        policies=sorted(policies, key=str),
        left_out=left_out,
        rows=rows,
    )
    print_tables(result)
    write_json(options.json, result)
    return result


def planned(options: Options, tasks: Sequence[str]) -> list[Cell]:
    """All cells; delays are underestimated for those only that make use of what is committed."""
    return [
        Cell(task, method, chunk, latency, options.wanted_episodes(), options.seed)
        for task in tasks
        for chunk in options.wanted_chunks()
        for method in options.wanted_methods()
        for latency in options.latencies(chunk)
        if METHODS[method].locks or latency.kind is not DelayKind.UNDERESTIMATED
    ]


def _missing(name: str) -> str | None:
    """Why a task cannot be run here, in one line."""
    try:
        TASKS[name]()
    except UnichunkError as error:
        return str(error)
    return None


def _train(folder: Path, task: str, chunk: int, variant: Variant, recipe: Recipe) -> dict[str, Any]:
    return trained_policy(folder, TASKS[task](), chunk, variant, recipe).record


def _measure(folder: Path, cell: Cell, recipe: Recipe) -> dict[str, Any]:
    variant = METHODS[cell.method].variant
    return measure(cell, trained_policy(folder, TASKS[cell.task](), cell.chunk, variant, recipe))


def _in_processes(
    workers: int,
    job: Callable[..., dict[str, Any]],
    arguments: Sequence[tuple[Any, ...]],
    told: Callable[[dict[str, Any]], str],
) -> list[dict[str, Any]]:
    """What the jobs give, in the order in which they end, each told in a line as it does."""
    found = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(job, *each) for each in arguments]):
            found.append(future.result())
            print(f"[{len(found)}/{len(arguments)}] {told(found[-1])}", file=sys.stderr, flush=True)
    return found


def _told_policy(record: dict[str, Any]) -> str:
    return (
        f"policy {record['task']}, chunk {record['chunk']}, {record['variant']}: "
        f"loss {record['loss']:.3f} after {record['steps']} steps, trained in {record['seconds']:.0f} s"
    )


def _told_row(row: dict[str, Any]) -> str:
    return (
        f"{row['task']}, chunk {row['chunk']}, {row['method']}, d = {row['delay']} {row['delay_kind']}: "
        f"{row['success']:.3f} ({row['low']:.3f} to {row['high']:.3f}), {row['seconds']:.1f} s"
    )


def _order(row: dict[str, Any]) -> tuple[int, int, int, int, int]:
    kinds = [kind.value for kind in DelayKind]
    places = (list(TASKS).index(row["task"]), row["chunk"], list(METHODS).index(row["method"]))
    return (*places, kinds.index(row["delay_kind"]), row["delay"])
