"""The `.npy` files in GR00T's messages: written as numpy writes them, read without running anything of theirs."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.server.wire.errors import WireError
from unichunk.server.wire.raw_arrays import array_of, dtype_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC: Final = b"\x93NUMPY"
_VERSIONS: Final = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
"""Version -> bytes of the header's length."""

_LONGEST_HEADER: Final = 512
_HEADER: Final = re.compile(
    rb"\{\s*'descr'\s*:\s*'([^']{2,10})'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,"
    rb"\s*'shape'\s*:\s*\(((?:\s*[0-9]{1,18}\s*,)*(?:\s*[0-9]{1,18})?)\s*\)\s*,?\s*\}\s*"
)
"""The header of a plain array. Numpy evaluates it as a Python literal; nothing but this form is needed."""


def write_npy(array: NDArray[Any]) -> bytes:
    """The file that `numpy.save` writes.

    Raises:
        WireError: An array of objects or structures.
    """
    if array.dtype.kind not in "biufU":
        raise WireError(f"cannot send an array of {array.dtype}: expected booleans, numbers or text")
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def read_npy(data: memoryview) -> NDArray[Any]:
    """The array in a file, read-only, and a view of it where alignment permits.

    Raises:
        WireError: No such file, objects in it, or a header that is not that of a plain array.
    """
    length_bytes = _VERSIONS.get(bytes(data[6:8]))
    if bytes(data[:6]) != _MAGIC or length_bytes is None:
        raise WireError(f"array of {len(data)} bytes: expected a .npy file of version 1 to 3")
    start = 8 + length_bytes
    length = int.from_bytes(data[8:start], "little")
    if length > _LONGEST_HEADER or start + length > len(data):
        raise WireError(f".npy file with a header of {length} bytes: expected at most {_LONGEST_HEADER}")
    header = _HEADER.fullmatch(data[start : start + length])
    if header is None:
        raise WireError(f".npy file with the header {bytes(data[start:][:60])!r}: expected that of a plain array")
    descr, order, sizes = header.groups()
    shape = tuple(int(size) for size in sizes.split(b",") if size.strip())
    dtype = dtype_of(descr.decode("ascii", "replace"))
    return array_of(data[start + length :], dtype, shape, fortran=order == b"True")
