"""What can be asked of the benchmark of latency."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING

import tyro  # noqa: TC002  it reads the annotations

from unichunk.benchmarks.stages.driver_at_hand import Source  # noqa: TC001  tyro reads the annotations
from unichunk.benchmarks.stages.random_bundles import Form, Size  # noqa: TC001  tyro reads the annotations
from unichunk.server.engine_flags import EngineFlags
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Options:
    """Measure every stage of a chunk, and print tables."""

    policy: Path | None = None
    """Folder of a policy bundle. Without it, the one shipped for the robot."""
    embodiment: str | None = None
    """Name of the robot, or the path of a spec. Without it, the bundle's; so101 where it drives several."""
    engines: tyro.conf.OmitArgPrefixes[EngineFlags] = field(default_factory=EngineFlags)
    views: tuple[int, ...] = ()
    """Numbers of views to measure. Without it, the bundle's, or 1 and 2 with --random."""
    steps: tuple[int, ...] = ()
    """Numbers of Euler steps. Without it, the bundle's, or 4 with --random."""
    rounds: tuple[int, ...] = ()
    """Numbers of refinement rounds. Without it, those the bundle has, or 0, 1 and 2 with --random."""
    random: Size | None = None
    """Instead of a bundle: random weights in a published architecture of this size, compiled for every case."""
    form: Form = "joints"
    """With --random: whether actions are joint positions, or poses of end effectors, which take inverse kinematics."""
    threads: int = 1
    """Threads inside one operator."""
    robot: Source | None = None
    """The simulated twin, or a stand-in with synthetic pictures. Without it, the twin where there is one."""
    repeats: int = 600
    """Chunks of each case in all visits; a 99th percentile takes 500."""
    visits: int = 12
    """Visits to each case, in turn with the others."""
    seconds: float = 120.0
    """What the chunks of one case may take; a slower policy gets fewer of them."""
    processes: int = 5
    """Fresh processes for load and first inference."""
    folder: Path | None = None
    """With --random: where checkpoint and bundles go meanwhile; a temporary folder otherwise."""
    json: Path | None = None
    """Where to write all numbers."""
    html: Path | None = None
    """Where to write the report with pictures."""
    quick: bool = False
    """A sixth of the chunks in fewer visits, two fresh processes, to see that it works."""
    compare: tuple[Path, ...] = ()
    """Measure nothing: put documents of several machines side by side."""


def complaints(options: Options) -> list[str]:
    """What is wrong with the options, a line each; found before anything is done."""
    return [*_choice_complaints(options), *_number_complaints(options), *_file_complaints(options)]


def _choice_complaints(options: Options) -> Iterator[str]:
    try:
        options.engines.check()
    except UsageError as error:
        yield str(error)
    if options.random is not None and options.policy is not None:
        yield "--policy and --random: expected one of them, a bundle or random weights"
    if options.random is None and options.form != "joints":
        yield "--form: only random weights (--random) have a choice, a bundle has its own"


def _number_complaints(options: Options) -> Iterator[str]:
    for name, values, least in (
        ("views", options.views, 1),
        ("steps", options.steps, 1),
        ("rounds", options.rounds, 0),
        ("threads", (options.threads,), 1),
        ("repeats", (options.repeats,), 1),
        ("visits", (options.visits,), 1),
        ("processes", (options.processes,), 1),
    ):
        yield from (f"--{name} {value}: expected at least {least}" for value in values if value < least)
    if not 0 < options.seconds < math.inf:
        yield f"--seconds {options.seconds:g}: expected more than 0"


def _file_complaints(options: Options) -> Iterator[str]:
    if options.compare and options.json is not None:
        yield "--json: nothing is measured with --compare; its page (--html) and its tables hold all there is"
    html = options.html
    if html is not None and (html.is_dir() or not os.access(html.absolute().parent, os.W_OK)):
        yield f"--html {html}: expected a file in a folder that exists and may be written"
    if options.folder is not None and not (options.folder.is_dir() and os.access(options.folder, os.W_OK)):
        yield f"--folder {options.folder}: expected a folder that exists and may be written"
