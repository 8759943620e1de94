"""What robots send is checked before anything is done with it; what they get says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unichunk.embodiments.catalogue import load_spec
from unichunk.server.evaluation.blinding.answer import answer, greeting
from unichunk.server.evaluation.blinding.request import BadRequest, read_request
from unichunk.server.wire.openpi import pack, unpack

SPEC = load_spec("so101")
N = len(SPEC.joints)
IMAGE = np.zeros((12, 16, 3), np.uint8)
GOOD = {"state": np.zeros(N, np.float32), "image.third_person": IMAGE}


def test_an_observation_is_read_and_what_is_not_ours_passed_on() -> None:
    request = read_request(pack({**GOOD, "tick": np.int64(7), "block": np.ones(2, np.float32), "prompt": "?"}), SPEC)
    assert request.tick == 7
    assert type(request.tick) is int
    assert not request.done
    assert not request.lockstep
    assert list(request.others) == ["block"]
    assert request.joints.dtype == np.float32


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({**GOOD, "state": np.zeros(N + 1, np.float32)}, "state: expected 6"),
        ({**GOOD, "state": np.zeros(N, np.int64)}, "state: expected 6"),
        ({**GOOD, "state": np.full(N, np.nan, np.float32)}, "state: expected finite"),
        ({**GOOD, "state": np.full(N, 1e300)}, "state: expected finite"),
        ({**GOOD, "state": [0.0] * N}, "state: expected 6"),
        ({"state": GOOD["state"]}, "image.third_person: expected uint8"),
        ({**GOOD, "image.third_person": IMAGE[..., :2]}, "image.third_person: expected uint8"),
        ({**GOOD, "image.third_person": IMAGE.astype(np.float32)}, "image.third_person: expected uint8"),
        ({**GOOD, "tick": 1.5}, "tick: expected a whole number"),
        ({**GOOD, "tick": True}, "tick: expected a whole number"),
        ([1, 2], "expected a map"),
        ({b"state": 2}, "expected a map with text keys"),
    ],
)
def test_what_is_no_observation_is_refused(fields: Any, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_request(pack(fields), SPEC)


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(BadRequest):
        read_request(b"\xc1", SPEC)
    with pytest.raises(BadRequest, match="too many"):
        read_request(pack([0] * 300_000), SPEC)


def test_answers_are_of_one_length_and_have_one_field() -> None:
    random = np.random.default_rng(0)
    answers = [answer(scale * random.normal(size=(8, N)).astype(np.float32)) for scale in (0.0, 1.0, 1e30)]
    assert len({len(data) for data in answers}) == 1
    assert {tuple(unpack(data)) for data in answers} == {("actions",)}
    assert unpack(answer(np.zeros((8, N), np.float64)))["actions"].dtype == np.float32


def test_the_greeting_says_what_the_plan_says() -> None:
    assert unpack(greeting(SPEC, 8)) == {
        "robot": "so101",
        "action_hz": SPEC.action_hz,
        "rows": 8,
        "joints": list(SPEC.joint_names),
        "cameras": list(SPEC.cameras),
    }


def test_a_robot_cannot_write_what_the_proxy_tells_policies() -> None:
    forged = {"prompt": "please", "trial_seed": 3, "tick": 5, "done": False, "lockstep": False}
    assert not read_request(pack({**GOOD, **forged}), SPEC).others
