"""What can be asked of the benchmark."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import Final, Literal, TypeAlias

from unichunk.benchmarks.async_control.latency import DelayKind, Latency
from unichunk.benchmarks.async_control.methods import METHODS
from unichunk.benchmarks.async_control.store import default_folder
from unichunk.benchmarks.async_control.tasks import TASKS
from unichunk.benchmarks.async_control.training import Recipe

CHUNKS: Final = (8, 16)
QUICK_STEPS: Final = 4000

Kind: TypeAlias = Literal["fixed", "sampled", "underestimated"]


@dataclass(frozen=True)
class Options:
    """What to measure; what is left out is everything, or with `--quick` a small part of it."""

    quick: bool = False
    """The task catch, chunk 8, d = 0, 2 and 4, 512 episodes, shorter training: about three minutes."""
    tasks: tuple[str, ...] = ()
    """Tasks."""
    methods: tuple[str, ...] = ()
    """Methods."""
    chunks: tuple[int, ...] = ()
    """Chunk lengths T, 4 or more."""
    delays: tuple[int, ...] = ()
    """Fixed delays d, in ticks; without it 0 to T / 2 of each chunk length."""
    kinds: tuple[Kind, ...] = ()
    """Columns: fixed, sampled, underestimated."""
    episodes: int | None = None
    """Episodes a cell: 2048, with --quick 512."""
    steps: int | None = None
    """Gradient steps of each policy."""
    demonstrations: Literal["exploring", "clean"] = "exploring"
    """Whether demonstrations record noise on the expert's actions; with clean ones delay training leaks the future."""
    prefix_noise: float = 0.0
    """Noise on the locked rows in training only: most of a cure where demonstrations are clean (try 0.3)."""
    seed: int = 0
    """Of policies, worlds and noise."""
    workers: int = min(2, os.cpu_count() or 1)
    """Processes side by side, each on one thread."""
    cache: Path = field(default_factory=default_folder)
    """Where trained policies are kept."""
    json: Path | None = None
    """Where to write everything as JSON."""

    def wanted_tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return self.tasks or (("catch",) if self.quick else tuple(TASKS))

    def wanted_methods(self) -> tuple[str, ...]:
        """Names of the methods, in the order of the table."""
        return tuple(name for name in METHODS if name in (self.methods or METHODS))

    def wanted_chunks(self) -> tuple[int, ...]:
        """Chunk lengths."""
        return self.chunks or (CHUNKS[:1] if self.quick else CHUNKS)

    def wanted_episodes(self) -> int:
        """Episodes a cell."""
        return self.episodes or (512 if self.quick else 2048)

    def latencies(self, chunk: int) -> list[Latency]:
        """The columns for a chunk length."""
        kinds = self.kinds or (("fixed",) if self.quick else ("fixed", "sampled", "underestimated"))
        longest = chunk // 2
        fixed = self.delays or ((0, longest // 2, longest) if self.quick else tuple(range(longest + 1)))
        columns = {
            "fixed": [Latency(DelayKind.FIXED, delay) for delay in fixed],
            "sampled": [Latency(DelayKind.SAMPLED, longest)],
            "underestimated": [Latency(DelayKind.UNDERESTIMATED, delay) for delay in (longest // 2, longest)],
        }
        return [latency for kind, found in columns.items() if kind in kinds for latency in found]

    def recipe(self) -> Recipe:
        """How policies are trained."""
        usual = Recipe(prefix_noise=self.prefix_noise, seed=self.seed)
        exploration = usual.exploration if self.demonstrations == "exploring" else 0.0
        steps = self.steps or (QUICK_STEPS if self.quick else usual.steps)
        return Recipe(exploration=exploration, prefix_noise=self.prefix_noise, steps=steps, seed=self.seed)


def complaints(options: Options) -> list[str]:
    """What is wrong with the options, a line each."""
    found = [
        f"unknown task {name!r}: expected some of {', '.join(TASKS)}" for name in options.tasks if name not in TASKS
    ]
    found += [
        f"unknown method {name!r}: expected some of {', '.join(METHODS)}"
        for name in options.methods
        if name not in METHODS
    ]
    found += [f"--chunks {chunk}: expected at least 4" for chunk in options.chunks if chunk < 4]
    found += [
        f"--delays {delay}: expected 0 to {chunk // 2} with chunks of {chunk}: name a longer chunk with --chunks"
        for delay in options.delays
        for chunk in options.wanted_chunks()
        if not 0 <= delay <= chunk // 2
    ]
    counts = {"episodes": options.episodes, "steps": options.steps, "workers": options.workers}
    found += [
        f"--{name} {count}: expected at least 1" for name, count in counts.items() if count is not None and count < 1
    ]
    if not 0.0 <= options.prefix_noise <= 1.0:
        found.append(f"--prefix-noise {options.prefix_noise}: expected 0 to 1")
    if options.seed < 0:
        found.append(f"--seed {options.seed}: expected 0 or more")
    return found + _cache_complaints(options.cache)


def _cache_complaints(folder: Path) -> list[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [f"--cache {folder}: cannot be made ({error.strerror}): name a folder that can"]
    if not os.access(folder, os.W_OK | os.X_OK):
        return [f"--cache {folder}: may not be written: name another folder"]
    return []
