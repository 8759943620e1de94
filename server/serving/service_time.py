"""How long requests take lately."""

from __future__ import annotations

from typing import Final

_SHARE: Final = 0.2
"""Weight of the newest measurement."""


class ServiceTime:
    """Exponentially weighted means of what answers took.

    Args:
        first_s: What a request took while warming up, [s]; 0 where nobody knows.
    """

    def __init__(self, first_s: float = 0.0) -> None:
        self.service_s = first_s
        """From a request's way to a worker to its answer, the wait inside the worker left out, [s]."""
        self.each_s = first_s
        """Time of a worker that a request takes, its share of a batch, [s]."""

    def measured(self, infer_s: float, other_s: float, batch: int) -> None:
        """An answer came.

        Args:
            infer_s: What its batch took, [s].
            other_s: What decoding and encoding took, which runs beside the inference of others, [s].
            batch: Requests of its batch.
        """
        # Decoding runs beside inference; whichever is slower decides how many a worker answers.
        self.each_s = _mean(self.each_s, max(infer_s / batch, other_s))
        self.service_s = _mean(self.service_s, infer_s + other_s)


def _mean(old: float, new: float) -> float:
    return new if old == 0.0 else old + _SHARE * (new - old)
