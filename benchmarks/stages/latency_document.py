"""The measurement from the options to the document."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.harness.document import document
from unichunk.benchmarks.stages.driver_at_hand import WHAT, DriverAtHand, choose_source, no_twin
from unichunk.benchmarks.stages.fresh_starts import fresh_starts
from unichunk.benchmarks.stages.measurement import Amount, measure
from unichunk.benchmarks.stages.places import Sweep, main_robot, places_of_bundle, random_places
from unichunk.benchmarks.stages.robots import write_spec
from unichunk.benchmarks.stages.stage import MEANING
from unichunk.benchmarks.stages.subject import INSTRUCTION, Shelf, available_bytes
from unichunk.benchmarks.stages.telemetry import Telemetry, all_probes
from unichunk.embodiments.catalogue import load_spec
from unichunk.server.run_command import shipped_bundle

if TYPE_CHECKING:
    from unichunk.benchmarks.stages.driver_at_hand import Source
    from unichunk.benchmarks.stages.options import Options
    from unichunk.benchmarks.stages.subject import Place


def measured(options: Options) -> dict[str, Any]:
    """Measure what the options ask for; the whole document.

    Raises:
        UnichunkError: Where that is not possible.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unichunk-", dir=options.folder)))
        bundle, embodiment = _policy_and_robot(options)
        spec = load_spec(embodiment)
        trial = DriverAtHand("twin")
        stack.callback(trial.close)
        source, why = choose_source(options.robot, no_twin(spec), lambda: trial.at(write_spec(spec, folder / "trial")))
        trial.close()
        places, refused = _places(options, bundle, embodiment, source, folder)
        drivers = DriverAtHand(source)
        stack.callback(drivers.close)
        telemetry = Telemetry(all_probes())
        with telemetry:
            engine = options.engines.options(options.threads)
            shelf = Shelf(engine, available_bytes(Path("/proc/meminfo").read_text(encoding="ascii")))
            result = measure(places, shelf, drivers, _amount(options), telemetry, _say)
            drivers.close()
            _say("fresh processes")
            starts = fresh_starts(places, engine, 2 if options.quick else options.processes)
    return document(
        "latency",
        quick=options.quick,
        ratios=result.ratios,
        settings={
            "policy": f"random weights, size {options.random}, {options.form}" if bundle is None else bundle.name,
            "robot": spec.name,
            "engine": engine.name,
            "threads": options.threads,
            "source": WHAT[source] + (f" ({why})" if why else ""),
            "instruction": INSTRUCTION,
            "chunk_rows_hz": f"{spec.action_hz} rows/s, {spec.command_hz} commands/s",
            "not_permitted": "; ".join(result.missing) or "nothing",
        },
        stages=MEANING,
        cases=result.cases,
        not_measured=refused,
        rows=result.rows,
        curves=result.curves,
        fresh_starts=starts,
        telemetry=telemetry.summary(),
    )


def _policy_and_robot(options: Options) -> tuple[Path | None, str]:
    """The bundle, none for random weights, and the robot."""
    if options.random is not None:
        return None, options.embodiment or "so101"
    if options.policy is None:
        embodiment = options.embodiment or "so101"
        return shipped_bundle(load_spec(embodiment).name), embodiment
    return options.policy, options.embodiment or main_robot(options.policy)


def _places(
    options: Options, bundle: Path | None, embodiment: str, source: Source, folder: Path
) -> tuple[list[Place], dict[str, str]]:
    if bundle is not None:
        sweep = Sweep(options.views, options.steps, options.rounds)
        return places_of_bundle(bundle, embodiment, sweep, source, folder)
    assert options.random is not None
    sweep = Sweep(options.views or (1, 2), options.steps or (4,), options.rounds or (0, 1, 2))
    return random_places(options.random, embodiment, options.form, sweep, source, folder, _say), {}


def _amount(options: Options) -> Amount:
    if options.quick:
        return Amount(max(1, options.repeats // 6), min(options.visits, 6), options.seconds / 6, 5.0)
    return Amount(options.repeats, options.visits, options.seconds, 20.0)


def _say(line: str) -> None:
    print(f"latency: {line}", file=sys.stderr, flush=True)
