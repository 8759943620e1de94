"""From a request's bytes to what a policy takes, and back, in each dialect."""

from __future__ import annotations

import operator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np
import pytest

from tests.one_line import refused
from tests.wire.manifests import MANIFESTS, droid, generalist, libero
from tests.wire.peers import groot_pack, groot_unpack, openpi_pack, openpi_unpack
from unichunk.runtime.errors import ObservationError, PolicyError
from unichunk.runtime.policy.result import PolicyResult
from unichunk.server.serving.calls import decode, encode
from unichunk.server.serving.handshake import handshake, modality
from unichunk.server.serving.robot_keys import RobotKeys, robot_keys
from unichunk.server.serving.work import Dialect, Work
from unichunk.server.wire.errors import MappingError, WireError
from unichunk.server.wire.mapping import load_mapping

if TYPE_CHECKING:
    from unichunk.runtime.policy.manifest import Manifest

TIMING: Any = SimpleNamespace(decode_s=0.001, infer_s=0.02)
ROBOARENA = {
    "image_resolution",
    "needs_wrist_camera",
    "n_external_cameras",
    "needs_stereo_camera",
    "needs_session_id",
    "action_space",
}
"""The fields of the dataclass that RoboArena's clients make of a handshake."""


def work(dialect: Dialect, payload: bytes, **more: Any) -> Work:
    return Work(dialect=dialect, robot="", payload=payload, seed=(1,), **more)


def result_for(manifest: Manifest, robot: str) -> PolicyResult:
    rows = manifest.chunk_length
    actions = {
        f"action.{name}": np.full((rows, key.width), key.slots[0] / 100, np.float32)
        for name, key in manifest.robots[robot].action.items()
    }
    return PolicyResult(unified=np.full((rows, 200), 0.5, np.float32), actions=actions)


@pytest.fixture
def keys() -> RobotKeys:
    return RobotKeys(generalist(), "so101", refinement_rounds=2)


def test_openpi(keys: RobotKeys) -> None:
    call = decode(work("openpi", openpi_pack(keys.openpi.example() | {"prompt": "x"})), keys)
    assert call.observation["video.third_person"].shape == (96, 96, 3)
    assert (call.previous_chunk, call.delay) == (None, 0)
    reply = openpi_unpack(encode(call, result_for(generalist(), "so101"), TIMING))
    assert list(reply) == ["actions", "action.arm_joints", "action.gripper", "policy_timing", "server_timing"]
    assert reply["actions"].shape == (24, 6)
    assert reply["actions"].dtype == np.float32
    assert reply["policy_timing"] == {"infer_ms": 20.0}
    assert reply["server_timing"] == {"infer_ms": 21.0}


def test_time_of_the_request_before(keys: RobotKeys) -> None:
    call = decode(work("openpi", openpi_pack(keys.openpi.example()), previous_total_ms=33.0), keys)
    reply = openpi_unpack(encode(call, result_for(generalist(), "so101"), TIMING))
    assert reply["server_timing"] == {"infer_ms": 21.0, "prev_total_ms": 33.0}


@pytest.mark.parametrize("delay", [3, np.int64(3), np.array(3), np.array([3])])
def test_conditioning_on_a_chunk(keys: RobotKeys, delay: object) -> None:
    rows = np.random.default_rng(0).standard_normal((24, 200)).astype(np.float32)
    given = keys.openpi.example() | {"prev_chunk": rows, "inference_delay": delay}
    call = decode(work("openpi", openpi_pack(given)), keys)
    assert call.previous_chunk is not None
    assert np.array_equal(call.previous_chunk, rows)
    assert operator.index(call.delay) == 3
    assert set(call.observation) == {*keys.openpi.example()}
    reply = openpi_unpack(encode(call, result_for(generalist(), "so101"), TIMING))
    assert reply["action_unified"].shape == (24, 200)
    assert reply["action_unified"].dtype == np.float32


def test_conditioning_that_begins_without_a_chunk(keys: RobotKeys) -> None:
    given = keys.openpi.example() | {"prev_chunk": None, "inference_delay": None}
    call = decode(work("openpi", openpi_pack(given)), keys)
    assert (call.previous_chunk, call.delay, call.conditioned) == (None, 0, True)


@pytest.mark.parametrize("place", ["observation", "options"])
@pytest.mark.parametrize("dialect", ["B", "C"])
def test_groot(keys: RobotKeys, dialect: str, place: str) -> None:
    data: dict[str, Any] = {
        "observation": {
            "video": {"third_person": np.zeros((1, 1, 8, 8, 3), np.uint8)},
            "state": {"arm_joints": np.ones((1, 1, 5), np.float32), "gripper": np.ones((1, 1, 1), np.float32)},
            "language": {"task": [["go"]]},
        },
        "options": {},
    }
    data[place] |= {"prev_chunk": np.zeros((24, 200), np.float32), "inference_delay": 2}
    call = decode(work("groot", groot_pack({"data": data}, dialect)), keys)
    assert call.observation["video.third_person"].shape == (8, 8, 3)
    assert call.observation["state.arm_joints"].shape == (5,)
    assert call.observation["language.instruction"] == "go"
    assert call.delay == 2
    actions, info = groot_unpack(encode(call, result_for(generalist(), "so101"), TIMING), dialect)
    assert {name: value.shape for name, value in actions.items()} == {
        "arm_joints": (1, 24, 5),
        "gripper": (1, 24, 1),
        "action_unified": (24, 200),
    }
    assert info["policy_timing"] == {"infer_ms": 20.0}


def test_groot_of_the_first_version() -> None:
    keys = RobotKeys(generalist(), "so101", load_mapping("groot_so101"))
    flat = {
        "video.front": np.zeros((1, 8, 8, 3), np.uint8),
        "state.single_arm": np.ones((1, 5)),
        "state.gripper": np.ones((1, 1)),
        "annotation.human.task_description": ["go"],
    }
    call = decode(work("groot", groot_pack({"data": flat}, "A")), keys)
    reply = groot_unpack(encode(call, result_for(generalist(), "so101"), TIMING), "A")
    assert {name: value.shape for name, value in reply.items()} == {
        "action.single_arm": (24, 5),
        "action.gripper": (24, 1),
    }


def test_roboarena() -> None:
    keys = RobotKeys(droid(), "robot", load_mapping("roboarena"))
    metadata = openpi_unpack(handshake(keys))
    assert set(metadata) == ROBOARENA
    assert metadata["n_external_cameras"] == 1
    assert metadata["needs_wrist_camera"] is True
    assert metadata["image_resolution"] == [224, 224]
    example = keys.openpi.example()
    assert "observation/exterior_image_0_left" in example
    call = decode(work("roboarena", openpi_pack(example | {"endpoint": "infer", "session_id": "a"})), keys)
    actions = openpi_unpack(encode(call, result_for(droid(), "robot"), TIMING))
    assert isinstance(actions, np.ndarray)
    assert actions.shape == (24, 8)
    with refused(WireError, "infer or reset", "'dance'"):
        decode(work("roboarena", openpi_pack(example | {"endpoint": "dance"})), keys)


def test_each_protocol_has_its_mapping() -> None:
    both = RobotKeys(generalist(), "so101", load_mapping("groot_so101"))
    assert "video.front" in both.groot.example()
    assert "video.third_person" in both.openpi.example()
    other = RobotKeys(libero(), "robot", load_mapping("libero"))
    assert "observation/image" in other.openpi.example()
    assert "video.top_view" in other.groot.example()


@pytest.mark.parametrize("bundle", MANIFESTS)
def test_the_handshakes_example_is_taken(bundle: str) -> None:
    manifest = MANIFESTS[bundle]()
    for robot in manifest.embodiments:
        keys = RobotKeys(manifest, robot, refinement_rounds=1)
        metadata = openpi_unpack(handshake(keys))
        assert metadata["action_horizon"] == manifest.chunk_length
        assert metadata["action_dim"] == len(metadata["action_columns"])
        assert metadata["action_hz"] == manifest.robots[robot].action_hz
        assert metadata["refinement_rounds"] == 1
        call = decode(work("openpi", openpi_pack(metadata["example_observation"])), keys)
        reply = openpi_unpack(encode(call, result_for(manifest, robot), TIMING))
        assert reply["actions"].shape == (metadata["action_horizon"], metadata["action_dim"])


def test_the_example_of_a_mapping_and_its_fields() -> None:
    metadata = openpi_unpack(handshake(RobotKeys(droid(), "robot", load_mapping("droid"))))
    assert metadata.keys() > ROBOARENA
    assert metadata["action_columns"][-1] == "gripper.0"
    assert set(metadata["example_observation"]) == {
        "observation/exterior_image_1_left",
        "observation/wrist_image_left",
        "observation/joint_position",
        "observation/gripper_position",
        "prompt",
    }


def test_modality() -> None:
    assert modality(RobotKeys(generalist(), "so101", load_mapping("groot_so101"))) == {
        "video": {"delta_indices": [0], "modality_keys": ["front"]},
        "state": {"delta_indices": [0], "modality_keys": ["single_arm", "gripper"]},
        "action": {"delta_indices": list(range(24)), "modality_keys": ["single_arm", "gripper"]},
        "language": {"delta_indices": [0], "modality_keys": ["annotation.human.task_description"]},
    }
    own = modality(RobotKeys(generalist(), "d1"))
    assert own["video"]["modality_keys"] == ["head"]
    assert own["language"]["modality_keys"] == ["instruction"]


def test_a_mapping_for_one_robot_of_several() -> None:
    keys = robot_keys(generalist(), load_mapping("groot_two_arms"), first="g1_o6")
    assert list(keys) == ["g1_o6", "so101", "fr3_inspire", "adam_u", "d1"]
    assert "video.ego_view" in keys["g1_o6"].groot.example()
    assert "video.third_person" in keys["so101"].groot.example()
    with refused(MappingError, "so101"):
        robot_keys(generalist(), load_mapping("groot_two_arms"), first="so101")


@pytest.mark.parametrize("value", [3, [1], None, "go"])
def test_messages_that_are_no_observation(keys: RobotKeys, value: object) -> None:
    for dialect in ("openpi", "roboarena"):
        with refused(WireError, "expected a map"):
            decode(work(dialect, openpi_pack(value)), keys)  # type: ignore[arg-type]


def test_observations_that_lack_something(keys: RobotKeys) -> None:
    with refused(ObservationError, "video.third_person", "missing"):
        decode(work("openpi", openpi_pack({})), keys)


def python_call(dialect: Dialect, payload: bytes) -> Any:
    return decode(work(dialect, payload), None)


def test_python_policies_get_the_clients_own_map() -> None:
    given = {"images": {"a": np.zeros((3, 2, 2), np.uint8)}, "prompt": "go", "prev_chunk": np.zeros(2)}
    call = python_call("openpi", openpi_pack(given))
    assert set(call.observation) == set(given)
    reply = openpi_unpack(encode(call, {"actions": np.zeros((3, 7)), "more": [1.5]}, TIMING))
    assert reply["actions"].shape == (3, 7)
    assert reply["more"] == [1.5]
    assert reply["policy_timing"] == {"infer_ms": 20.0}
    own = {"actions": np.zeros((3, 7)), "policy_timing": {"infer_ms": 7.0}}
    reply = openpi_unpack(encode(call, own, TIMING))
    assert reply["policy_timing"] == {"infer_ms": 7.0}
    assert reply["server_timing"] == {"infer_ms": 21.0}


def test_python_policies_in_the_other_dialects() -> None:
    call = python_call("roboarena", openpi_pack({"endpoint": "infer", "prompt": "go"}))
    assert call.observation == {"prompt": "go"}
    for result in ({"actions": np.zeros((3, 8))}, np.zeros((3, 8))):
        assert openpi_unpack(encode(call, result, TIMING)).shape == (3, 8)
    call = python_call("groot", groot_pack({"data": {"observation": {"state": {"a": np.zeros((1, 1, 2))}}}}, "C"))
    assert call.observation["state.a"].shape == (2,)
    actions, _ = groot_unpack(encode(call, {"action.a": np.zeros((3, 2)), "note": "x"}, TIMING), "C")
    assert actions["a"].shape == (1, 3, 2)
    with refused(WireError, "lean", "bundle"):
        python_call("lean", b"")


@pytest.mark.parametrize("result", [None, 3, [1.0]])
def test_python_policies_that_answer_nothing_of_use(result: Any) -> None:
    with refused(PolicyError, "result"):
        encode(python_call("openpi", openpi_pack({})), result, TIMING)
    with refused(PolicyError, "result", "array"):
        encode(python_call("roboarena", openpi_pack({})), result, TIMING)
    with refused(PolicyError, "result"):
        encode(python_call("groot", msgpack.packb({"data": {}})), result, TIMING)
