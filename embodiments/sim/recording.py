"""Recording demonstrations in several processes; each has its own simulator and graphics context."""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.demonstrations import Demonstrations
from unichunk.embodiments.sim.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

SEED_STRIDE: Final = 1_000_000
"""Episodes of recording seed s have block paths s * stride + 1, + 2, ...: evaluations use other seeds."""

BATCH: Final = 20
"""Episodes that a process records between two reports."""


def record_demonstrations(
    embodiment: str,
    camera: str,
    size: int,
    max_delay: int,
    episodes: int,
    seed: int,
    workers: int,
    report: Callable[[str], None],
) -> Demonstrations:
    """Record episodes; the result does not depend on the number of processes.

    Args:
        embodiment: Name of the robot's spec.
        camera: Camera to record.
        size: Edge of the recorded images, in pixels.
        max_delay: Longest prefix that training will lock.
        episodes: How many to record.
        seed: Seed of the whole recording.
        workers: Number of processes.
        report: Called with a line of progress now and then.
    """
    first = seed * SEED_STRIDE + 1
    seeds = list(range(first, first + episodes))
    batches = [seeds[i : i + BATCH] for i in range(0, episodes, BATCH)]
    # Forked children would share the parent's graphics libraries; spawned ones start clean.
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, context.Pool(workers) as pool:
        jobs = [
            (embodiment, camera, size, max_delay, batch, str(Path(folder) / f"{i}.npz"))
            for i, batch in enumerate(batches)
        ]
        for done, _ in enumerate(pool.imap_unordered(_record, jobs), start=1):
            report(f"demonstrations: {min(done * BATCH, episodes)} of {episodes} episodes")
        return Demonstrations.joined([Demonstrations.load(Path(job[-1])) for job in jobs])


def _record(job: tuple[str, str, int, int, list[int], str]) -> None:
    embodiment, camera, size, max_delay, seeds, path = job
    recorder = Recorder(load_spec(embodiment), camera, size, max_delay)
    try:
        recorder.record(seeds).save(Path(path))
    finally:
        recorder.close()
