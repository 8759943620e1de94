"""`unichunk serve` and its runtime clients, over a Unix socket as a fleet has it: real processes, a real policy."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zmq

from tests.one_line import refused
from tests.run.processes import eventually
from unichunk.embodiments.link.codec import encode
from unichunk.runtime.errors import ObservationError, PolicyError, PolicyLate
from unichunk.runtime.policy import Policy
from unichunk.server.remote.remote_policy import RemotePolicy
from unichunk.server.wire.lean import RESPONSES, Infer, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.processes


class Served:
    """A server process, ready."""

    def __init__(self, bundle: Path, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="unichunk-"))
        self.path = self.folder / "policy.ipc"
        self.address = f"ipc://{self.path}"
        ready, theirs = os.pipe()
        command = [sys.executable, "-m", "unichunk.server.command_line", "serve", "--policy", f"tiny={bundle}"]
        command += ["--no-http", "--no-zmq", "--ipc", str(self.path), "--log-level", "error", *options]
        self.process = subprocess.Popen(
            [*command, "--ready-fd", str(theirs), "--until-stdin-closes"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=[theirs],
        )
        os.close(theirs)
        assert os.read(ready, 1) == b"\n"
        os.close(ready)

    def close(self) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stderr):
            assert stream is not None
            stream.close()
        self.process.wait()
        shutil.rmtree(self.folder)

    def children(self) -> list[int]:
        """Its workers' processes."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                if f"\nPPid:\t{self.process.pid}\n" in entry.read_text():
                    found.append(int(entry.parent.name))
        return found


@pytest.fixture(scope="module")
def served(tiny: Path) -> Iterator[Served]:
    with closing(Served(tiny)) as served:
        yield served
        # It ends with the standard input of its parent, and leaves no socket behind.
        assert served.process.stdin is not None
        served.process.stdin.close()
        assert served.process.wait(20) == 0
        assert not served.path.exists()


@pytest.fixture(scope="module")
def policy(tiny: Path) -> Policy:
    return Policy.load(tiny)


def noise(policy: Policy, seed: int, number: int, rounds: int = 0) -> np.ndarray:
    shape = (1 + rounds, policy.chunk_length, 200)
    return np.random.default_rng([seed, number]).standard_normal(shape, np.float32)


def test_a_served_policy_answers_as_the_policy_itself(served: Served, policy: Policy) -> None:
    with closing(RemotePolicy(served.address, "so101", seed=3)) as remote:
        assert (remote.chunk_length, remote.max_delay) == (policy.chunk_length, policy.max_delay)
        assert remote.robot == policy.robot
        observation: dict[str, Any] = policy.example_observation()
        previous = None
        for number, delay in enumerate((0, 4, 7)):
            ours = policy.infer(observation, previous, delay, noise(policy, 3, number))
            theirs = remote.infer(observation, previous, delay)
            np.testing.assert_array_equal(theirs.unified, ours.unified)
            assert list(theirs.actions) == list(ours.actions)
            for name, values in ours.actions.items():
                np.testing.assert_array_equal(theirs.actions[name], values)
            assert theirs.unified.flags.writeable
            assert theirs.gates is None
            previous = ours.unified
            observation["state.gripper"] = np.array([0.1 * number], np.float32)
        rows = {name: values.astype(np.float64) for name, values in ours.actions.items()}
        np.testing.assert_array_equal(remote.encode_actions(rows), policy.encode_actions(rows))


def test_two_robots_of_the_same_kind_have_their_own_noise(served: Served, policy: Policy) -> None:
    observation = policy.example_observation()
    with (
        closing(RemotePolicy(served.address, "so101", seed=1)) as one,
        closing(RemotePolicy(served.address, "so101", seed=2)) as two,
    ):
        other = two.infer(observation).unified
        first = one.infer(observation).unified
        assert (first != other).any()
        np.testing.assert_array_equal(policy.infer(observation, noise=noise(policy, 1, 0)).unified, first)


def test_who_is_not_served(served: Served) -> None:
    with refused(PolicyError, served.address, "so101", "g1_o6"):
        RemotePolicy(served.address, "g1_o6")
    with refused(PolicyError, "runs with 0 refinement rounds, 1 were asked for"):
        RemotePolicy(served.address, "so101", refinement_rounds=1)


def test_an_observation_that_does_not_fit_is_its_robots_own_affair(served: Served, policy: Policy) -> None:
    with (
        closing(RemotePolicy(served.address, "so101")) as remote,
        closing(RemotePolicy(served.address, "so101", seed=1)) as other,
    ):
        with refused(ObservationError, "video.third_person"):
            remote.infer({})
        assert other.infer(policy.example_observation()).unified.shape == (24, 200)
        assert remote.infer(policy.example_observation()).unified.shape == (24, 200)
        huge = np.zeros((40 * 2**20, 1), np.uint8)
        with refused(ObservationError, "this server takes at most", "smaller pictures"):
            remote.infer({**policy.example_observation(), "video.a": huge, "video.b": huge})
        with refused(ObservationError, "cannot send a object"):
            remote.infer({**policy.example_observation(), "state.gripper": object()})


def test_malformed_messages_harm_nobody(served: Served, policy: Policy) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    try:
        socket.connect(served.address)
        with closing(RemotePolicy(served.address, "so101")) as remote:
            stranger = encode(Infer(id=5, number=0, fields={}, within_s=1.0))
            for parts, kind in (([b"\x00junk"], "message"), ([stranger], "session"), ([b"a", b"b"], "message")):
                socket.send_multipart(parts)
                assert socket.poll(5000)
                answer = RESPONSES.decode(socket.recv_multipart()[-1])
                assert isinstance(answer, Refused)
                assert answer.kind == kind
            for parts in ([b""], [b"", b"", b""], [b"x"] * 20, *([b"junk"] for _ in range(900))):
                socket.send_multipart(parts)
            assert remote.infer(policy.example_observation()).unified.shape == (24, 200)
    finally:
        socket.close(linger=0)
        context.term()


def test_robots_are_answered_in_turn(served: Served, policy: Policy) -> None:
    """Who asks again at once, however often, never overtakes who waits."""
    observation = policy.example_observation()
    order: list[int] = []

    def ask(robot: int) -> None:
        with closing(RemotePolicy(served.address, "so101", seed=robot, answer_within_s=20.0)) as remote:
            barrier.wait(20)
            for _ in range(15):
                remote.infer(observation)
                order.append(robot)

    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=ask, args=(robot,)) for robot in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(order) == 45
    # Threads of a test are scheduled as the machine likes: nobody has had its last answer before another had half.
    first_over = max(max(i for i, robot in enumerate(order) if robot == one) for one in range(3))
    assert first_over == 44
    earliest = min(max(i for i, robot in enumerate(order) if robot == one) for one in range(3))
    assert all(order[: earliest + 1].count(robot) >= 5 for robot in range(3))


def test_refinement_comes_through_and_a_server_that_hangs_and_is_killed(tiny: Path, policy: Policy) -> None:
    observation = policy.example_observation()
    refined = Policy.load(tiny, refinement_rounds=1)
    with ExitStack() as stack:
        served = stack.enter_context(closing(Served(tiny, "--refinement-rounds", "1")))
        remote = RemotePolicy(served.address, "so101", refinement_rounds=1, seed=4, answer_within_s=0.5)
        stack.enter_context(closing(remote))
        theirs = remote.infer(observation)
        ours = refined.infer(observation, noise=noise(policy, 4, 0, rounds=1))
        np.testing.assert_array_equal(theirs.unified, ours.unified)
        np.testing.assert_array_equal(theirs.gates, ours.gates)
        np.testing.assert_array_equal(theirs.discrepancies, ours.discrepancies)
        workers = served.children()
        assert workers
        served.process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        with refused(PolicyLate, served.address):
            remote.infer(observation)
        served.process.kill()
        served.process.wait()
        with refused(PolicyLate, served.address):
            remote.infer(observation)
        assert time.monotonic() - begun < 20
        # Its workers do not outlive it.
        eventually(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
