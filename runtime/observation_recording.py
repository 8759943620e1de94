"""What a policy is asked while a robot moves, kept for `unichunk compile --observations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.policy.preprocessing import fit_image
from unichunk.runtime.reasoning import THOUGHT_KEY
from unichunk.runtime.recorded_observations import RecordedObservation, RecordedObservations
from unichunk.runtime.wrapped_policy import WrappedPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.chunk_policy import Chunk, ChunkPolicy
    from unichunk.runtime.policy.manifest import Manifest

KEPT: Final = 32
"""Questions in a file: what is asked of a policy again at every compilation."""


class ObservationRecording(WrappedPolicy):
    """A policy whose questions are kept, evenly spread over a run of any length.

    Every s-th question is kept; when twice as many as wanted are there, every second one of them goes and s doubles.
    So memory is bounded, and what is kept never depends on how long the run turns out to be.

    Args:
        policy: What answers.
        most: How many questions to keep at the end.
    """

    def __init__(self, policy: ChunkPolicy, most: int = KEPT) -> None:
        super().__init__(policy)
        self._most = most
        self._stride = 1
        self._asked = 0
        self._kept: list[RecordedObservation] = []

    def infer(
        self, observation: Mapping[str, Any], previous_chunk: NDArray[np.float32] | None = None, delay: int = 0
    ) -> Chunk:
        """Keep the question, or not, and let the policy answer it."""
        if self._asked % self._stride == 0:
            # Whoever made these arrays may write to them again.
            given = {name: np.array(value) if hasattr(value, "shape") else value for name, value in observation.items()}
            if THOUGHT_KEY in given:
                given["language.instruction"] = given.pop(THOUGHT_KEY)  # it is what the policy acts on
            previous = None if previous_chunk is None else np.array(previous_chunk)
            self._kept.append(RecordedObservation(given, previous, int(delay)))
            if len(self._kept) == 2 * self._most:
                del self._kept[1::2]
                self._stride *= 2
        self._asked += 1
        return self._policy.infer(observation, previous_chunk, delay)

    @property
    def questions(self) -> list[RecordedObservation]:
        """Those kept, at most as many as wanted, evenly spread."""
        places = np.linspace(0, len(self._kept) - 1, min(self._most, len(self._kept)))
        return [self._kept[round(place)] for place in places]

    def save(self, path: Path, embodiment: str, manifest: Manifest) -> str:
        """Write what was kept, see `RecordedObservations.save`; images as the policy sees them, without margins.

        Returns:
            Why there is nothing to write, one line; empty where there is.

        Raises:
            ReportError: It cannot be written.
        """
        if not self._kept:
            return f"recording {path}: not written, the policy was asked nothing"
        size = manifest.image.size
        questions = [
            RecordedObservation(
                {
                    name: fit_image(value, size) if name.startswith("video.") else value
                    for name, value in question.observation.items()
                },
                question.previous_chunk,
                question.delay,
            )
            for question in self.questions
        ]
        RecordedObservations(embodiment, questions).save(path, manifest.chunk_length)
        return ""
