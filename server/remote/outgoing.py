"""An observation on its way out: pictures fitted and packed, every value encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.arrays import pack_array
from unichunk.embodiments.link.codec import encode
from unichunk.runtime.errors import ObservationError, UnichunkError
from unichunk.runtime.policy.preprocessing import fit_image
from unichunk.server.wire.jpeg import encode_jpeg
from unichunk.server.wire.lean import Jpeg, Shared
from unichunk.server.wire.shared_memory import Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SLOTS: Final = 3
"""Observations that shared memory holds: one on its way, others that a worker may still read."""

_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=pack_array)


class OutgoingObservation:
    """Packs observations for one policy. For one thread.

    Pictures are fitted to the policy's square here: the policy sees the same pixels, and fewer travel.

    Args:
        cameras: Keys of pictures.
        size: Side of the policy's square, [px].
        jpeg: Quality, 1 to 100; None: the pixels as they are.
        shared: Whether the server reads pictures from shared memory of this host.
    """

    def __init__(self, cameras: tuple[str, ...], size: int, *, jpeg: int | None = None, shared: bool = False) -> None:
        self._places = {f"video.{name}": place for place, name in enumerate(cameras)}
        self._size = size
        self._jpeg = jpeg
        self._bytes = size * size * 3
        self._segment: Segment | None = None
        self._next = 0
        if shared:
            try:
                self._segment = Segment(self._bytes * len(self._places), SLOTS)
            except UnichunkError:
                self._segment = None  # no room on this host: pictures go over the connection

    def __call__(self, observation: Mapping[str, Any]) -> dict[str, bytes]:
        """Every value encoded, by its key.

        Raises:
            ObservationError: Where a value cannot travel.
        """
        slot = self._next
        self._next = (slot + 1) % SLOTS
        fields = {}
        for name, value in observation.items():
            place = self._places.get(name)
            picture = None if place is None else self._picture(value)
            try:
                if place is None or picture is None:
                    fields[name] = encode_value(value)
                else:
                    fields[name] = self._packed(picture, slot, place)
            except MessageError as error:
                raise ObservationError(f"{name}: {error}") from None
        return fields

    def close(self) -> None:
        """Remove the shared memory."""
        if self._segment is not None:
            self._segment.close()

    def _picture(self, value: Any) -> NDArray[np.uint8] | None:
        """A picture, fitted; None for what is none: the policy says so, in its own words."""
        pixels = value[0] if isinstance(value, np.ndarray) and value.ndim == 4 and len(value) == 1 else value
        right = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 3
        return fit_image(pixels, self._size) if right and pixels.shape[2] == 3 and pixels.size else None

    def _packed(self, picture: NDArray[np.uint8], slot: int, place: int) -> bytes:
        if self._jpeg is not None:
            return encode(Jpeg(jpeg=encode_jpeg(picture, self._jpeg)))
        if self._segment is None:
            return encode_value(picture)
        height, width, _ = picture.shape
        start = self._segment.write(slot, place * self._bytes, picture)
        return encode(Shared(segment=self._segment.name, offset=start, shape=(height, width, 3)))


def encode_value(value: Any) -> bytes:
    """An array, a number or a text, encoded.

    Raises:
        MessageError: Where it cannot travel.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, OverflowError, RecursionError) as error:
        raise MessageError(f"cannot be sent: {error}") from None
