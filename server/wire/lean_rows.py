"""Rows of the unified space as they travel: the slots of the robot's own actions where nothing else says anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.errors import MessageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Manifest, RobotEntry


class RowCodec:
    """Packs rows (m, 200) for the wire and places them again, for one robot of one bundle.

    Args:
        manifest: The bundle's description.
        robot: The robot's entry in it.

    Attributes:
        slots: Slots of the robot's actions, ascending.
        length: T, rows of a chunk.
    """

    def __init__(self, manifest: Manifest, robot: RobotEntry) -> None:
        self.slots: NDArray[np.intp] = np.unique([slot for key in robot.action.values() for slot in range(*key.slots)])
        self._width = manifest.unified_width
        self._others = np.setdiff1d(np.arange(self._width), self.slots)
        self._own = manifest.noise == "own"
        self.length = manifest.chunk_length

    def pack_locked(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows of the running plan (m, 200): their own slots (m, w), or all where others hold something too."""
        return rows if rows[:, self._others].any() else rows[:, self.slots]

    def place_locked(self, rows: NDArray[np.float32], delay: int) -> NDArray[np.float32]:
        """What `pack_locked` made, as rows (m, 200) again.

        Args:
            rows: What came: d rows to lock or, for a guided policy, more.
            delay: d.

        Raises:
            MessageError: Where they have another type or shape, or are fewer than d or more than T.
        """
        return self._place("locked rows", rows, min(max(delay, len(rows) if rows.ndim else 0), self.length))

    def pack_chunk(self, unified: NDArray[np.float32]) -> NDArray[np.float32]:
        """A chunk (T, 200) for the wire: the own slots (T, w) where the others are known to be zero, else all."""
        return unified[:, self.slots] if self._own else unified

    def place_chunk(self, rows: NDArray[np.float32], locked: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """What `pack_chunk` made, as a writable chunk (T, 200) again.

        Args:
            rows: What came.
            locked: The rows that were locked, (d, 200): what they hold in other slots did not travel back.

        Raises:
            MessageError: Where it has another type or shape, or is not finite.
        """
        chunk = self._place("chunk", rows, self.length)
        if not np.isfinite(chunk).all():
            raise MessageError("chunk: expected finite numbers")
        if locked is not None and rows.shape[1] != self._width:
            chunk[: len(locked), self._others] = locked[:, self._others]
        return chunk

    def _place(self, label: str, rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        if rows.dtype != np.float32 or rows.shape not in ((count, self.slots.size), (count, self._width)):
            raise MessageError(
                f"{label}: expected float32 of shape ({count}, {self.slots.size}) or ({count}, {self._width}), got "
                f"{rows.dtype} of shape {rows.shape}"
            )
        if rows.shape[1] == self._width:
            return rows.copy()
        placed = np.zeros((count, self._width), np.float32)
        placed[:, self.slots] = rows
        return placed
