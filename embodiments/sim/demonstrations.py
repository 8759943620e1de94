"""Demonstrations of the follow task: what the camera saw, where the joints were, what was executed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Demonstrations:
    """N observations from E episodes of R rows, of one robot.

    Attributes:
        images: What the camera saw, fitted for the policy, shape (N, size, size, 3), uint8.
        q: Joint positions at the same instant, shape (N, n), float32, [rad].
        goal: The expert's goals for the red and the blue block where they were at that instant, hands half-way between
            open and closed, shape (N, 2, n), float32, [rad].
        followed: Which block the demonstrator was told to follow at that tick, 0 red, 1 blue, shape (N,). It acts on
            that as late as on what it sees, so `most_locked` covers both.
        posture: Which posture of the hands it was told at that tick, index into `POSTURES`, shape (N,); the same.
        episode: Episode of each observation, shape (N,).
        tick: Its tick t0: the observation was taken at most `STALEST_S` before row t0 acts, shape (N,).
        most_locked: Longest prefix that may be locked from t0 on (see `longest_honest_delay`), shape (N,).
        rows: Executed rows, shape (E, R, n), [rad]; row 0 of an episode is where it stood, tick k executed row k + 1.
    """

    images: NDArray[np.uint8]
    q: NDArray[np.float32]
    goal: NDArray[np.float32]
    followed: NDArray[np.int64]
    posture: NDArray[np.int64]
    episode: NDArray[np.int64]
    tick: NDArray[np.int64]
    most_locked: NDArray[np.int64]
    rows: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write one .npz file, plain arrays only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Demonstrations:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            return cls(**{field.name: archive[field.name] for field in fields(cls)})

    @classmethod
    def joined(cls, parts: Sequence[Demonstrations]) -> Demonstrations:
        """All episodes of several recordings."""
        offsets = np.cumsum([0, *(len(part.rows) for part in parts[:-1])])
        arrays = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        arrays["episode"] = np.concatenate([part.episode + off for part, off in zip(parts, offsets, strict=True)])
        return cls(**arrays)
