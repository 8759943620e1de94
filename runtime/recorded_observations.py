"""What a policy was asked on a run, as a file: for whoever wants to ask the same again."""

from __future__ import annotations

import contextlib
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import ObservationError, ReportError
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

INSTRUCTION: Final = "language.instruction"
_KINDS: Final = {"embodiment": ("U", 0), "delay": ("i", 1), "previous_rows": ("i", 1), "previous_chunk": ("f", 3)}
"""Arrays of every file beside the observations': kind of their type, axes."""


@dataclass(frozen=True)
class RecordedObservation:
    """One question to a policy.

    Attributes:
        observation: `video.<camera>` (H, W, 3) uint8, `state.<key>` (width,), `language.instruction` text.
        previous_chunk: Unified rows that were there, (m, 200); None where there were none.
        delay: d, how many of them were locked.
    """

    observation: Mapping[str, Any]
    previous_chunk: NDArray[np.float32] | None
    delay: int


@dataclass(frozen=True)
class RecordedObservations:
    """What a policy was asked on a run.

    Attributes:
        embodiment: The robot.
        questions: In the order of the run, at least one.
    """

    embodiment: str
    questions: Sequence[RecordedObservation]

    def save(self, path: Path, chunk_length: int) -> None:
        """Write an .npz file, beside its place, then renamed.

        It has one array for each key of the observations, `delay` (n,), `previous_chunk` (n, T, 200), `previous_rows`
        (n,): how many of its rows were there, and `embodiment`.

        Args:
            path: Where it goes.
            chunk_length: T.

        Raises:
            ReportError: It cannot be written; nothing is left behind.
        """
        count = len(self.questions)
        previous, rows = np.zeros((count, chunk_length, UNIFIED_WIDTH), np.float32), np.zeros(count, np.int64)
        for index, question in enumerate(self.questions):
            if question.previous_chunk is not None:
                rows[index] = len(question.previous_chunk)
                previous[index, : rows[index]] = question.previous_chunk
        first = self.questions[0].observation
        arrays: dict[str, Any] = {
            name: np.stack([np.asarray(question.observation[name]) for question in self.questions]) for name in first
        }
        arrays |= {"embodiment": np.array(self.embodiment), "previous_rows": rows, "previous_chunk": previous}
        arrays["delay"] = np.array([question.delay for question in self.questions], np.int64)
        beside = path.with_name(f".{path.name}.part")
        try:
            with beside.open("wb") as file:
                np.savez(file, **arrays)
            beside.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise ReportError(f"recording {path}: cannot be written ({error.strerror})") from None

    @classmethod
    def read(cls, path: Path) -> RecordedObservations:
        """Read what `save` wrote.

        Raises:
            ObservationError: In one line, why that cannot be.
        """
        arrays = _arrays(path)
        for name, (kind, axes) in _KINDS.items():
            found = arrays.get(name)
            if found is None or found.dtype.kind != kind or found.ndim != axes:
                what = "missing" if found is None else f"{found.dtype} of shape {found.shape}"
                raise ObservationError(
                    f"observations {path}: {name} is {what}; expected a file of `unichunk run --record-observations`"
                )
        count, asked = len(arrays["delay"]), {name: arrays[name] for name in arrays if name not in _KINDS}
        if not count:
            raise ObservationError(f"observations {path}: holds none; record a longer run")
        for name, values in (*asked.items(), *((name, arrays[name]) for name in ("previous_rows", "previous_chunk"))):
            if values.ndim == 0 or len(values) != count:
                raise ObservationError(
                    f"observations {path}: {name} has shape {values.shape}, expected {count} of each, as delay has"
                )
        return cls(str(arrays["embodiment"]), [_question(arrays, asked, index) for index in range(count)])


def _question(arrays: Mapping[str, NDArray[Any]], asked: Mapping[str, NDArray[Any]], index: int) -> RecordedObservation:
    observation = {name: str(values[index]) if name == INSTRUCTION else values[index] for name, values in asked.items()}
    rows = int(arrays["previous_rows"][index])
    previous = np.asarray(arrays["previous_chunk"][index, :rows], np.float32) if rows else None
    return RecordedObservation(observation, previous, int(arrays["delay"][index]))


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise ObservationError(f"observations {path}: a single array, expected an .npz file of several")
            return {name: content[name] for name in content.files}
    except OSError as error:
        raise ObservationError(f"observations {path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile):
        raise ObservationError(
            f"observations {path}: not a whole .npz file of numbers and texts; record it again with "
            f"`unichunk run --record-observations`"
        ) from None
