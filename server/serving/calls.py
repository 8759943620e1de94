"""Between the bytes of a request and what a policy takes, and back: what a worker does before and after inferring.

Everything here is a function of its arguments, so that any worker answers any request, and again with the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.errors import PolicyError
from unichunk.runtime.policy.result import PolicyResult
from unichunk.server.wire import openpi
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.groot_action import ActionForm, pack_actions, read_action_request
from unichunk.server.wire.lean_work import decode_observation, encode_result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.server.serving.robot_keys import RobotKeys
    from unichunk.server.serving.served_policy import Timing
    from unichunk.server.serving.work import Work
    from unichunk.server.wire.client_keys import ClientKeys

PREVIOUS_CHUNK: Final = "prev_chunk"
DELAY: Final = "inference_delay"
UNIFIED: Final = "action_unified"
"""Names of a chunk to condition on, of how many of its rows to lock, and of the rows that come back then."""


@dataclass(frozen=True)
class Call:
    """One decoded request.

    Attributes:
        work: The request; the seed of its noise is in it.
        observation: In the policy's own keys; a Python policy gets the client's.
        previous_chunk: Unified, normalized rows to condition on; None where the client gave none.
        delay: How many of them to lock.
        keys: The robot's, for the answer; None for a Python policy.
        form: How a GR00T client wants its actions.
        lean_id: Of a lean request.
        conditioned: The client conditions its chunks, and wants unified rows back.
    """

    work: Work
    observation: Mapping[str, Any]
    previous_chunk: NDArray[np.float32] | None = None
    delay: Any = 0
    keys: RobotKeys | None = None
    form: ActionForm | None = None
    lean_id: int = 0
    conditioned: bool = False


def decode(work: Work, keys: RobotKeys | None) -> Call:
    """Decode a request and put its observation into the policy's own keys.

    Args:
        work: The request.
        keys: Of its robot; None for a Python policy.

    Raises:
        MessageError: The bytes are no message of the dialect.
        ObservationError: Something is missing, or of another shape than its mapping says.
    """
    if work.dialect == "lean":
        return _decode_lean(work, keys)
    if work.dialect == "groot":
        request = read_action_request(work.payload)
        asked = {name: request.options[name] for name in (PREVIOUS_CHUNK, DELAY) if name in request.options}
        given = {**asked, **request.observation}
        return _call(work, given, keys, None if keys is None else keys.groot, request.form)
    given = openpi.unpack(work.payload)
    if not isinstance(given, dict):
        raise WireError(f"observation: expected a map, got {type(given).__name__}")
    endpoint = given.pop("endpoint", "infer") if work.dialect == "roboarena" else "infer"
    if endpoint != "infer":
        raise WireError(f"endpoint: expected infer or reset, got {str(endpoint)[:80]!r}")
    return _call(work, given, keys, None if keys is None else keys.openpi, None)


def _decode_lean(work: Work, keys: RobotKeys | None) -> Call:
    if keys is None:
        raise WireError("a lean request needs a bundle, and this policy is none: use openpi's or GR00T's protocol")
    request = decode_observation(work.payload, keys.rows, keys.manifest.image.size)
    return Call(work, request.observation, request.previous_chunk, request.delay, keys, lean_id=request.id)


def _call(
    work: Work, given: dict[str, Any], keys: RobotKeys | None, client: ClientKeys | None, form: ActionForm | None
) -> Call:
    if client is None:
        return Call(work, given, form=form)
    conditioned = PREVIOUS_CHUNK in given or DELAY in given
    previous, delay = given.get(PREVIOUS_CHUNK), given.get(DELAY, 0)
    if isinstance(delay, np.ndarray) and delay.size == 1:
        delay = delay.reshape(())[()]
    observation = client.observation(given)
    return Call(work, observation, previous, 0 if delay is None else delay, keys, form, conditioned=conditioned)


def encode(call: Call, result: PolicyResult | Mapping[str, Any] | NDArray[Any], timing: Timing) -> bytes:
    """The message that answers a request, in its dialect.

    Args:
        call: The decoded request.
        result: Of the policy; a Python policy's is a map with `actions`, or for RoboArena's clients their array.
        timing: What it took.

    Raises:
        MessageError: A Python policy's result that no message can carry.
        PolicyError: One that is no result.
    """
    if call.keys is None:
        return _encode_python(call, result, timing)
    if not isinstance(result, PolicyResult):
        raise PolicyError(f"result: expected a chunk, got {type(result).__name__}")
    keys, work = call.keys, call.work
    if work.dialect == "lean":
        return encode_result(call.lean_id, keys.digest, result, keys.rows, infer_s=timing.infer_s)
    extra = {UNIFIED: result.unified} if call.conditioned else {}
    if call.form is not None:
        info = _times(call, timing)
        return pack_actions(keys.groot.named_actions(result.actions), call.form, extra=extra, info=info)
    actions = keys.openpi.actions(result.actions)
    if work.dialect == "roboarena":
        return openpi.pack(actions)
    return openpi.pack({"actions": actions, **result.actions, **extra, **_times(call, timing)})


def _encode_python(call: Call, result: Any, timing: Timing) -> bytes:
    if call.work.dialect == "roboarena":
        actions = result.get("actions") if isinstance(result, Mapping) else result
        if not isinstance(actions, np.ndarray):
            raise PolicyError(f"result: expected actions, an array, got {type(actions).__name__}")
        return openpi.pack(actions)
    if not isinstance(result, Mapping):
        raise PolicyError(f"result: expected a map with actions, got {type(result).__name__}")
    if call.form is not None:
        arrays = {str(k).removeprefix("action."): v for k, v in result.items() if isinstance(v, np.ndarray)}
        return pack_actions(arrays, call.form, extra={}, info=_times(call, timing))
    # A policy that measures itself knows better.
    times = _times(call, timing)
    return openpi.pack({"policy_timing": times["policy_timing"], **result, "server_timing": times["server_timing"]})


def _times(call: Call, timing: Timing) -> dict[str, dict[str, float]]:
    """Timings as openpi has them, [ms]; its server counts everything between receiving and sending."""
    server = {"infer_ms": (timing.decode_s + timing.infer_s) * 1e3}
    if call.work.previous_total_ms is not None:
        server["prev_total_ms"] = call.work.previous_total_ms
    return {"policy_timing": {"infer_ms": timing.infer_s * 1e3}, "server_timing": server}
