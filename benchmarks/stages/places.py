"""Where the policies and robots of all cases are: a given bundle, or random ones that are compiled for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.benchmarks.stages.case import cases_of_bundle, combinations
from unichunk.benchmarks.stages.random_bundles import Form, Size, compile_case, write_random_checkpoint
from unichunk.benchmarks.stages.robots import with_stand_in, with_views, write_spec
from unichunk.benchmarks.stages.subject import Place
from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from unichunk.benchmarks.stages.driver_at_hand import Source


@dataclass(frozen=True)
class Sweep:
    """What was asked for.

    Attributes:
        views: Numbers of views; whatever there is where empty.
        steps: Numbers of Euler steps, likewise.
        rounds: Numbers of refinement rounds, likewise.
    """

    views: Sequence[int]
    steps: Sequence[int]
    rounds: Sequence[int]


def places_of_bundle(
    bundle: Path, embodiment: str, sweep: Sweep, source: Source, folder: Path
) -> tuple[list[Place], dict[str, str]]:
    """The cases that a bundle has graphs for, and label -> why not for the others.

    Args:
        bundle: Its folder.
        embodiment: Name of one of its robots, or the path of that robot's spec.
        sweep: What was asked for.
        source: Which driver.
        folder: For the robot's spec.

    Raises:
        UnichunkError: Where the bundle or the robot cannot be used, or nothing of what was asked for can be measured.
    """
    manifest, spec = read_manifest(bundle), load_spec(embodiment)
    if spec.name not in manifest.robots:
        drives = ", ".join(manifest.embodiments)
        raise UnichunkError(f"{bundle}: policy {manifest.name!r} drives {drives}, not {spec.name}; choose one of these")
    cases, refused = cases_of_bundle(manifest, spec.name, sweep.views, sweep.steps, sweep.rounds)
    if not cases:
        label, why = next(iter(refused.items()))
        raise UnichunkError(f"{bundle}: nothing to measure; {label}: {why}")
    spec = with_stand_in(spec) if source == "stand-in" else spec
    path = write_spec(spec, folder / "robot")
    return [Place(case, bundle, path, spec) for case in cases], refused


def random_places(
    size: Size, embodiment: str, form: Form, sweep: Sweep, source: Source, folder: Path, say: Callable[[str], object]
) -> list[Place]:
    """All combinations, each with a bundle of its own, or with one that serves it too.

    Args:
        size: Of the model.
        embodiment: Name of the robot, or path of its spec.
        form: Of the policy's actions.
        sweep: What was asked for, nothing left open.
        source: Which driver.
        folder: For checkpoint, bundles and specs; the checkpoint is removed when all is compiled.
        say: Told what is being done.

    Raises:
        UnichunkError: Where that cannot be compiled.
    """
    cases = combinations(sweep.views, sweep.steps, sweep.rounds)
    spec, most = load_spec(embodiment), max(sweep.views)
    checkpoint = folder / "checkpoint"
    say(f"writing a random checkpoint, size {size}")
    write_random_checkpoint(checkpoint, size, with_views(spec, most), form, most)
    places, bundles = [], dict[tuple[int, int, int], "Path"]()
    # A bundle with N rounds has the graph without any too.
    for case in sorted(cases, key=lambda case: -case.rounds):
        robot = with_views(spec, case.views)
        robot = with_stand_in(robot) if source == "stand-in" else robot
        serving = [key for key in bundles if key[:2] == (case.views, case.steps) and case.rounds in {0, key[2]}]
        key = serving[0] if serving else (case.views, case.steps, case.rounds)
        if key not in bundles:
            say(f"compiling {case.label}")
            bundles[key] = folder / "bundle-{}-{}-{}".format(*key)
            compile_case(checkpoint, bundles[key], case, robot, form)
        places.append(Place(case, bundles[key], write_spec(robot, folder / f"robot-{case.views}"), robot))
    return sorted(places, key=lambda place: cases.index(place.case))


def main_robot(bundle: Path) -> str:
    """The robot that a bundle is for, where nobody names one: its only one, else so101 if it drives that."""
    names = read_manifest(bundle).embodiments
    if len(names) == 1 or "so101" not in names:
        return names[0]
    return "so101"
