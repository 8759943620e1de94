"""What a robot can tell of who drives it, but for the motion: policies asked directly, and through the proxy.

Three policies make the same motion and differ in everything else: chunk length, latency, load, fields, greeting, errors
(`leaky_policies`). A robot in a process of its own watches trials of each, in random order, and writes down what it can
measure of every answer (`observer`); a classifier then says from groups of these numbers which policy it was, and is
judged by trials that it has not seen (`told_apart`). Motion itself gives policies away and is left out; when it begins
after a trial was started is shown apart, with and without equalized latency.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.evaluated.leak_scenes import POLICIES, ROBOT, Direct, Proxied
from unichunk.benchmarks.evaluated.observer import PERIOD_S, Trial, observe
from unichunk.benchmarks.evaluated.seen_of_trials import GROUPS, features_of, onset_of
from unichunk.benchmarks.evaluated.told_apart import told_apart
from unichunk.embodiments.catalogue import load_spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection

    from unichunk.benchmarks.evaluated.leak_scenes import Scene

IMAGE: Final = (120, 160)
BEFORE_S: Final = 0.15
"""How long a robot is connected before its trial begins, [s]."""

_END_S: Final = 5.0


@dataclass(frozen=True)
class Size:
    """How much is watched.

    Attributes:
        trials: For each policy and scene.
        answers: In each trial, about.
        permutations: Of labels.
    """

    trials: int
    answers: int
    permutations: int


FULL: Final = Size(trials=15, answers=16, permutations=400)
QUICK: Final = Size(trials=3, answers=6, permutations=40)


def measure(*, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """All tables.

    Args:
        quick: A few trials, and not without equalized latency: shows that it works, and no more.

    Returns:
        `told apart`: how well, by scene and group of numbers; `answers`: what they were like; `onset`: when motion
        began.
    """
    size = QUICK if quick else FULL
    random = np.random.default_rng(8)
    seen: dict[str, list[tuple[int, Trial]]] = {}
    with tempfile.TemporaryDirectory(prefix="unichunk-leaks-") as folder:
        scenes: Mapping[str, Scene] = {
            "direct": Direct(Path(folder)),
            "proxy, equalized": Proxied(Path(folder) / "equalized", equalized=True),
            "proxy, not equalized": Proxied(Path(folder) / "not", equalized=False),
        }
        for name, scene in scenes.items():
            if not (quick and name == "proxy, not equalized"):
                seen[name] = asyncio.run(_watch(scene, size, random))
    return {
        "told apart": [row for name, trials in seen.items() for row in _rows(name, trials, random, size.permutations)],
        "answers": [row for name, trials in seen.items() for row in _answers(name, trials)],
        "onset": [row for name, trials in seen.items() for row in _onsets(name, trials)],
    }


async def _watch(scene: Scene, size: Size, random: np.random.Generator) -> list[tuple[int, Trial]]:
    """Trials of all policies in random order."""
    order = random.permutation(np.repeat(np.arange(len(POLICIES)), size.trials))
    pipe, process = _observer()
    try:
        async with scene.open():
            return [(int(policy), await _trial(scene, pipe, int(policy), size)) for policy in order]
    finally:
        pipe.send(None)
        process.join(_END_S)
        process.kill()
        pipe.close()


def _observer() -> tuple[Connection, multiprocessing.process.BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=observe, args=(theirs, len(load_spec(ROBOT).joints), IMAGE), daemon=True)
    process.start()
    theirs.close()
    return ours, process


async def _trial(scene: Scene, pipe: Connection, policy: int, size: Size) -> Trial:
    pipe.send(scene.address(policy))
    await scene.ready(policy)
    await asyncio.sleep(BEFORE_S)
    scene.begin(policy)
    pipe.send("begin")
    await asyncio.sleep(size.answers * PERIOD_S)
    pipe.send("end")
    trial: Trial = await asyncio.to_thread(pipe.recv)
    scene.end()
    return trial


def _rows(
    scene: str, trials: Sequence[tuple[int, Trial]], random: np.random.Generator, permutations: int
) -> list[dict[str, Any]]:
    labels = np.array([policy for policy, _ in trials])
    rows = []
    for group in GROUPS:
        features = np.array([features_of(trial, group) for _, trial in trials])
        told = told_apart(features, labels, random, permutations)
        rows.append({"scene": scene, "by": group, "trials": len(trials), "chance": 1 / len(POLICIES), **asdict(told)})
    return rows


def _answers(scene: str, trials: Sequence[tuple[int, Trial]]) -> list[dict[str, Any]]:
    rows = []
    for policy, name in enumerate(POLICIES):
        mine = [trial for number, trial in trials if number == policy]
        sights = [sight for trial in mine for sight in trial.sights]
        times_ms = 1e3 * np.array([sight.response_s for sight in sights])
        rows.append(
            {
                "scene": scene,
                "policy": name,
                "answers": len(sights),
                "bytes": sorted({sight.bytes for sight in sights}),
                "greeting_bytes": sorted({trial.greeting for trial in mine}),
                "error_bytes": sorted({trial.error for trial in mine}),
                "response_ms_p50": float(np.quantile(times_ms, 0.5)),
                "response_ms_p95": float(np.quantile(times_ms, 0.95)),
                "response_ms_max": float(times_ms.max()),
            }
        )
    return rows


def _onsets(scene: str, trials: Sequence[tuple[int, Trial]]) -> list[dict[str, Any]]:
    rows = []
    for policy, name in enumerate(POLICIES):
        onsets = [onset_of(trial) for number, trial in trials if number == policy]
        rows.append(
            {"scene": scene, "policy": name, "answers_p50": float(np.median(onsets)), "answers": sorted(onsets)}
        )
    return rows
