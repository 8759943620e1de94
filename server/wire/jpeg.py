"""Pictures as JPEG. What comes from a client is decoded only once its header says the size that is expected."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from unichunk.embodiments.errors import MessageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BYTES_PER_PIXEL: Final = 6
"""No honest JPEG needs more; raw RGB has 3."""

HEADER_BYTES: Final = 64 * 1024
"""What a small picture may need on top: tables, comments."""

MOST_SCANS: Final = 64
"""A progressive JPEG goes over all pixels again with each scan, and a scan may be a few bytes long."""

_SCAN: Final = b"\xff\xda"


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """An RGB image (H, W, 3) as JPEG.

    Args:
        image: The picture.
        quality: Pillow's, 1 to 95 (100 without quantization); from 90 on chroma is not subsampled.
    """
    out = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.save(out, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    return out.getvalue()


def decode_jpeg(data: bytes, size: int) -> NDArray[np.uint8]:
    """A JPEG of `size` x `size` pixels as RGB, shape (size, size, 3); nothing is decoded before its header agrees.

    Raises:
        MessageError: Where it is none, is damaged or cut off, or has another size or other channels; one line.
    """
    most = MOST_BYTES_PER_PIXEL * size * size + HEADER_BYTES
    if len(data) > most:
        raise MessageError(f"a JPEG of {len(data)} bytes: expected at most {most} for {size} x {size} pixels")
    if data.count(_SCAN) > MOST_SCANS:
        raise MessageError(f"a JPEG of {data.count(_SCAN)} scans: expected at most {MOST_SCANS}")
    try:
        # This reader and no other: what else Pillow knows never sees a client's bytes.
        with JpegImageFile(io.BytesIO(data)) as picture:
            if picture.size != (size, size) or picture.mode != "RGB":
                width, height = picture.size
                raise MessageError(
                    f"a JPEG of {width} x {height} pixels, {picture.mode}: expected {size} x {size}, RGB; fit pictures "
                    "to the policy's square before encoding them"
                )
            return np.asarray(picture)
    except MessageError:
        raise
    except (OSError, SyntaxError, ValueError, IndexError, TypeError, struct.error) as error:
        raise MessageError(f"not a JPEG that can be read: {' '.join(str(error).split())}") from None
