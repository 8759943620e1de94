"""One recorded trial on a grid of ticks: a row for every action step from its first to its last."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from unichunk.runtime.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Positive = Annotated[float, Meta(gt=0, le=100_000)]
CameraName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")]
Length = Annotated[int, Meta(gt=0, le=100_000)]
MOST_TICKS: Final = 2_000_000
"""More than an hour at 500 Hz; a file with more is damaged."""
PICTURE: Final = re.compile(r"\d{6,9}\.jpg")


class Camera(msgspec.Struct, frozen=True):
    """Size of a camera's pictures, [px]."""

    width: Length
    height: Length


class Recorded(msgspec.Struct, frozen=True):
    """What is read of `episode.json`.

    Attributes:
        trial: Opaque id.
        action_hz: Action steps a second, [Hz].
        fps: Pictures a second, [Hz].
        joints: Names, in command order.
        cameras: Name and size of each.
        robot: Name of the embodiment.
    """

    trial: str
    action_hz: Positive
    fps: Positive
    joints: Annotated[tuple[str, ...], Meta(min_length=1, max_length=200)]
    cameras: dict[CameraName, Camera] = {}
    robot: str = ""


@dataclass(frozen=True)
class Episode:
    """A trial, on the grid of its ticks.

    Attributes:
        recorded: Its names and rates.
        state: Newest measured joints at each tick, shape (T, n), [rad].
        action: The joint targets of each tick, shape (T, n), [rad].
        pictures: Camera -> files in order of time.
        newest: Camera -> for each tick the place of its newest picture in `pictures`, shape (T,).
    """

    recorded: Recorded
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    pictures: Mapping[str, tuple[Path, ...]]
    newest: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        """How many ticks it lasts."""
        return len(self.state)


def read_episode(folder: Path) -> Episode | None:
    """Read what was recorded of a trial.

    Args:
        folder: `episodes/<trial>/`.

    Returns:
        None where nothing was recorded, or no step.

    Raises:
        ReportError: Where what is there does not fit together; one line.
    """
    path = folder / "episode.json"
    if not path.is_file():
        return None
    try:
        recorded = msgspec.json.decode(path.read_bytes(), type=Recorded)
        arrays = _arrays(folder / "steps.npz")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReportError(f"cannot be read: {reason}") from None
    if complaint := _complaint(arrays, len(recorded.joints)):
        raise ReportError(f"steps.npz: {complaint}")
    if not len(arrays["tick"]):
        return None
    return _on_grid(folder, recorded, arrays)


def _arrays(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            # Else it might be loaded as something that is no archive of arrays.
            raise ValueError("steps.npz: expected an archive of arrays")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            return dict(archive)


def _on_grid(folder: Path, recorded: Recorded, arrays: Mapping[str, Any]) -> Episode:
    ticks = np.asarray(arrays["tick"], np.int64)
    grid = np.arange(ticks[0], ticks[-1] + 1)
    newest = np.searchsorted(ticks, grid, side="right") - 1
    answers = np.asarray(arrays["actions"], np.float32)
    # Rows never change once they were handed out, so whichever answer covers a tick says the same; beyond the last row
    # of an answer, where the next request was late, the robot held it.
    row = np.minimum(grid - ticks[newest], answers.shape[1] - 1)
    pictures = {name: _pictures(folder / "frames" / name) for name in recorded.cameras}
    shown = {name: files for name, files in pictures.items() if files}
    return Episode(
        recorded=recorded,
        state=np.asarray(arrays["state"], np.float32)[newest],
        action=answers[newest, row],
        pictures=shown,
        newest={name: _newest(grid, _when(name, recorded, arrays, len(files))) for name, files in shown.items()},
    )


def _when(name: str, recorded: Recorded, arrays: Mapping[str, Any], amount: int) -> NDArray[np.int64]:
    """Ticks of the pictures; evenly spaced where they were not recorded."""
    known = arrays.get(f"frames.{name}")
    if known is not None and len(known) >= amount:
        return np.asarray(known[:amount], np.int64)
    spacing = recorded.action_hz / recorded.fps
    return np.asarray(arrays["tick"][0] + np.floor(np.arange(amount) * spacing), np.int64)


def _newest(grid: NDArray[np.int64], when: NDArray[np.int64]) -> NDArray[np.int64]:
    # Before the first picture there is none but that one.
    return np.maximum(np.searchsorted(when, grid, side="right") - 1, 0)


def _pictures(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    return tuple(sorted(path for path in folder.iterdir() if PICTURE.fullmatch(path.name)))


def _complaint(arrays: Mapping[str, Any], joints: int) -> str:
    """What is wrong with the arrays; empty: nothing."""
    missing = [name for name in ("tick", "state", "actions") if name not in arrays]
    if missing:
        return f"{missing[0]} is missing"
    tick = arrays["tick"]
    if tick.ndim != 1 or (tick.size > 1 and bool((np.diff(tick) <= 0).any())):
        return "expected ticks that grow"
    if not tick.size:
        return ""
    if int(tick[-1]) - int(tick[0]) >= MOST_TICKS:
        return f"expected at most {MOST_TICKS} ticks, got {int(tick[-1]) - int(tick[0]) + 1}"
    return _misshapen(arrays["state"], arrays["actions"], len(tick), joints)


def _misshapen(state: Any, actions: Any, steps: int, joints: int) -> str:
    rows = actions.shape[1] if actions.ndim == 3 else 0
    if state.shape != (steps, joints):
        return f"expected states of shape ({steps}, {joints}), got {state.shape}"
    if rows == 0 or actions.shape != (steps, rows, joints):
        return f"expected actions of shape ({steps}, rows, {joints}), got {actions.shape}"
    return "" if bool(np.isfinite(state).all() and np.isfinite(actions).all()) else "expected finite numbers"
