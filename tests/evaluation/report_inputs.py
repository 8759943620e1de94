"""Small inputs of reports: analyses that cost nothing, and recorded episodes."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from PIL import Image

from tests.evaluation.made_results import made_campaign, made_results
from unichunk.server.evaluation.planning.campaign import Analysis, Campaign
from unichunk.server.evaluation.results import Deviation, Results
from unichunk.server.evaluation.statistics.analysis import analyse

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.statistics.document import AnalysisResult

ODD_NOTES = (
    '=HYPERLINK("http://evil.example","x")',
    "<script>alert(1)</script> & <b>",
    "杯子倒了",
    "コップが倒れた",
    "Чашка упала, επιτυχία",
    "🙂",
    "line one\nline two",
)


def small_campaign(**changes: object) -> Campaign:
    campaign = made_campaign(policies=2, layouts=2, per_cell=5, analysis=Analysis(sequential=True))
    return msgspec.structs.replace(campaign, **changes)


@functools.cache
def small_results() -> Results:
    """Two policies that differ; notes that somebody would rather not set."""
    results = made_results(small_campaign(), (0.1, 0.9), seed=3)
    trials = tuple(
        dataclasses.replace(trial, note=note)
        for trial, note in zip(results.trials, (*ODD_NOTES, *[""] * 99), strict=False)
    )
    deviations = (
        Deviation(1_700_000_000_000_000_000, "clock jumped", "", "server", "by 3.2 s"),
        Deviation(1_700_000_100_000_000_000, "unblinding confirmed", "t0004", "eve", ""),
    )
    return dataclasses.replace(results, trials=trials, deviations=deviations)


@functools.cache
def small_analysis() -> AnalysisResult:
    return analyse(small_results())


def record(
    folder: Path,
    trial: str,
    *,
    ticks: tuple[int, ...] = tuple(range(100, 112)),
    rows: int = 4,
    every: int = 5,
    cameras: tuple[str, ...] = ("front",),
    seed: int = 0,
) -> None:
    """An episode as the proxy records it: three joints, pictures of 8 x 6 pixels each `every` ticks."""
    random = np.random.default_rng(seed)
    own = folder / trial
    shown = range(ticks[0], ticks[-1] + 1, every)
    arrays = {
        "tick": np.array(ticks),
        "state": random.normal(size=(len(ticks), 3)).astype(np.float32),
        "actions": random.normal(size=(len(ticks), rows, 3)).astype(np.float32),
        "timestamps": np.arange(len(ticks)) / 10,
    }
    for camera in cameras:
        (own / "frames" / camera).mkdir(parents=True)
        arrays[f"frames.{camera}"] = np.array(shown)
        for number in range(1, len(shown) + 1):
            picture = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(picture).save(own / "frames" / camera / f"{number:06d}.jpg")
    own.mkdir(parents=True, exist_ok=True)
    np.savez(own / "steps.npz", **arrays)
    document = {
        "trial": trial,
        "robot": "so101",
        "action_hz": 10.0,
        "fps": 2.0,
        "joints": ["a", "b", "c"],
        "cameras": {camera: {"width": 8, "height": 6} for camera in cameras},
        "sha256": {},
    }
    (own / "episode.json").write_text(json.dumps(document))
