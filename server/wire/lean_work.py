"""What a worker makes of a lean request, and of its chunk."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.codec import Decoder, encode
from unichunk.server.wire.lean import MOST_FIELDS, FieldName, Inferred, Rows, Timing
from unichunk.server.wire.lean_fields import WholeRequest
from unichunk.server.wire.pictures import read_picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unichunk.runtime.policy.result import PolicyResult
    from unichunk.server.wire.lean import Hello, Infer
    from unichunk.server.wire.lean_rows import RowCodec

_TIMING: Final = struct.Struct(">BBdBdBd")
"""Three float64 in an array: the last bytes of every `Inferred`."""
_THREE: Final = 0x93
_FLOAT: Final = 0xCB

Fields = Annotated[dict[FieldName, Any], Meta(max_length=MOST_FIELDS)]


class _Infer(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="ask", tag="infer"):
    """An `Infer` with everything decoded."""

    id: int
    fields: Fields
    delay: Annotated[int, Meta(ge=0)] = 0
    locked: Rows | None = None


_WHOLE: Final = Decoder[WholeRequest](WholeRequest, "a whole request")
_INFER: Final = Decoder[_Infer](_Infer, "a request for a chunk")
_FIELD: Final = Decoder[Any](Any, "a field of an observation")


@dataclass(frozen=True)
class LeanRequest:
    """A decoded request.

    Attributes:
        id: Of the client's `Infer`.
        observation: As `Policy.infer` takes it; arrays are read-only.
        previous_chunk: Rows to lock, and more of the running plan for a guided policy, shape (m, 200), m >= d; None
            where there are none.
        delay: d.
    """

    id: int
    observation: dict[str, Any]
    previous_chunk: NDArray[np.float32] | None
    delay: int


def work_seed(hello: Hello, infer: Infer) -> tuple[int, ...]:
    """What the noise of a chunk is drawn from."""
    return (hello.seed, infer.number)


def decode_observation(payload: bytes, rows: RowCodec, picture_size: int) -> LeanRequest:
    """Decode the payload of a lean `Work`.

    What the policy itself checks is not checked here: keys, widths, finite values, d against T.

    Args:
        payload: What `SessionFields.take` made.
        rows: Of the robot, by the bundle's manifest.
        picture_size: Side of the policy's square, [px]: no picture is larger.

    Raises:
        MessageError: Where it is malformed, a picture cannot be read, or rows have another shape; one line.
    """
    whole = _WHOLE.decode(payload)
    infer = _INFER.decode(whole.infer)
    observation = {name: _FIELD.decode(value) for name, value in whole.inherited.items()} | infer.fields
    for name, value in observation.items():
        if isinstance(value, dict):
            observation[name] = read_picture(name, value, picture_size)
    if infer.delay == 0 and (infer.locked is None or infer.locked.size == 0):
        return LeanRequest(infer.id, observation, None, 0)
    if infer.delay > rows.length or infer.locked is None:
        raise MessageError(
            f"locked rows: expected 0 to {rows.length} of them, and their values, got delay {infer.delay}"
        )
    return LeanRequest(infer.id, observation, rows.place_locked(infer.locked, infer.delay), infer.delay)


def encode_result(request_id: int, digest: str, result: PolicyResult, rows: RowCodec, *, infer_s: float = 0.0) -> bytes:
    """The `Inferred` message of a chunk; queue and total times follow in the front, see `with_timing`.

    Args:
        request_id: `LeanRequest.id`.
        digest: Of the bundle that made the chunk.
        result: The chunk.
        rows: Of the robot, by the bundle's manifest.
        infer_s: How long the inference took, [s].
    """
    return encode(
        Inferred(
            id=request_id,
            digest=digest,
            unified=rows.pack_chunk(result.unified),
            gates=result.gates,
            discrepancies=result.discrepancies,
            timing=Timing(infer_ms=infer_s * 1e3),
        )
    )


def with_timing(inferred: bytes, *, queue_s: float, infer_s: float, total_s: float) -> bytes:
    """An encoded `Inferred` with its times, [s], filled in; nothing of it is decoded.

    Raises:
        MessageError: Where the bytes are no such message.
    """
    start = len(inferred) - _TIMING.size
    if start < 0 or inferred[start] != _THREE or inferred[start + 1] != _FLOAT:
        raise MessageError("malformed answer, expected an encoded chunk")
    times = _TIMING.pack(_THREE, _FLOAT, queue_s * 1e3, _FLOAT, infer_s * 1e3, _FLOAT, total_s * 1e3)
    return b"".join((memoryview(inferred)[:start], times))
