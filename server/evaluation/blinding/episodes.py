"""What is kept of a trial: what the robot saw, where it was, what it was told. Nothing else that depends on a policy.

A folder `episodes/<trial>/`:

| file                         | content                                                                               |
|------------------------------|---------------------------------------------------------------------------------------|
| `steps.npz`                  | `tick` (N,); `state` (N, n) measured joints [rad]; `actions` (N, H, n) joint targets  |
|                              | [rad] for ticks `tick` ... `tick` + H - 1; `timestamps` (N,) since the first one [s]; |
|                              | `frames.<camera>` (F,): tick of each picture                                          |
| `frames/<camera>/000001.jpg` | pictures                                                                              |
| `episode.json`               | names, rates, SHA-256 of all other files; written last                                |
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from unichunk.server.wire.jpeg import encode_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec

EPISODE: Final = "episode.json"

MOST_WAITING: Final = 64
"""Steps that wait to be written; pictures of a step beyond them are dropped, and counted."""

QUALITY: Final = 85
"""Of the pictures."""


@dataclass(frozen=True)
class Step:
    """One request and its answer.

    Attributes:
        tick: Of the observation.
        joints: Measured, shape (n,), [rad].
        rows: What was handed out, shape (H, n), [rad].
        time_s: When the request came, by any clock that runs evenly, [s].
        images: Camera name -> RGB.
    """

    tick: int
    joints: NDArray[np.float32]
    rows: NDArray[np.float32]
    time_s: float
    images: Mapping[str, NDArray[np.uint8]]


class EpisodeRecorder:
    """Writes one trial's folder, in a thread of its own: whoever drives a robot never waits for a disk.

    Args:
        folder: `episodes/<trial>/`; made here, must not be there yet.
        trial: Opaque id.
        spec: The embodiment.
        fps: Pictures a second of every camera, in the robot's time: ticks.
        written: Told the SHA-256 of `episode.json` once everything is on the disk; called in the recorder's thread.
    """

    def __init__(
        self,
        folder: Path,
        trial: str,
        spec: EmbodimentSpec,
        fps: float,
        written: Callable[[str], None] = lambda sha256: None,  # noqa: ARG005  nobody asks
    ) -> None:
        self._folder, self._trial, self._spec = folder, trial, spec
        self._written = written
        self._fps = min(fps, float(spec.action_hz))
        self._steps: list[Step] = []
        self._due: queue.Queue[tuple[int, int, Mapping[str, NDArray[np.uint8]]] | None] = queue.Queue(MOST_WAITING)
        self._pictures = 0
        self._first_tick: int | None = None
        self._dropped = 0
        self._ticks: dict[str, list[int]] = {name: [] for name in spec.cameras}
        self._sizes: dict[str, dict[str, int]] = {}
        self._hashes: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="episode", daemon=True)
        self.failure = ""
        """Why there is no complete episode, one line; empty where there is, or will be."""
        self._thread.start()

    def step(self, step: Step) -> None:
        """Take in a step; returns at once."""
        first = self._first_tick = step.tick if self._first_tick is None else self._first_tick
        images = step.images
        # Without its pictures: what waits shall not fill the memory.
        self._steps.append(Step(step.tick, step.joints, step.rows, step.time_s, {}))
        if (step.tick - first) * self._fps < self._pictures * self._spec.action_hz:
            return
        self._pictures += 1
        try:
            self._due.put_nowait((self._pictures, step.tick, images))
        except queue.Full:
            self._pictures -= 1
            self._dropped += 1

    def finish(self) -> None:
        """The trial is over: write the rest; returns at once."""
        threading.Thread(target=self._due.put, args=(None,), name="episode", daemon=True).start()

    def join(self, timeout_s: float) -> bool:
        """Wait until everything is written; False where that takes longer."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._folder.mkdir(parents=True)
            for name in self._spec.cameras:
                (self._folder / "frames" / name).mkdir(parents=True)
        except OSError as error:
            self._fail(error)
        while (due := self._due.get()) is not None:
            if not self.failure:
                self._attempt(lambda due=due: self._write_pictures(*due))
        if not self.failure:
            self._attempt(self._write_end)

    def _attempt(self, write: Any) -> None:
        try:
            write()
        except (OSError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        self.failure = (
            f"episode {self._trial}: cannot be written ({reason}): free some space; the trial goes on without"
        )

    def _write_pictures(self, number: int, tick: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        for name, image in images.items():
            self._write(f"frames/{name}/{number:06d}.jpg", encode_jpeg(image, QUALITY))
            self._ticks[name].append(tick)
            self._sizes.setdefault(name, {"width": image.shape[1], "height": image.shape[0]})

    def _write_end(self) -> None:
        steps = self._steps
        shape = (0, len(self._spec.joints))
        arrays: dict[str, Any] = {
            "tick": np.array([step.tick for step in steps], np.int64),
            "state": np.array([step.joints for step in steps], np.float32).reshape(-1, shape[1]),
            "actions": np.array([step.rows for step in steps], np.float32)
            if steps
            else np.zeros((0, *shape), np.float32),
            "timestamps": np.array([step.time_s - steps[0].time_s for step in steps], np.float64),
        }
        arrays |= {f"frames.{name}": np.array(ticks, np.int64) for name, ticks in self._ticks.items()}
        path = self._folder / "steps.npz"
        with path.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        self._hashes["steps.npz"] = hashlib.sha256(path.read_bytes()).hexdigest()
        document = {
            "trial": self._trial,
            "robot": self._spec.name,
            "action_hz": self._spec.action_hz,
            "fps": self._fps,
            "joints": self._spec.joint_names,
            "cameras": self._sizes,
            "steps": len(steps),
            "pictures": len(next(iter(self._ticks.values()), [])),
            "dropped": self._dropped,
            "sha256": dict(sorted(self._hashes.items())),
        }
        # The folder's name last: whoever finds episode.json finds everything.
        self._write(EPISODE, msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
        for folder in (self._folder, self._folder.parent):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        self._written(self._hashes[EPISODE])

    def _write(self, name: str, content: bytes) -> None:
        with (self._folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._hashes[name] = hashlib.sha256(content).hexdigest()
