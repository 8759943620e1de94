"""The handles of a link against a driver that is only a few raw sockets: what comes in may be anything."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import zmq

from tests.one_line import refused
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.errors import LinkError, MessageError
from unichunk.embodiments.link import DriverLink
from unichunk.embodiments.link.caller import Caller
from unichunk.embodiments.link.calls import CALLS, CameraOffer, Done, Failure, Goodbye, Ping, Pong, Welcome
from unichunk.embodiments.link.clock import Clock
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.command_sender import CommandSender
from unichunk.embodiments.link.connection import Connection, Route
from unichunk.embodiments.link.messages import COMMANDS, Frame, State
from unichunk.embodiments.link.sensor_receiver import SensorReceiver
from unichunk.embodiments.link.sockets import receive, subscribe
from unichunk.embodiments.link.state_receiver import StateReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unichunk.embodiments.link.calls import Call

SPEC = load_spec("so101")
CAMERA = "third_person"
IMAGE = np.zeros((120, 160, 3), np.uint8)


class FewSockets:
    """Binds what a driver binds; the test says what comes out of it."""

    def __init__(self, folder: str, stack: ExitStack) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.term)
        self.control = self._bind(context, zmq.ROUTER, f"ipc://{folder}/control", stack)
        self.command = self._bind(context, zmq.PULL, f"ipc://{folder}/command", stack)
        self.state = self._bind(context, zmq.PUB, f"ipc://{folder}/state", stack)
        self.camera = self._bind(context, zmq.PUB, f"ipc://{folder}/camera", stack)
        self.control_endpoint = f"ipc://{folder}/control"
        self.route = Route(
            "boot", f"ipc://{folder}/command", f"ipc://{folder}/state", {CAMERA: f"ipc://{folder}/camera"}
        )

    def _bind(self, context, kind: int, endpoint: str, stack: ExitStack):
        made = context.socket(kind)
        stack.callback(made.close, linger=0)
        made.bind(endpoint)
        return made


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def driver(stack: ExitStack) -> FewSockets:
    folder = tempfile.mkdtemp(prefix="unichunk-")
    stack.callback(shutil.rmtree, folder)
    return FewSockets(folder, stack)


@pytest.fixture
def connection(driver: FewSockets, stack: ExitStack) -> Connection:
    connection = Connection(SPEC, "us", driver.route)
    stack.callback(connection.end)
    return connection


@pytest.fixture
def states(connection: Connection, stack: ExitStack) -> StateReceiver:
    states = StateReceiver(connection)
    stack.callback(states.close)
    return states


@pytest.fixture
def sensors(connection: Connection, stack: ExitStack) -> SensorReceiver:
    sensors = SensorReceiver(connection)
    stack.callback(sensors.close)
    return sensors


@pytest.fixture
def commands(connection: Connection, stack: ExitStack) -> CommandSender:
    commands = CommandSender(connection)
    stack.callback(commands.close)
    return commands


def state(sequence: int = 0, q: np.ndarray | None = None, **changes: object) -> State:
    fields = {
        "stamp_ns": 1000,
        "dq": np.zeros(6),
        "watchdog": False,
        "stopped": False,
        "session": "us",
        "last_command_sequence": 5,
    }
    return State(sequence=sequence, q=np.zeros(6) if q is None else q, **(fields | changes))


def frame(sequence: int = 0, image: np.ndarray = IMAGE, **changes: object) -> Frame:
    fields = {"stamp_ns": 2000, "state": state()}
    return Frame(sequence=sequence, image=image, **(fields | changes))


def send_until(publisher, message: bytes, condition: Callable[[], object]) -> None:
    """Publish again and again: what is sent before the subscription arrives is lost."""
    deadline = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < deadline
        publisher.send(message)
        time.sleep(0.01)


def test_states_are_checked_and_their_stamps_are_ours(
    driver: FewSockets, connection: Connection, states: StateReceiver
) -> None:
    connection.clock = Clock(offset_ns=300, round_trip_ns=1)
    assert states.newest() is None
    assert not states.commanding
    assert states.last_command_sequence == -1
    send_until(driver.state, encode(state(3, np.arange(6.0))), lambda: states.newest() is not None)
    newest = states.newest()
    assert (newest.sequence, newest.stamp_ns, newest.watchdog) == (3, 700, False)
    assert newest.q.tolist() == [0, 1, 2, 3, 4, 5]
    assert states.commanding
    assert states.last_command_sequence == 5
    send_until(driver.state, encode(state(session="them")), lambda: states.newest() and not states.commanding)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xc1",
        encode(state(q=np.zeros(5))),
        encode(state(dq=np.zeros((6, 2)))),
        encode(state(q=np.zeros(6, np.float32))),
        encode(frame()),
    ],
    ids=["empty", "no msgpack", "five joints", "two columns", "float32", "a frame"],
)
def test_malformed_states_are_counted_and_skipped(driver: FewSockets, states: StateReceiver, junk: bytes) -> None:
    send_until(driver.state, encode(state(3)), lambda: states.newest() is not None)
    send_until(driver.state, junk, lambda: states.newest() and states.malformed)
    assert states.newest().sequence == 3
    send_until(driver.state, encode(state(4)), lambda: states.newest().sequence == 4)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00" * 50,
        encode(frame(image=np.zeros((480, 640, 3), np.uint8))),
        encode(frame(image=np.zeros((120, 160, 3)))),
        encode(frame(state=state(q=np.zeros(7)))),
    ],
    ids=["no msgpack", "another size", "float64", "seven joints"],
)
def test_malformed_frames_are_counted_and_skipped(driver: FewSockets, sensors: SensorReceiver, junk: bytes) -> None:
    send_until(driver.camera, encode(frame(3)), lambda: sensors.newest() is not None)
    send_until(driver.camera, junk, lambda: sensors.newest() and sensors.malformed)
    assert sensors.newest().frames[CAMERA].sequence == 3
    send_until(driver.camera, encode(frame(4)), lambda: sensors.newest().frames[CAMERA].sequence == 4)


def test_cameras_that_nobody_looks_at_are_not_received_and_not_missed(driver: FewSockets, stack: ExitStack) -> None:
    spec = msgspec.structs.replace(SPEC, cameras={CAMERA: SPEC.cameras[CAMERA], "silent": SPEC.cameras[CAMERA]})
    route = driver.route
    addresses = {**route.cameras, "silent": f"{route.cameras[CAMERA]}.silent"}
    connection = Connection(spec, "us", Route("boot", route.command, route.state, addresses))
    stack.callback(connection.end)
    every, used = SensorReceiver(connection), SensorReceiver(connection, [CAMERA])
    for sensors in (every, used):
        stack.callback(sensors.close)
        sensors.open()
    send_until(driver.camera, encode(frame(3)), lambda: used.newest() is not None)
    assert list(used.newest().frames) == [CAMERA]
    assert every.wait(5.0)
    assert every.newest() is None


def test_the_newest_frame_wins_and_without_one_the_observation_stays(
    driver: FewSockets, sensors: SensorReceiver
) -> None:
    send_until(driver.camera, encode(frame(0)), lambda: sensors.newest() is not None)
    for sequence in range(1, 50):
        driver.camera.send(encode(frame(sequence, stamp_ns=sequence)))
    deadline = time.monotonic() + 5.0
    while (newest := sensors.newest()).frames[CAMERA].sequence < 49:
        assert time.monotonic() < deadline
    assert newest.stamp_ns == 49
    assert not sensors.wait(0.02)
    assert sensors.newest() is newest


def test_a_subscription_keeps_the_newest_message_only(driver: FewSockets, connection: Connection) -> None:
    with closing(subscribe(connection.context, driver.route.state)) as socket:
        send_until(driver.state, b"0", lambda: receive(socket))
        for number in range(1, 100):
            driver.state.send(str(number).encode())
        time.sleep(0.1)
        assert receive(socket) == b"99"
        assert receive(socket) is None


def test_new_addresses_are_followed_and_the_past_is_forgotten(
    driver: FewSockets, connection: Connection, states: StateReceiver, sensors: SensorReceiver, commands: CommandSender
) -> None:
    send_until(driver.state, encode(state()), lambda: states.newest() is not None)
    send_until(driver.camera, encode(frame()), lambda: sensors.newest() is not None)
    nowhere = driver.route.state + ".moved"
    connection.route = Route("other boot", nowhere, nowhere, {CAMERA: nowhere})
    assert states.newest() is None
    assert sensors.newest() is None
    assert not commands.open(0.05)
    assert not commands.send(0, np.zeros(6))
    connection.route = driver.route
    send_until(driver.state, encode(state()), lambda: states.newest() is not None)
    send_until(driver.camera, encode(frame()), lambda: sensors.newest() is not None)
    assert commands.open(5.0)
    assert commands.send(0, np.zeros(6))


def test_commands_are_stamped_on_the_drivers_clock_and_numbered(
    driver: FewSockets, connection: Connection, commands: CommandSender
) -> None:
    connection.clock = Clock(offset_ns=10**15, round_trip_ns=1)
    assert commands.open(5.0)
    for tick in (7, 8):
        assert commands.send(tick, np.full(6, float(tick)))
        assert driver.command.poll(5000)
        command = COMMANDS.decode(driver.command.recv())
        assert (command.session, command.tick, command.sequence) == ("us", tick, tick - 6)
        assert abs(command.stamp_ns - 10**15 - time.monotonic_ns()) < 5e9
        assert command.q.tolist() == [tick] * 6


@pytest.mark.parametrize("q", [np.zeros(5), np.zeros((6, 1)), np.zeros(6, np.float32), np.array([None] * 6)])
def test_what_is_no_command_does_not_leave(driver: FewSockets, commands: CommandSender, q: np.ndarray) -> None:
    assert commands.open(5.0)
    assert not commands.send(0, q)
    assert not driver.command.poll(20)


def test_without_a_route_nothing_happens_and_waiting_takes_its_time() -> None:
    link = DriverLink("ipc:///tmp/nobody.ipc", SPEC)
    before = time.monotonic()
    assert not link.commands.send(0, np.zeros(6))
    assert link.states.newest() is None
    assert link.sensors.newest() is None
    assert not link.states.wait(0.03)
    assert not link.sensors.wait(0.03)
    assert time.monotonic() - before >= 0.06
    link.close()


def test_a_closed_sender_sends_nothing(driver: FewSockets, commands: CommandSender) -> None:
    assert commands.open(5.0)
    commands.close()
    assert not commands.send(0, np.zeros(6))


@contextmanager
def answering(driver: FewSockets, *answers: Callable[[Call], list[bytes]]) -> Iterator[None]:
    """Answer the first call with the first answer's messages, and so on."""

    def serve() -> None:
        for answer in answers:
            assert driver.control.poll(5000)
            caller, data = driver.control.recv_multipart()
            for message in answer(CALLS.decode(data)):
                driver.control.send_multipart([caller, message])

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    thread.join()


def pong(call: Call, *, late_by: int = 0) -> bytes:
    return encode(Pong(id=call.id - late_by, stamp_ns=1))


def test_replies_to_earlier_calls_are_dropped(driver: FewSockets, connection: Connection, stack: ExitStack) -> None:
    caller = Caller(connection, driver.control_endpoint)
    stack.callback(caller.close)
    caller.next_id()
    with answering(driver, lambda call: [pong(call, late_by=1), pong(call)]):
        reply = caller.ask(Ping(id=caller.next_id(), session="us"), 5.0)
        assert reply == Pong(id=2, stamp_ns=1)


def test_only_replies_to_earlier_calls_are_no_reply(
    driver: FewSockets, connection: Connection, stack: ExitStack
) -> None:
    caller = Caller(connection, driver.control_endpoint)
    stack.callback(caller.close)
    caller.next_id()
    before = time.monotonic()
    with answering(driver, lambda call: [pong(call, late_by=1)] * 3):
        assert caller.ask(Ping(id=caller.next_id(), session="us"), 0.1) is None
        assert 0.1 <= time.monotonic() - before < 1.0


def test_a_call_that_was_given_up_does_not_reach_a_driver_that_starts_later(
    driver: FewSockets, connection: Connection, stack: ExitStack
) -> None:
    caller = Caller(connection, driver.control_endpoint)
    stack.callback(caller.close)
    driver.control.unbind(driver.control_endpoint)
    assert caller.ask(Ping(id=caller.next_id(), session="us"), 0.05) is None
    driver.control.bind(driver.control_endpoint)
    assert not driver.control.poll(300)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (lambda _: [b"nonsense"], MessageError, "malformed message, expected a reply"),
        (lambda _: [encode(Failure(id=0, reason="what?"))], LinkError, "refused: what?"),
        (lambda call: [pong(call)], LinkError, "expected Welcome for an answer, got Pong"),
    ],
)
def test_a_driver_that_answers_nonsense_is_refused_and_can_be_tried_again(
    driver: FewSockets, answer: Callable[[Call], list[bytes]], error: type[Exception], words: str
) -> None:
    link = DriverLink(driver.control_endpoint, SPEC, timeout_s=5.0)
    for _ in range(2):
        with answering(driver, answer), refused(error, words):
            link.connect()


def welcome(driver: FewSockets, call: Call, **changes: object) -> bytes:
    offer = CameraOffer(width=160, height=120, fps=20, endpoint=driver.route.cameras[CAMERA])
    fields = {
        "protocol": 2,
        "embodiment": "so101",
        "driver": "few sockets",
        "boot": "boot",
        "joint_names": SPEC.joint_names,
        "command_hz": 100,
        "watchdog_s": 0.25,
        "cameras": {CAMERA: offer},
        "state_endpoint": driver.route.state,
        "command_endpoint": driver.route.command,
        "simulated": True,
    }
    return encode(Welcome(id=call.id, **(fields | changes)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": 1}, "it speaks protocol 1, expected 2"),
        ({"embodiment": "panda"}, "it drives 'panda', expected 'so101'"),
        ({"joint_names": ("a",)}, "its joints are a, expected shoulder_pan"),
        ({"command_hz": 50}, "it takes 50 commands/s, expected 100"),
        ({"cameras": {}}, "it has no camera 'third_person', only none"),
        ({"state_endpoint": "nonsense"}, "endpoint 'nonsense': expected"),
    ],
)
def test_a_driver_that_does_not_fit_is_refused_and_left(
    driver: FewSockets, changes: dict[str, object], words: str
) -> None:
    link = DriverLink(driver.control_endpoint, SPEC, timeout_s=5.0)
    said: list[Call] = []

    def goodbye(call: Call) -> list[bytes]:
        said.append(call)
        return [encode(Done(id=call.id))]

    with answering(driver, lambda call: [welcome(driver, call, **changes)], goodbye), refused(LinkError, words):
        link.connect()
    assert isinstance(said[0], Goodbye)
