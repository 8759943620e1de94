"""What the runtimes of several robots and the host of the policy that they share say to each other."""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from unichunk.embodiments.errors import LinkError
from unichunk.embodiments.link.codec import Decoder
from unichunk.embodiments.link.endpoints import check_endpoint, ipc_path
from unichunk.embodiments.link.messages import Count
from unichunk.runtime.policy.manifest import Manifest

PROTOCOL: Final = 1

STILL_THERE: Final = b""
"""What a host sends to find out who has gone; no answer, and none is expected."""

Text: TypeAlias = Annotated[str, Meta(max_length=1000)]
Rows: TypeAlias = NDArray[np.float32]


class _Request(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="ask"):
    id: Count


class Join(_Request, frozen=True, kw_only=True, eq=False, tag="join"):
    """Begin to use the policy for a robot; again for the same connection to use it for another one.

    Attributes:
        protocol: Of these messages.
        embodiment: The robot.
        refinement_rounds: N that the robot's runtime counts on.
        seed: Seed of the robot's own noise.
    """

    protocol: int
    embodiment: Text
    refinement_rounds: Annotated[int, Meta(ge=0)]
    seed: Annotated[int, Meta(ge=0)]


class Infer(_Request, frozen=True, kw_only=True, eq=False, tag="infer"):
    """Ask for a chunk, see `Policy.infer`.

    Attributes:
        observation: Arrays, numbers and text by their keys.
        previous_chunk: Unified, normalized rows, shape (m, 200), float32.
        delay: Rows of it to lock.
    """

    observation: dict[str, Any]
    previous_chunk: Rows | None
    delay: Count


class _Answer(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="answer"):
    id: Count


class Joined(_Answer, frozen=True, kw_only=True, eq=False, tag="joined"):
    """The policy's description."""

    manifest: Manifest


class Inferred(_Answer, frozen=True, kw_only=True, eq=False, tag="inferred"):
    """A chunk, see `PolicyResult`; its actions follow from its rows and the manifest."""

    unified: Rows
    gates: Rows | None
    discrepancies: Rows | None


class Refused(_Answer, frozen=True, kw_only=True, eq=False, tag="refused"):
    """No chunk, or no policy for this robot.

    Attributes:
        kind: Whose fault it is: of what was asked of the bundle, of the observation, or of the policy.
        reason: One line.
    """

    kind: Literal["bundle", "observation", "policy"]
    reason: str


REQUESTS: Final = Decoder[Join | Infer](Join | Infer, "a request to a policy host")
ANSWERS: Final = Decoder[Joined | Inferred | Refused](Joined | Inferred | Refused, "a policy host's answer")


def check_host_endpoint(endpoint: str) -> str:
    """Check where a policy host is, and return it: on the same machine, since nobody has to prove who they are.

    Raises:
        LinkError: Where it is no path of a socket.
    """
    if ipc_path(check_endpoint(endpoint)) is None:
        raise LinkError(
            f"endpoint {endpoint}: a policy is shared on one machine only, without authentication; expected "
            "ipc:///absolute/path"
        )
    return endpoint
