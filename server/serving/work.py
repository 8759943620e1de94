"""What crosses between the front of a server and the workers that infer."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

Dialect: TypeAlias = Literal["openpi", "roboarena", "groot", "lean"]
"""In which protocol a request came, and its answer goes; the three GR00T dialects tell themselves apart."""

Fault: TypeAlias = Literal["message", "bundle", "observation", "policy", "late"]
"""Whose fault it is that there is no chunk: of the bytes, of what was asked of the bundle, of the observation, of the
policy; or that its deadline had passed before the inference began."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One request for one chunk. It says everything: any worker can do it, and do it again with the same result.

    Attributes:
        dialect: Of the payload, and of the answer.
        robot: The embodiment; empty: the policy's first one.
        payload: The request's message, as the client sent it (lean: as the session completed it).
        seed: What the noise is drawn from: the session's seed, its episode, the number of the request.
        previous_total_ms: openpi's `prev_total_ms`, for its answer; None in the first request of a connection.
    """

    dialect: Dialect
    robot: str
    payload: bytes
    seed: tuple[Annotated[int, Meta(ge=0)], ...]
    previous_total_ms: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request.

    Attributes:
        payload: The message to send back, in the request's dialect; empty where there is an error.
        error: Why there is no chunk, one line; else empty.
        fault: Whose fault that is.
        decode_s, infer_s, encode_s: What a worker spent on it, [s]; `infer_s` is the whole batch's.
        batch: Requests that were inferred together with it, itself included.
    """

    payload: bytes = b""
    error: str = ""
    fault: Fault = "policy"
    decode_s: float = 0.0
    infer_s: float = 0.0
    encode_s: float = 0.0
    batch: int = 1


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What the front has to know of a loaded policy; a worker sends it once it is warm.

    Attributes:
        name: The bundle's own name.
        kind: `bundle`, or `python` for a policy that a Python factory made.
        digest: SHA-256 of `bundle.json`, hexadecimal: which weights answer; empty for `python`.
        robots: Embodiments it drives, the first is the default; empty for `python`.
        manifest: The bundle's manifest as msgpack (`msgspec.msgpack.encode(manifest)`); empty for `python`.
        max_batch: Requests that can be inferred together.
        refinement_rounds: N.
        guided: Whether chunks are steered towards the running plan.
        handshake: Robot ("" for `python`) -> openpi's metadata frame, packed, `example_observation` in it.
        modality: Robot ("" for `python`) -> GR00T's modality configuration, plain data:
            modality -> {"delta_indices": [int], "modality_keys": [str]}.
        service_s: How long an inference took while warming up, [s].
    """

    name: str
    kind: Literal["bundle", "python"]
    digest: str
    robots: tuple[str, ...]
    manifest: bytes
    max_batch: int
    refinement_rounds: int
    handshake: dict[str, bytes]
    modality: dict[str, dict[str, Any]]
    service_s: float
    guided: bool = False
