"""What a worker runs: something that turns requests into answers in three steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.serving.work import Description, Work

C = TypeVar("C")
R = TypeVar("R")


@dataclass(frozen=True)
class Timing:
    """What a request took so far.

    Attributes:
        decode_s: Reading its message, mapping and preprocessing its observation, [s].
        infer_s: The inference of its whole batch, [s].
    """

    decode_s: float
    infer_s: float


class ServedPolicy(Protocol[C, R]):
    """A loaded, warm policy. `decode` runs in one thread, `infer` and `encode` in another, at the same time.

    It keeps nothing between two requests: the same `Work` has the same answer, whatever came before, in every worker.
    """

    @property
    def max_batch(self) -> int:
        """Most requests that `infer` takes at a time."""
        ...

    def describe(self) -> Description:
        """What the front has to know of it."""
        ...

    def decode(self, work: Work) -> C:
        """A request's bytes to what `infer` takes, checked.

        Raises:
            MessageError, ObservationError, BundleError: Whose fault it is that this cannot be done; one line.
        """
        ...

    def infer(self, batch: Sequence[C]) -> Sequence[R | Exception]:
        """The results of a batch in its order; an exception in place of a result is that request's alone.

        Raises:
            Exception: Where all of them failed together. Then each of them is tried alone.
        """
        ...

    def encode(self, call: C, result: R, timing: Timing) -> bytes:
        """A result as the message to send back, in the dialect of its request."""
        ...
