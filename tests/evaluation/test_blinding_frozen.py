"""Policies stay those that were frozen while a campaign runs, and their processes do not say which they are."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.observation import Observation, RobotState
from unichunk.runtime.policy.bundle import file_hash
from unichunk.runtime.producer import Commitment
from unichunk.server.evaluation.blinding import policy_host
from unichunk.server.evaluation.blinding.hidden_policy import Seen
from unichunk.server.evaluation.blinding.policy_host import PolicyHost
from unichunk.server.evaluation.blinding.policy_process import written_out
from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
from unichunk.server.evaluation.blinding.runtime_policy import RuntimePolicy
from unichunk.server.evaluation.errors import BundleChanged
from unichunk.server.evaluation.planning.campaign import PolicyEntry
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from collections.abc import Sequence

SPEC = load_spec("so101")
N = len(SPEC.joints)


class Process:
    """What `ReadyProcess` is told; it runs until it is killed."""

    made: list[Process]

    def __init__(self, _name: str, module: str, options: Sequence[str], said: Path, **_times: float) -> None:
        self.command, self.said = [module, *options], said
        self.killed = False
        self.made.append(self)

    def wait_until_ready(self, check: Any) -> None:
        check()

    def failure(self) -> str:
        return "killed" if self.killed else ""

    def end(self, _end_s: float = 0.0) -> str:
        return ""


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    Process.made = []
    monkeypatch.setattr(policy_host, "ReadyProcess", Process)
    return Process.made


def host(folder: Path, source: str, sha256: str, number: int = 1) -> PolicyHost:
    folder.mkdir(exist_ok=True)
    entry = PolicyEntry(name="the one we like", source=source, sha256=sha256)
    return PolicyHost(number, entry, SPEC, folder, ProxyOptions())


@pytest.mark.parametrize("kind", ["python", "bundle"])
def test_the_command_of_a_policys_process_does_not_say_which_it_is(
    tmp_path: Path, processes: list[Process], kind: str
) -> None:
    module = importlib.import_module("tests.evaluation.blinding_policies")
    source = f"python:{module.__name__}:Waving" if kind == "python" else str(shipped_bundles("so101")[0])
    sha256 = file_hash(Path(str(module.__file__))) if kind == "python" else "0" * 64
    for number in (1, 2):
        host(tmp_path / "private", source, sha256, number).start()
    for process in processes:
        shown = " ".join(process.command)
        assert source not in shown
        assert "Waving" not in shown
        assert "like" not in shown
        arguments = written_out(process.command[2:])
        assert arguments[arguments.index("--policy") + 1] == f"policy={source}"
    names = [path.stem for path in (tmp_path / "private").iterdir()]
    assert len(set(names)) == 2
    # Of the same length, random: no number of a policy.
    assert all(len(name) == 16 for name in names)


def test_arguments_of_a_file_stand_where_it_was_named(tmp_path: Path) -> None:
    (tmp_path / "more").write_text(json.dumps(["--policy", "@home", "a b"]))
    assert written_out(["serve", f"@{tmp_path / 'more'}", "--ready-fd", "3"]) == [
        *("serve", "--policy", "@home", "a b", "--ready-fd", "3"),
    ]


def test_a_module_that_was_changed_while_the_campaign_ran_is_not_started_anew(
    tmp_path: Path, processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "changing_policy.py"
    module.write_text("def make(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    ours = host(tmp_path / "private", "python:changing_policy:make", hashlib.sha256(module.read_bytes()).hexdigest())
    ours.start()
    ours.start()
    assert len(processes) == 1
    processes[0].killed = True
    module.write_text("def make(): ...  # better\n")
    with pytest.raises(BundleChanged, match="it was changed"):
        ours.start()
    assert len(processes) == 1


class Served:
    """A policy at a server that may serve another bundle from one moment to the next."""

    chunk_length, max_delay, state_time = 8, 4, "observation"

    def __init__(self) -> None:
        self.robot = None
        self.digest = "a" * 64

    def encode_actions(self, actions: Any) -> Any:
        return np.zeros((len(actions), 200), np.float32)

    def infer(self, *_: Any) -> Any:
        return SimpleNamespace(unified=np.zeros((8, 200), np.float32), actions=np.zeros((8, N)), cold=False)

    def close(self) -> None:
        pass


def adapted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the policy is told, by an adapter that is none."""
    told: list[Any] = []
    adapter = SimpleNamespace(
        displacement_slots=np.zeros(0, np.int64),
        actions=lambda rows, _before: rows,
        joints=lambda actions, _before, _delay: np.zeros((len(actions), N)),
        policy_input=lambda observation, _instruction: told.append(observation),
    )
    monkeypatch.setattr("unichunk.server.evaluation.blinding.runtime_policy.EmbodimentAdapter", lambda *_: adapter)
    return told


def test_a_policy_that_wants_to_know_the_state_at_the_takeover_is_told_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The robot tells what it measures; the proxy knows the rows that run."""
    told, remote = adapted(monkeypatch), Served()
    remote.state_time = "takeover"
    q = SPEC.rest + 0.01
    state = RobotState(0, 0, q, np.zeros(N), watchdog=False)
    seen = Seen(Observation(0, state, {}), "wave", 0, 0, {})
    policy = RuntimePolicy(remote, SPEC, first=seen, sha256="a" * 64)  # type: ignore[arg-type]
    ran, before = SPEC.rest, SPEC.rest + 0.02
    policy.predict(seen, Commitment(0, 5, 3, np.zeros((8, 200), np.float32), ran, before, 0, 0, saturated=False))
    np.testing.assert_array_equal(told[0].state.q, q, "nothing is committed while it warms up")
    np.testing.assert_allclose(told[-1].state.q, SPEC.rest + 0.03, atol=1e-12)


def test_a_server_that_serves_another_bundle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    adapted(monkeypatch)
    seen = Seen(SimpleNamespace(), "wave", 0, 0, {})  # type: ignore[arg-type]
    commitment: Any = SimpleNamespace(running=None, delay=0, before=None)
    remote: Any = Served()
    with pytest.raises(BundleChanged, match="the policy: SHA-256 is aaaaaaaaaaaa"):
        RuntimePolicy(remote, SPEC, first=seen, sha256="b" * 64)
    policy = RuntimePolicy(remote, SPEC, first=seen, sha256="a" * 64)
    assert policy.predict(seen, commitment).unified.shape == (8, 200)
    remote.digest = "c" * 64
    with pytest.raises(BundleChanged):
        policy.predict(seen, commitment)
