"""A policy that several robots share: its host, and the robots' ends of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zmq

from tests.one_line import refused
from tests.run.processes import eventually
from unichunk.embodiments.errors import LinkError
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.sockets import MAX_STREAM_BYTES
from unichunk.runtime.errors import BundleError, ObservationError, PolicyError
from unichunk.runtime.policy import Policy
from unichunk.server import shared_policy_host
from unichunk.server.shared_policy import SharedPolicy, is_shared
from unichunk.server.shared_policy_host import PolicyHost
from unichunk.server.shared_policy_messages import ANSWERS, PROTOCOL, Infer, Join, Joined, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from unichunk.runtime.policy import PolicyResult


class Bundle:
    """A loaded bundle whose robots' policies wait, fail and write down who asked."""

    def __init__(self, policy: Policy) -> None:
        self.manifest = policy.manifest
        self.refinement_rounds = policy.refinement_rounds
        self.asked: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.takes_s = 0.0
        self.error: Exception | None = None
        self._policy = policy

    def for_embodiment(self, name: str, *, seed: int = 0) -> _Robot:
        return _Robot(self, self._policy.for_embodiment(name, seed=seed), seed)


class _Robot:
    def __init__(self, bundle: Bundle, policy: Policy, seed: int) -> None:
        self._bundle, self._policy, self._seed = bundle, policy, seed

    def infer(self, observation: Any, previous_chunk: Any = None, delay: int = 0) -> PolicyResult:
        self._bundle.asked.append(self._seed)
        assert self._bundle.gate.wait(10)
        time.sleep(self._bundle.takes_s)
        if self._bundle.error is not None:
            raise self._bundle.error
        return self._policy.infer(observation, previous_chunk, delay)


@pytest.fixture(scope="module")
def policy(tiny: Path) -> Policy:
    return Policy.load(tiny)


@pytest.fixture
def bundle(policy: Policy) -> Bundle:
    return Bundle(policy)


@pytest.fixture
def endpoint() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="unichunk-"))
    yield f"ipc://{folder}/policy.ipc"
    shutil.rmtree(folder)


@contextmanager
def hosted(bundle: Any, endpoint: str) -> Iterator[PolicyHost]:
    host, stop = PolicyHost(bundle, endpoint), threading.Event()
    thread = threading.Thread(target=host.serve, args=(stop,))
    thread.start()
    try:
        yield host
    finally:
        stop.set()
        bundle.gate.set()
        thread.join(10)
        host.close()
        assert not thread.is_alive()


@pytest.fixture
def host(bundle: Bundle, endpoint: str) -> Iterator[PolicyHost]:
    with hosted(bundle, endpoint) as host:
        yield host


def test_what_is_an_address() -> None:
    assert is_shared("ipc:///tmp/policy.ipc")
    assert is_shared("tcp://192.168.1.5:5700")
    assert not is_shared("bundles/ipc")


def test_a_shared_policy_answers_as_the_policy_itself(host: PolicyHost, endpoint: str, policy: Policy) -> None:
    own = policy.for_embodiment("so101", seed=3)
    with closing(SharedPolicy(endpoint, "so101", seed=3)) as shared:
        assert (shared.chunk_length, shared.max_delay) == (own.chunk_length, own.max_delay)
        assert shared.robot == own.robot
        observation, previous = own.example_observation(), None
        for delay in (0, 4, 7):
            ours, theirs = own.infer(observation, previous, delay), shared.infer(observation, previous, delay)
            np.testing.assert_array_equal(theirs.unified, ours.unified)
            assert list(theirs.actions) == list(ours.actions)
            for name, values in ours.actions.items():
                np.testing.assert_array_equal(theirs.actions[name], values)
            assert theirs.unified.flags.writeable
            assert theirs.gates is None
            previous = ours.unified
        rows = {name: values.astype(np.float64) for name, values in ours.actions.items()}
        np.testing.assert_array_equal(shared.encode_actions(rows), own.encode_actions(rows))
    assert host.inferences == 3


def test_refinement_comes_through(tiny: Path, endpoint: str) -> None:
    bundle = Bundle(Policy.load(tiny, refinement_rounds=1))
    with hosted(bundle, endpoint):
        with refused(BundleError, "runs with 1 refinement rounds, 0 were asked for"):
            SharedPolicy(endpoint, "so101")
        with closing(SharedPolicy(endpoint, "so101", refinement_rounds=1)) as shared:
            result = shared.infer(bundle._policy.example_observation())
            assert result.gates is not None
            assert result.gates.shape == (1, 2)


def test_two_robots_of_the_same_kind_have_their_own_noise(host: PolicyHost, endpoint: str, policy: Policy) -> None:
    observation = policy.example_observation()
    with (
        closing(SharedPolicy(endpoint, "so101", seed=1)) as one,
        closing(SharedPolicy(endpoint, "so101", seed=2)) as two,
    ):
        other = two.infer(observation).unified
        first = one.infer(observation).unified
        assert (first != other).any()
        np.testing.assert_array_equal(policy.for_embodiment("so101", seed=1).infer(observation).unified, first)


def test_robots_are_answered_in_turn(host: PolicyHost, endpoint: str, bundle: Bundle, policy: Policy) -> None:
    """Who asks again at once, however often, never overtakes who waits."""
    observation = policy.example_observation()
    robots = [SharedPolicy(endpoint, "so101", seed=seed) for seed in range(3)]
    threads = [threading.Thread(target=lambda r=robot: [r.infer(observation) for _ in range(10)]) for robot in robots]
    # Long enough for whoever had an answer to ask again.
    bundle.takes_s = 0.03
    bundle.gate.clear()
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    bundle.gate.set()
    for thread in threads:
        thread.join(10)
    for robot in robots:
        robot.close()
    assert len(bundle.asked) == 30
    for start in range(27):
        # In any window of four answers everybody who was still asking had one.
        assert len(set(bundle.asked[start : start + 4])) >= 2
    assert max(abs(bundle.asked[:15].count(seed) - 5) for seed in range(3)) <= 1


def test_waiting_for_another_robot_is_part_of_the_latency(
    host: PolicyHost, endpoint: str, bundle: Bundle, policy: Policy
) -> None:
    observation = policy.example_observation()
    with closing(SharedPolicy(endpoint, "so101")) as one, closing(SharedPolicy(endpoint, "so101", infer_s=9)) as two:
        bundle.gate.clear()
        thread = threading.Thread(target=one.infer, args=(observation,))
        thread.start()
        eventually(lambda: bundle.asked)
        threading.Timer(0.3, bundle.gate.set).start()
        begun = time.monotonic()
        two.infer(observation)
        assert time.monotonic() - begun >= 0.25
        thread.join()


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (ObservationError("no video.third_person, expected it"), ObservationError, "no video.third_person"),
        (PolicyError("the policy has no idea what to do"), PolicyError, "the policy has no idea"),
        (ZeroDivisionError("some\nlines"), PolicyError, "the policy failed (ZeroDivisionError: some lines)"),
    ],
)
def test_a_failing_inference_is_its_robots_own_affair(
    host: PolicyHost, endpoint: str, bundle: Bundle, policy: Policy, error: Exception, expected: Any, words: str
) -> None:
    with closing(SharedPolicy(endpoint, "so101")) as shared:
        bundle.error = error
        with refused(expected, words):
            shared.infer(policy.example_observation())
        bundle.error = None
        assert shared.infer(policy.example_observation()).unified.shape == (24, 200)


def test_an_observation_that_does_not_fit(host: PolicyHost, endpoint: str, policy: Policy) -> None:
    with closing(SharedPolicy(endpoint, "so101")) as shared:
        with refused(ObservationError, "video.third_person"):
            shared.infer({})
        with refused(ObservationError, "cannot send a object"):
            shared.infer({**policy.example_observation(), "state.gripper": object()})


def test_a_robot_that_the_bundle_does_not_drive(host: PolicyHost, endpoint: str) -> None:
    with refused(BundleError, "'tiny' drives so101", "not g1_o6"):
        SharedPolicy(endpoint, "g1_o6")


def test_no_host(endpoint: str) -> None:
    with refused(PolicyError, endpoint, "did not answer within 0.2 s"):
        SharedPolicy(endpoint, "so101", join_s=0.2)


def test_a_host_that_is_stuck(host: PolicyHost, endpoint: str, bundle: Bundle, policy: Policy) -> None:
    """Each call ends in time; what comes late is nobody's, and of what was asked meanwhile only the newest is done."""
    with closing(SharedPolicy(endpoint, "so101", first_s=0.2, infer_s=5)) as shared:
        bundle.gate.clear()
        with refused(PolicyError, "did not answer within 0.2 s"):
            shared.infer(policy.example_observation())
        shared._patience_s = 0.1
        for _ in range(3):
            with refused(PolicyError, "did not answer within 0.1 s"):
                shared.infer(policy.example_observation())
            shared._patience_s = 0.1
        threading.Timer(0.1, bundle.gate.set).start()
        shared._patience_s = 5.0
        observation = {**policy.example_observation(), "state.gripper": np.array([0.9], np.float32)}
        late = shared.infer(observation)
        assert late.unified.shape == (24, 200)
    # The one that hung, and the last one.
    assert len(bundle.asked) == 2


def test_a_host_that_ends_while_it_is_waited_for(endpoint: str, policy: Policy) -> None:
    bundle = Bundle(policy)
    bundle.error = PolicyError("not this time")
    with hosted(bundle, endpoint):
        shared = SharedPolicy(endpoint, "so101")
    with closing(shared):
        for _ in range(2):
            with refused(PolicyError, "the policy host at", "has gone"):
                shared.infer(policy.example_observation())


@pytest.mark.parametrize("parts", [[b"\x00junk"], [b""], [b"a", b"b"], [b"", b"", b""]])
def test_malformed_messages_harm_nobody(host: PolicyHost, endpoint: str, policy: Policy, parts: list[bytes]) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    try:
        socket.connect(endpoint)
        with closing(SharedPolicy(endpoint, "so101")) as shared:
            socket.send_multipart(parts)
            assert socket.poll(5000)
            answer = ANSWERS.decode(socket.recv())
            assert isinstance(answer, Refused)
            assert "malformed message" in answer.reason
            assert shared.infer(policy.example_observation()).unified.shape == (24, 200)
        assert host.malformed == 1
    finally:
        socket.close(linger=0)
        context.term()


def test_requests_that_are_out_of_place(host: PolicyHost, endpoint: str) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)

    def ask(request: msgspec.Struct) -> Refused:
        socket.send(encode(request))
        assert socket.poll(5000)
        answer = ANSWERS.decode(socket.recv())
        assert isinstance(answer, Refused)
        return answer

    try:
        socket.connect(endpoint)
        stranger = ask(Infer(id=5, observation={}, previous_chunk=None, delay=0))
        assert (stranger.id, stranger.kind) == (5, "policy")
        assert "has to join first" in stranger.reason
        older = ask(Join(id=6, protocol=0, embodiment="so101", refinement_rounds=0, seed=0))
        assert "speaks protocol 1, the runtime 0" in older.reason
    finally:
        socket.close(linger=0)
        context.term()


def raw_socket(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 1000)
    socket.connect(endpoint)
    return socket


def test_who_has_gone_is_forgotten_with_what_it_asked_for(
    host: PolicyHost, endpoint: str, bundle: Bundle, policy: Policy
) -> None:
    observation = policy.example_observation()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    gone = raw_socket(context, endpoint)
    try:
        gone.send(encode(Join(id=1, protocol=PROTOCOL, embodiment="so101", refinement_rounds=0, seed=7)))
        assert gone.poll(5000)
        assert isinstance(ANSWERS.decode(gone.recv()), Joined)
        with closing(SharedPolicy(endpoint, "so101", seed=8)) as stays:
            bundle.gate.clear()
            thread = threading.Thread(target=stays.infer, args=(observation,))
            thread.start()
            eventually(lambda: bundle.asked)
            assert len(host._robots) == 2
            gone.send(encode(Infer(id=2, observation=observation, previous_chunk=None, delay=0)))
            time.sleep(0.1)
            gone.close()
            time.sleep(0.1)
            bundle.gate.set()
            thread.join(10)
            # Whoever is still there gets its answers in between two looks for who is not.
            for _ in range(3):
                stays.infer(observation)
            eventually(lambda: len(host._robots) == 1)
        assert set(bundle.asked) == {8}
        eventually(lambda: not host._robots)
    finally:
        context.term()


def test_a_flood_keeps_nobody_from_its_answer(endpoint: str, bundle: Bundle) -> None:
    """However much has come from one, after a bounded number of messages another's request is worked on."""
    host = PolicyHost(bundle, endpoint)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    flooding, other = raw_socket(context, endpoint), raw_socket(context, endpoint)
    try:
        for _ in range(900):
            flooding.send(b"junk", zmq.NOBLOCK)
        eventually(lambda: host._socket.poll(0))
        other.send(encode(Join(id=1, protocol=PROTOCOL, embodiment="so101", refinement_rounds=0, seed=7)))
        time.sleep(0.3)
        host._take()
        assert 0 < host.malformed <= shared_policy_host.MOST_PER_ROUND
        assert len(host._waiting) == 1
    finally:
        for socket in (flooding, other):
            socket.close(linger=0)
        context.term()
        host.close()


def test_a_policy_is_shared_on_one_machine_only(bundle: Bundle) -> None:
    words = ("tcp://127.0.0.1:5700", "without authentication", "ipc:///absolute/path")
    with refused(LinkError, *words):
        PolicyHost(bundle, "tcp://127.0.0.1:5700")
    with refused(LinkError, *words):
        SharedPolicy("tcp://127.0.0.1:5700", "so101")


def test_a_request_that_is_too_large_is_refused_before_it_is_sent(
    host: PolicyHost, endpoint: str, policy: Policy
) -> None:
    with closing(SharedPolicy(endpoint, "so101")) as shared:
        huge = np.zeros((MAX_STREAM_BYTES // 2 - 1000, 1), np.uint8)
        with refused(ObservationError, "a policy host takes at most", "smaller pictures"):
            shared.infer({**policy.example_observation(), "video.third_person": huge, "video.b": huge, "video.c": huge})
        assert shared.infer(policy.example_observation()).unified.shape == (24, 200)


def test_a_second_signal_while_the_first_is_taken_in_is_not_waited_for(
    tiny: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Setting an event takes a lock: a handler within a handler would wait for it for ever."""
    taken_in: list[int] = []

    def serve(_: PolicyHost, stop: threading.Event) -> None:
        def set_slowly() -> None:
            taken_in.append(1)
            signal.raise_signal(signal.SIGTERM)
            threading.Event.set(stop)

        monkeypatch.setattr(stop, "set", set_slowly)
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()

    monkeypatch.setattr(PolicyHost, "serve", serve)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert shared_policy_host.main(tiny, endpoint=endpoint) == 0
    assert taken_in == [1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.fixture
def process(tiny: Path, endpoint: str) -> Iterator[subprocess.Popen[str]]:
    """The host as a process, ready."""
    ready, theirs = os.pipe()
    command = [
        sys.executable,
        "-m",
        "unichunk.server.shared_policy_host",
        "--policy",
        str(tiny),
        "--endpoint",
        endpoint,
    ]
    with subprocess.Popen(
        [*command, "--ready-fd", str(theirs), "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[theirs],
    ) as process:
        os.close(theirs)
        assert os.read(ready, 1) == b"\n"
        os.close(ready)
        yield process
        process.kill()


@pytest.mark.processes
def test_a_host_that_is_killed(process: subprocess.Popen[str], endpoint: str, policy: Policy) -> None:
    with closing(SharedPolicy(endpoint, "so101", first_s=30)) as shared:
        process.send_signal(signal.SIGSTOP)
        threading.Timer(0.3, process.kill).start()
        begun = time.monotonic()
        with refused(PolicyError, "has gone"):
            shared.infer(policy.example_observation())
        assert time.monotonic() - begun < 15


@pytest.mark.processes
@pytest.mark.parametrize("how", ["signal", "input"])
def test_a_host_ends_as_asked(process: subprocess.Popen[str], endpoint: str, how: str) -> None:
    if how == "signal":
        process.terminate()
    else:
        assert process.stdin is not None
        process.stdin.close()
    assert process.wait(10) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert not Path(endpoint.removeprefix("ipc://")).exists()


@pytest.mark.processes
def test_a_host_without_a_bundle(tmp_path: Path, endpoint: str) -> None:
    command = [sys.executable, "-m", "unichunk.server.shared_policy_host", "--policy", str(tmp_path / "nowhere")]
    ended = subprocess.run([*command, "--endpoint", endpoint], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "bundle.json" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
