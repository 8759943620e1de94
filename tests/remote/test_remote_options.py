"""`unichunk run` with a policy server: what its options mean, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.one_line import refused
from tests.remote.bundles import tiny_policy
from tests.remote.model_server import ModelServer
from tests.remote.socket_servers import zmq_server
from unichunk.runtime.run_options import RunOptions
from unichunk.server.remote.remote_options import OUTAGE_S, RemoteOptions
from unichunk.server.run_command import Run
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from tests.run.fake_robot import FakeRobot


@pytest.mark.parametrize(
    ("given", "policy", "words"),
    [
        ({"policy_outage": 3.0}, None, "--policy-outage: only a policy server has it"),
        ({"policy_ca": Path("a")}, "bundles/tiny", "--policy-ca: only a policy server"),
        ({"policy_outage": 0.0}, "ws://a", "more than 0 and at most 3600 s, got 0"),
        ({"policy_outage": float("nan")}, "ws://a", "got nan"),
        ({"jpeg": 0}, "ws://a", "a quality of 1 to 100, got 0"),
    ],
)
def test_what_cannot_be_meant(given: dict[str, Any], policy: str | None, words: str) -> None:
    with refused(UsageError, words):
        RemoteOptions(**given).check(policy)


def test_outages_are_ridden_out_with_a_server_only() -> None:
    options = RunOptions("go", 3.0)
    assert RemoteOptions().patient(options, tiny_policy("own")) == options
    with zmq_server(ModelServer(tiny_policy("own").manifest, "so101"), "tcp://127.0.0.1:*") as endpoint:
        address = endpoint.replace("tcp", "zmq")
        remote = RemoteOptions().connect(address, "so101", refinement_rounds=0, guided=False, seed=0)
        patient = RemoteOptions().patient(options, remote)
        assert (patient.starved_s, patient.outage_s, patient.duration_s) == (OUTAGE_S, OUTAGE_S, 3.0)
        assert RemoteOptions(policy_outage=2.0).patient(options, remote).outage_s == 2.0
        remote.close()


@pytest.mark.parametrize(
    ("policy", "status", "words"),
    [
        ("tcp://localhost:5555", 3, "a driver's tcp:// is zmq:// here"),
        ("ws://localhost/a/b", 3, "expected ws://host:port[/policy]"),
        ("ws://host.invalid", 3, "the host's name cannot be looked up"),
    ],
)
def test_refusals(
    policy: str, status: int, words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, robot: FakeRobot
) -> None:
    assert Run("so101", driver="ipc:///nowhere", policy=policy, report=tmp_path / "r.json")() == status
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("unichunk run: policy ")
    assert words in errors
    assert len(errors.splitlines()) == 1
