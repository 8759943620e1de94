"""What can be asked of a driver on its control socket, and what it answers."""

from typing import Annotated, Final, TypeAlias, TypedDict

import msgspec
from msgspec import Meta

from unichunk.embodiments.link.codec import Decoder
from unichunk.embodiments.link.messages import Count, SessionId

Text: TypeAlias = Annotated[str, Meta(max_length=1000)]


class Header(TypedDict):
    """What every call carries: a number to know the reply by, and the caller's session."""

    id: int
    session: str


class _Call(msgspec.Struct, frozen=True, kw_only=True, tag_field="call"):
    id: Count
    session: SessionId


class Hello(_Call, frozen=True, kw_only=True, tag="hello"):
    """Ask for the command lease. Said again by the session that holds it, it ends a watchdog's rest, but no `stop`."""

    protocol: int
    client: Text
    embodiment: Text


class Goodbye(_Call, frozen=True, kw_only=True, tag="goodbye"):
    """Give the lease back; the robot is brought to rest."""


class Ping(_Call, frozen=True, kw_only=True, tag="ping"):
    """Ask for the driver's clock; also keeps the lease of the session that holds it."""


class GetStatus(_Call, frozen=True, kw_only=True, tag="status"):
    """Ask for the driver's counters. Needs no lease."""


class TaskBegin(_Call, frozen=True, kw_only=True, tag="task_begin"):
    """Begin to measure how well the task is done. Needs the lease.

    Attributes:
        instruction: What the robot is told to do.
    """

    instruction: Text


class TaskEnd(_Call, frozen=True, kw_only=True, tag="task_end"):
    """End the measurement and ask for its numbers. Needs the lease."""


class Stop(_Call, frozen=True, kw_only=True, tag="stop"):
    """Brake the robot to rest, and follow nobody until another session comes. Needs no lease.

    Braking begins within one command period; the robot is at rest after `JointLimits.stopping_s` at most.
    """


class _Reply(msgspec.Struct, frozen=True, kw_only=True, tag_field="reply"):
    id: Count


class CameraOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A camera's stream: pixels, frames per second, and where it is."""

    width: int
    height: int
    fps: int
    endpoint: Text


class Welcome(_Reply, frozen=True, kw_only=True, tag="welcome"):
    """The lease is granted; this is the robot and where its streams are.

    Attributes:
        protocol: The driver's protocol version.
        embodiment: Name of the robot.
        driver: What the driver is, for people.
        boot: Random, new at every start of the driver.
        joint_names: In the order of every vector.
        command_hz: Commands taken (and states sent) a second.
        watchdog_s: After this long without a command the robot is brought to rest, [s].
        cameras: Name -> stream.
        state_endpoint: Where states are.
        command_endpoint: Where commands go.
        simulated: True where no real robot moves.
    """

    protocol: int
    embodiment: Text
    driver: Text
    boot: Text
    joint_names: tuple[str, ...]
    command_hz: int
    watchdog_s: float
    cameras: dict[str, CameraOffer]
    state_endpoint: Text
    command_endpoint: Text
    simulated: bool


class Refused(_Reply, frozen=True, kw_only=True, tag="refused"):
    """The lease is not granted, and why."""

    reason: Text


class Pong(_Reply, frozen=True, kw_only=True, tag="pong"):
    """The driver's monotonic clock, [ns]."""

    stamp_ns: Count


class Done(_Reply, frozen=True, kw_only=True, tag="done"):
    """It is done."""


class TaskBegun(_Reply, frozen=True, kw_only=True, tag="task_begun"):
    """The task has begun.

    Attributes:
        unmeasured: Why it is not measured, one line; empty where it is, or where this robot never measures.
    """

    unmeasured: Text


class TaskNumbers(_Reply, frozen=True, kw_only=True, tag="task_numbers"):
    """How well the task was done; the keys carry their units."""

    numbers: dict[str, float]


class DriverStatus(_Reply, frozen=True, kw_only=True, tag="driver_status"):
    """The driver's counters since its start.

    Attributes:
        holder: The session that holds the lease, empty for none.
        watchdog, stopped: As in the newest state.
        counters: Name -> count, see `drivers.counters.Counters`.
        frames: Camera name -> frames published.
    """

    holder: SessionId
    watchdog: bool
    stopped: bool
    counters: dict[str, int]
    frames: dict[str, int]


class Failure(_Reply, frozen=True, kw_only=True, tag="failure"):
    """The call could not be done, and why. `id` is 0 where the call was not understood."""

    reason: Text


Call: TypeAlias = Hello | Goodbye | Ping | GetStatus | TaskBegin | TaskEnd | Stop
Reply: TypeAlias = Welcome | Refused | Pong | Done | TaskBegun | TaskNumbers | DriverStatus | Failure

CALLS: Final[Decoder[Call]] = Decoder(Call, "a call")
REPLIES: Final[Decoder[Reply]] = Decoder(Reply, "a reply")
