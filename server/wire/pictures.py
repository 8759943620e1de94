"""Pictures that travel otherwise than as arrays: as JPEG, and through shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from unichunk.embodiments.errors import MessageError
from unichunk.server.wire.jpeg import decode_jpeg
from unichunk.server.wire.lean import Jpeg, Shared
from unichunk.server.wire.shared_memory import read_shared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_picture(name: str, value: dict[Any, Any], size: int) -> NDArray[np.uint8]:
    """A picture from the map that stands for it: `Jpeg` or `Shared`.

    Args:
        name: The field's key, for messages.
        value: The map.
        size: Side of the policy's square, [px]; a JPEG has exactly that.

    Returns:
        RGB, shape (H, W, 3), uint8.

    Raises:
        MessageError: Where it is neither, or cannot be read; one line.
    """
    try:
        if "jpeg" in value:
            return decode_jpeg(msgspec.convert(value, Jpeg).jpeg, size)
        shared = msgspec.convert(value, Shared)
        return read_shared(shared.segment, shared.offset, shared.shape)
    except msgspec.ValidationError as error:
        raise MessageError(
            f"{name}: expected an array, a text, or a picture as JPEG or in shared memory: {error}"
        ) from None
    except MessageError as error:
        raise MessageError(f"{name}: {error}") from None
