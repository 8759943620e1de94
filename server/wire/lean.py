"""The lean protocol: what robots' runtimes and a server of policies say to each other (version 1).

One message is one msgpack map, in one binary WebSocket frame or one ZeroMQ part. Arrays are extension 1 of the driver
link (`embodiments.link.arrays`): numbers in C order, little endian; there is nothing in it that could carry an object.

| client    | server answers                         |                                                              |
|-----------|----------------------------------------|--------------------------------------------------------------|
| `Hello`   | `Welcome`, `Refused` with id 0         | first on each connection; `session` resumes an older one     |
| `Infer`   | `Inferred`, `Refused`, `NeedAll`       | only fields that changed, only rows that are locked          |
| `Cancel`  | nothing                                | nobody waits for that answer any more                        |
| `Ping`    | `Pong`                                 | any time, while an inference lasts too                       |
| `Bye`     | nothing                                | the session is over                                          |
|           | `Draining`, unasked                    | the server ends soon: go elsewhere, or come back later       |
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from unichunk.embodiments.link.codec import Decoder
from unichunk.embodiments.link.messages import Count

PROTOCOL: Final = 1

SUBPROTOCOL: Final = "unichunk.v1"
"""The WebSocket subprotocol by which a client asks for this protocol."""

MOST_FIELDS: Final = 64
"""Fields of one observation."""

Text: TypeAlias = Annotated[str, Meta(max_length=1000)]
FieldName: TypeAlias = Annotated[str, Meta(max_length=128)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=86400)]
Rows: TypeAlias = NDArray[np.float32]

RefusedKind: TypeAlias = Literal[
    "message", "key", "bundle", "observation", "policy", "session", "busy", "rate", "late", "draining"
]
"""Why there is no answer: malformed bytes; no key, or one that may not; a policy that is not there, or does not drive
this robot so; an observation that does not fit; a policy that failed; no `Hello` on this connection yet; a full server;
more requests than the key allows; `within_s` was over before a worker was free; a server that ends."""


class _Request(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="ask"):
    pass


class Hello(_Request, frozen=True, kw_only=True, eq=False, tag="hello"):
    """Begin, or go on after a lost connection.

    Attributes:
        protocol: Of these messages.
        key: API key; empty where none is needed, or where it came in the WebSocket's headers.
        policy: Name under which it is served; empty: the default one, or the one in the WebSocket's path.
        embodiment: The robot; empty: the policy's first.
        refinement_rounds: N that the client counts on; None: whatever is served.
        guided: Whether chunks have to be steered towards the running plan; None: whatever is served.
        seed: Seed of the noise: chunk `number` starts from f(seed, number), whichever worker makes it.
        session: The session to go on with, as the last `Welcome` named it; None for a new one.
    """

    protocol: int
    key: Text = ""
    policy: Text = ""
    embodiment: Text = ""
    refinement_rounds: Count | None = None
    guided: bool | None = None
    seed: Count = 0
    session: Text | None = None


class Infer(_Request, frozen=True, kw_only=True, eq=False, tag="infer"):
    """Ask for a chunk, see `Policy.infer`.

    Attributes:
        id: Of this message; grows within a session, from 1.
        number: Of the chunk, for its noise; the same number again gives the same chunk.
        base: The `Infer` that these changes follow; 0: everything is in this one.
        fields: Fields of the observation that are new or have changed, by their keys: arrays, numbers, text, and
            pictures as `Jpeg` or `Shared`.
        removed: Fields that are not there any more.
        delay: d, rows to lock.
        locked: Those rows, unified and normalized: float32 of shape (d, slots of the robot's actions), in ascending
            order of slots, or (d, 200) where others are not zero; None where d is 0. For a guided policy, all rows of
            the running plan that are there, m >= d of them, which it is steered towards.
        within_s: After this long the answer is of no use, [s], counted from when the server has the message.
    """

    id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    number: Count
    base: Count = 0
    fields: Annotated[dict[FieldName, msgspec.Raw], Meta(max_length=MOST_FIELDS)]
    removed: Annotated[tuple[FieldName, ...], Meta(max_length=MOST_FIELDS)] = ()
    delay: Count = 0
    locked: msgspec.Raw = msgspec.Raw(b"\xc0")
    within_s: Seconds


class Cancel(_Request, frozen=True, kw_only=True, eq=False, tag="cancel"):
    """Nobody waits for the answer to `Infer` with this id."""

    id: Count


class Ping(_Request, frozen=True, kw_only=True, eq=False, tag="ping"):
    """Are you there? Answered by the `Pong` with the same id, at once."""

    id: Count


class Bye(_Request, frozen=True, kw_only=True, eq=False, tag="bye"):
    """The session is over; nothing of it need be kept."""


class _Answer(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="answer"):
    pass


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a server takes.

    Attributes:
        message_bytes: Longest message.
        keep_alive_s: A session of which nothing was heard for this long is forgotten, [s].
    """

    message_bytes: Annotated[int, Meta(gt=0)]
    keep_alive_s: Annotated[float, Meta(gt=0)]


class Welcome(_Answer, frozen=True, kw_only=True, eq=False, tag="welcome"):
    """What is served, to one session.

    Attributes:
        protocol: Of these messages.
        session: What to resume with; a secret of this client's.
        resumed: Whether the session that was asked for goes on; False: a new one, whoever asked for an older one.
        policy: Name under which the policy is served.
        manifest: The bundle's manifest (`decode_manifest`).
        digest: SHA-256 of `bundle.json`, hexadecimal. Each answer carries the one that it was made with: rows decoded
            with another manifest are other metal.
        refinement_rounds: N.
        guided: Whether chunks are steered towards the running plan, of which `Infer` then brings all rows there are.
        limits: What the server takes.
        host: `shared_memory.host_mark()` where pictures may come through shared memory, else empty.
    """

    protocol: int
    session: Text
    resumed: bool
    policy: Text
    manifest: msgspec.Raw
    digest: Text
    refinement_rounds: Count
    limits: Limits
    guided: bool = False
    host: Text = ""


class Timing(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What an answer took at the server.

    Attributes:
        queue_ms: Until a worker began with it, [ms].
        infer_ms: The inference, of the whole batch, [ms].
        total_ms: From the request's arrival to the answer's departure, [ms].
    """

    queue_ms: float = 0.0
    infer_ms: float = 0.0
    total_ms: float = 0.0


class Inferred(_Answer, frozen=True, kw_only=True, eq=False, tag="inferred"):
    """A chunk, see `PolicyResult`; its actions follow from its rows and the manifest.

    Attributes:
        id: Of the `Infer`.
        digest: Of the bundle that made it, see `Welcome`.
        unified: float32 of shape (T, slots of the robot's actions), in ascending order of slots, where the manifest's
            noise is `own`: the others are zero, or as they were locked. Else (T, 200).
        gates, discrepancies: float32 of shape (N, K); None without refinement.
        timing: What it took. The last field, of fixed length: the front of a server fills it in (`with_timing`).
    """

    id: Count
    digest: Text
    unified: Rows
    gates: Rows | None
    discrepancies: Rows | None
    timing: Timing


class Refused(_Answer, frozen=True, kw_only=True, eq=False, tag="refused"):
    """No chunk, or no session.

    Attributes:
        id: Of the `Infer`; 0 for a `Hello` or what was no message.
        kind: Why.
        reason: One line.
        retry_after_s: When asking again may help, [s]; None: it will not.
    """

    id: Count
    kind: RefusedKind
    reason: str
    retry_after_s: float | None = None


class NeedAll(_Answer, frozen=True, kw_only=True, eq=False, tag="need_all"):
    """The session does not have what `Infer` with this id builds on: send it again with everything (base 0)."""

    id: Count


class Draining(_Answer, frozen=True, kw_only=True, eq=False, tag="draining"):
    """The server ends soon; what it began is still answered.

    Attributes:
        retry_after_s: When to look for a server at this address again, [s].
    """

    retry_after_s: Seconds = 1.0


class Pong(_Answer, frozen=True, kw_only=True, eq=False, tag="pong"):
    """Yes."""

    id: Count


class Jpeg(msgspec.Struct, frozen=True, kw_only=True, eq=False, forbid_unknown_fields=True):
    """A picture as the value of a field: JPEG, RGB, of the policy's square size."""

    jpeg: bytes


class Shared(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture as the value of a field: bytes in shared memory of the same host, see `shared_memory`.

    Attributes:
        segment: The segment's name; never a path.
        offset: Where the picture begins, [bytes].
        shape: (H, W, 3); RGB, uint8, C order.
    """

    segment: Annotated[str, Meta(max_length=64)]
    offset: Count
    shape: tuple[
        Annotated[int, Meta(ge=1, le=2**16)], Annotated[int, Meta(ge=1, le=2**16)], Annotated[int, Meta(ge=3, le=3)]
    ]


Request: TypeAlias = Hello | Infer | Cancel | Ping | Bye
Response: TypeAlias = Welcome | Inferred | Refused | NeedAll | Draining | Pong

REQUESTS: Final = Decoder[Request](Hello | Infer | Cancel | Ping | Bye, "a request to a policy server")
"""For servers. Fields and rows stay undecoded bytes, views of the message."""

RESPONSES: Final = Decoder[Response](
    Welcome | Inferred | Refused | NeedAll | Draining | Pong, "a policy server's answer"
)
"""For clients."""
