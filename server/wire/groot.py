"""GR00T's messages, one msgpack map each way, in the three dialects of its versions.

- A, N1.5: an array is `{"__ndarray_class__": true, "as_npy": bytes}`, a modality's configuration has the marker
  `__ModalityConfig_class__` and a JSON text in `as_json`; `get_action` takes a flat observation and answers a flat
  `action.*` map;
- B, N1.6: arrays as in A, a map in `as_json`; `get_action` takes `{"observation", "options"}` and answers
  `[action, info]`;
- C, N1.7: arrays as msgpack-numpy writes them, the marker `__ModalityConfig__`, else as B.

msgpack-numpy's array is `b"nd": true, b"type": "<f4", b"kind": b"", b"shape": [2], b"data": bytes`. Arrays of objects
and pickled files are refused.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from unichunk.server.wire.errors import WireError
from unichunk.server.wire.npy import read_npy, write_npy
from unichunk.server.wire.plain import plain
from unichunk.server.wire.quick_arrays import msgpack_numpy_array
from unichunk.server.wire.raw_arrays import array_of, dtype_of, shape_of
from unichunk.server.wire.reader import read

if TYPE_CHECKING:
    from collections.abc import Mapping

UNAUTHORIZED: Final = "Unauthorized: Invalid API token"
"""The error for a request without a valid token."""

_SEARCHED: Final = 2**14
"""Bytes of a request in which its first array is looked for: what is in front of it are keys and texts."""

_MARKS: Final = re.compile(rb"__ndarray_class__|\xc4\x02nd\xc3")
"""What the first array of A and B holds, and that of C."""


class GrootDialect(enum.Enum):
    """Of which version of GR00T a client is."""

    A = "N1.5"
    B = "N1.6"
    C = "N1.7"


@dataclass(frozen=True)
class Envelope:
    """What concerns a server's front of a request.

    Attributes:
        endpoint: What is wanted.
        api_token: The key; None where there is none.
        data: The input, still packed, a view of the request; None where there is none.
        dialect: Of the client, where the request shows it: where it holds an array.
    """

    endpoint: str
    api_token: str | None
    data: memoryview | None
    dialect: GrootDialect | None


class _Envelope(msgspec.Struct):
    endpoint: Annotated[str, Meta(max_length=256)] = "get_action"
    data: msgspec.Raw = msgspec.Raw()
    api_token: Annotated[str, Meta(max_length=4096)] | None = None


class _Shape(msgspec.Struct):
    observation: msgspec.Raw = msgspec.Raw()


_ENVELOPES: Final = msgspec.msgpack.Decoder(_Envelope)
_SHAPES: Final = msgspec.msgpack.Decoder(_Shape)


def read_envelope(payload: bytes) -> Envelope:
    """Read what is around a request's input; its arrays are skipped over.

    Raises:
        WireError: One line: what is wrong with the bytes.
    """
    try:
        found = _ENVELOPES.decode(payload)
        raw = memoryview(found.data)
        data = raw if raw.nbytes else None
        dialect = None if data is None else _dialect(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"malformed message, expected a GR00T request: {error}") from None
    return Envelope(found.endpoint, found.api_token, data, dialect)


def _dialect(data: memoryview) -> GrootDialect | None:
    mark = _MARKS.search(data, 0, _SEARCHED)
    if mark is None:
        return None
    if mark[0].endswith(b"\xc3"):
        return GrootDialect.C
    return GrootDialect.B if memoryview(_SHAPES.decode(data).observation).nbytes else GrootDialect.A


def unpack(payload: bytes) -> Any:
    """Read a message in any of the dialects; arrays are read-only, and views of it where alignment permits.

    Raises:
        WireError: One line: what is wrong with the bytes.
    """
    return read(payload, "GR00T's msgpack", _interpret, msgpack_numpy_array)


def pack(value: Any, dialect: GrootDialect) -> bytes:
    """Pack plain values and numpy arrays.

    Raises:
        WireError: Something that the protocol cannot carry.
    """
    try:
        return _ENCODERS[dialect].encode(value)
    except (TypeError, OverflowError, RecursionError, UnicodeEncodeError) as error:
        raise WireError(f"cannot send this to a GR00T client: {' '.join(str(error).split())}") from None


def pack_modality(config: Mapping[str, Mapping[str, Any]], dialect: GrootDialect) -> bytes:
    """The reply to `get_modality_config`.

    Args:
        config: Modality -> `{"delta_indices": [int], "modality_keys": [str]}`; keys without the modality in front.
        dialect: Of the client; in A the keys carry it, as they do in its observations.
    """
    reply: dict[str, Any] = {}
    for modality, entry in config.items():
        if dialect is GrootDialect.A:
            keys = [f"{modality}.{key}" for key in entry["modality_keys"]]
            text = msgspec.json.encode({**entry, "modality_keys": keys}).decode()
            reply[modality] = {"__ModalityConfig_class__": True, "as_json": text}
        elif dialect is GrootDialect.B:
            reply[modality] = {"__ModalityConfig_class__": True, "as_json": entry}
        else:
            reply[modality] = {"__ModalityConfig__": True, "as_json": entry}
    return pack(reply, dialect)


def pack_error(message: str) -> bytes:
    """The reply that says why there is no other."""
    return _PLAIN.encode({"error": message})


def unknown_endpoint(endpoint: str) -> bytes:
    """The reply to a request for something that there is not."""
    return pack_error(f"Unknown endpoint: {endpoint}")


_PLAIN: Final = msgspec.msgpack.Encoder()

PONG: Final = _PLAIN.encode({"status": "ok", "message": "Server is running"})
"""The reply to `ping`."""

RESET: Final = _PLAIN.encode({})
"""The reply to `reset`."""

KILLED: Final = _PLAIN.encode(None)
"""The reply to `kill`, from those who may."""


def _interpret(found: dict[Any, Any]) -> Any:
    if b"nd" in found:
        return _msgpack_numpy(found)
    if "__ndarray_class__" in found:
        file = found.get("as_npy")
        if not isinstance(file, memoryview):
            raise WireError(f"array whose as_npy is {type(file).__name__}: expected bytes")
        return read_npy(file)
    return found


def _msgpack_numpy(found: dict[Any, Any]) -> Any:
    data, text = found.get(b"data"), found.get(b"type")
    kind = found.get(b"kind", memoryview(b""))
    if not isinstance(data, memoryview) or not isinstance(text, str) or kind not in (b"", ""):
        raise WireError("array with a type, kind or data that no plain array has: expected numbers or text")
    dtype = dtype_of(text)
    if found[b"nd"] is True:
        return array_of(data, dtype, shape_of(found.get(b"shape")))
    return array_of(data, dtype, ())[()]


def _stand_in(value: Any, *, npy: bool) -> Any:
    """What stands for a value that msgpack does not know (msgspec's `enc_hook`)."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufU":
            raise TypeError(f"an array of {value.dtype}: expected booleans, numbers or text")
        if npy:
            return {"__ndarray_class__": True, "as_npy": write_npy(value)}
        data = value.data if value.flags.c_contiguous else value.tobytes()
        return {b"nd": True, b"type": value.dtype.str, b"kind": b"", b"shape": value.shape, b"data": data}
    # A and B have no form for numpy's numbers, and msgpack-numpy writes a float64 as a plain number.
    if isinstance(value, (str, bytes, float, int)):
        return plain(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item() if npy else {b"nd": False, b"type": value.dtype.str, b"data": value.tobytes()}
    raise TypeError(f"a {type(value).__name__}: expected plain values and numpy arrays")


_ENCODERS: Final = {
    dialect: msgspec.msgpack.Encoder(enc_hook=functools.partial(_stand_in, npy=dialect is not GrootDialect.C))
    for dialect in GrootDialect
}
