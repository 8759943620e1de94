"""A policy that answers whatever the schedule says, with rows that tell which chunk and row they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unichunk.runtime.fallback import HoldFallback
from unichunk.runtime.unified import UNIFIED_WIDTH

Joints = NDArray[np.float64]
Unified = NDArray[np.float32]

CHUNK, ROW, FIRST_JOINT, FIRST_STEP = 0, 1, 2, 100
"""Columns of a unified row: which chunk, which row of it, and from where the joints are written, and their changes."""


def encode(joints: Joints, before: Joints) -> Unified:
    """Joint rows (m, n) after the row before them (n,) as unified rows (m, 200) that belong to no chunk."""
    rows = np.zeros((len(joints), UNIFIED_WIDTH), np.float32)
    rows[:, CHUNK] = rows[:, ROW] = -1
    rows[:, FIRST_JOINT : FIRST_JOINT + joints.shape[1]] = joints
    rows[:, FIRST_STEP : FIRST_STEP + joints.shape[1]] = np.diff(joints, axis=0, prepend=before[None])
    return rows


def hold(joints: int) -> HoldFallback:
    """A fallback for such rows: in them, to stay is to repeat the joints and to change them by nothing."""
    return HoldFallback(np.arange(FIRST_STEP, FIRST_STEP + joints), np.zeros(joints, np.float32))


class FakePolicy:
    """Locks its prefix exactly, unless told to break it; all values are exact in both float32 and float64.

    Args:
        chunk_length: T.
        joints: n.
        step: Largest change from row to row of a smooth chunk, shape (n,), [rad].
        span: Joints stay within +- span, [rad].
        smooth: Continue the prefix in small steps, or jump at every row.
        seed: Of the values.
    """

    def __init__(self, chunk_length: int, joints: int, step: Joints, span: float, *, smooth: bool, seed: int) -> None:
        self._length = chunk_length
        self._joints = joints
        self._step = step
        self._span = span
        self._smooth = smooth
        self._random = np.random.default_rng(seed)

    def answer(self, chunk: int, previous: Unified, delay: int, *, broken: bool) -> tuple[Unified, Joints]:
        """A chunk: its unified rows (T, 200) and its joint rows (T, n)."""
        values = self._values(previous, delay).astype(np.float32)
        rows = encode(values.astype(np.float64), values[0].astype(np.float64))
        rows[:, CHUNK], rows[:, ROW] = chunk, np.arange(self._length)
        rows[:, -1] = self._random.random(self._length, np.float32) + np.float32(0.5)
        rows[:delay] = previous[:delay]
        if broken and delay:
            row = int(self._random.integers(delay))
            rows[row, -1] = np.nextafter(rows[row, -1], np.float32(9), dtype=np.float32)
        return rows, rows[:, FIRST_JOINT : FIRST_JOINT + self._joints].astype(np.float64)

    def _values(self, previous: Unified, delay: int) -> Joints:
        if not self._smooth:
            return self._random.uniform(-self._span, self._span, (self._length, self._joints))
        steps = self._random.uniform(-self._step, self._step, (self._length, self._joints))
        before = previous[max(0, delay - 1), FIRST_JOINT : FIRST_JOINT + self._joints]
        steps[:delay] = 0.0
        return np.clip(before + np.cumsum(steps, axis=0), -self._span, self._span)
