"""What streams between runtime and driver: commands one way, states and camera frames the other."""

from typing import Annotated, Final, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from unichunk.embodiments.link.codec import Decoder

PROTOCOL: Final = 2

Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
SessionId: TypeAlias = Annotated[str, Meta(max_length=64)]
Vector: TypeAlias = NDArray[np.float64]
Image: TypeAlias = NDArray[np.uint8]


class _Message(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    pass


class Command(_Message, frozen=True, kw_only=True, eq=False, tag="command"):
    """Joint set-points.

    Attributes:
        session: The session that commands; the driver follows only the one that holds its lease.
        sequence: Count of commands of this session, ever increasing.
        tick: The action step the command belongs to.
        stamp_ns: When it was sent, [ns], the driver's monotonic clock.
        q: Joint positions, shape (n,), float64, [rad], in the order of the welcome's joint names.
    """

    session: SessionId
    sequence: Count
    tick: int
    stamp_ns: Count
    q: Vector


class State(_Message, frozen=True, kw_only=True, eq=False, tag="state"):
    """Measured joint state.

    Attributes:
        sequence: The driver's count of states, from 0.
        stamp_ns: When it was measured, [ns], the driver's monotonic clock.
        q: Joint positions, shape (n,), float64, [rad].
        dq: Joint velocities, shape (n,), float64, [rad/s].
        watchdog: True from the moment the driver brought the robot to rest because its session's commands stopped until
            that session says hello again or another one takes over.
        stopped: True from the moment somebody called `stop` until another session takes over.
        session: The session that holds the lease, empty for none.
        last_command_sequence: Sequence number of the newest command that was followed, -1 before the first.
    """

    sequence: Count
    stamp_ns: Count
    q: Vector
    dq: Vector
    watchdog: bool
    stopped: bool
    session: SessionId
    last_command_sequence: int


class Frame(_Message, frozen=True, kw_only=True, eq=False, tag="frame"):
    """One camera image, together with the state measured closest to it.

    The driver pairs the two, because it has all states at hand: the receiver may then keep just the newest message of
    each stream, however long it was away.

    Attributes:
        sequence: The camera's count of frames, from 0.
        stamp_ns: When it was captured, [ns], the driver's monotonic clock.
        image: RGB, shape (H, W, 3), uint8.
        state: The state whose stamp is closest to `stamp_ns`.
    """

    sequence: Count
    stamp_ns: Count
    image: Image
    state: State


COMMANDS: Final[Decoder[Command]] = Decoder(Command, "a command")
STATES: Final[Decoder[State]] = Decoder(State, "a state")
FRAMES: Final[Decoder[Frame]] = Decoder(Frame, "a camera frame")
