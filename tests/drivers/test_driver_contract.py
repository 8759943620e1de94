"""What every driver must do, whatever its device: seen through a real link, and through raw sockets."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import zmq

from tests.drivers.serving import eventually
from unichunk.embodiments.errors import LinkError
from unichunk.embodiments.link.calls import CALLS, REPLIES, Failure, Ping, Welcome
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.messages import Command

if TYPE_CHECKING:
    from tests.drivers.serving import Served
    from unichunk.embodiments.link import DriverLink


@pytest.fixture
def link(served: Served) -> DriverLink:
    link = served.make_link()
    link.connect()
    return link


def count(link: DriverLink, name: str) -> int:
    return link.control.status().counters[name]


def send_raw(link: DriverLink, **changes: object) -> None:
    """Send a command that differs from a good one."""
    fields = {
        "session": link.session,
        "sequence": 1_000_000,
        "tick": 0,
        "stamp_ns": time.monotonic_ns(),
        "q": np.zeros(6),
    }
    link.commands._socket.send(encode(Command(**(fields | changes))))


def follow(link: DriverLink, q: np.ndarray, duration_s: float) -> None:
    """Lead the robot from where it stands to a pose in half of the time, and keep it there."""
    start, begin = state(link).q, time.monotonic()
    while (share := (time.monotonic() - begin) / duration_s) < 1.0:
        assert link.commands.send(0, start + min(1.0, 2.0 * share) * (q - start))
        time.sleep(0.01)


def state(link: DriverLink):
    eventually(lambda: link.states.newest() is not None)
    return link.states.newest()


def assert_still(link: DriverLink) -> None:
    time.sleep(0.2)
    held = state(link).q
    time.sleep(0.1)
    assert np.allclose(state(link).q, held, atol=0.01)


def test_connecting_tells_what_is_there(served, link):
    link.close()
    info = link.connect()
    assert info.simulated
    assert info.driver == served.device.description
    assert (info.command_hz, info.watchdog_s) == (served.spec.command_hz, served.spec.watchdog_s)
    assert info.round_trip_s > 0
    assert info.clock_offset_s == 0


def test_a_driver_of_another_robot_refuses(served):
    other = msgspec.structs.replace(served.spec, name="panda")
    with pytest.raises(LinkError, match=r"refused: this driver drives 'so101', the client expects 'panda'"):
        served.make_link(other).connect()


def test_other_joint_names_do_not_fit(served):
    arm = served.spec.groups["arm_joints"]
    swapped = msgspec.structs.replace(arm, joints=(arm.joints[1], arm.joints[0], *arm.joints[2:]))
    other = msgspec.structs.replace(served.spec, groups={**served.spec.groups, "arm_joints": swapped})
    with pytest.raises(LinkError, match=r"its joints are shoulder_pan, .*, expected shoulder_lift"):
        served.make_link(other).connect()
    served.make_link().connect()


def test_another_image_size_does_not_fit(served):
    camera = msgspec.structs.replace(served.spec.cameras["third_person"], width=320, height=240)
    other = msgspec.structs.replace(served.spec, cameras={"third_person": camera})
    with pytest.raises(LinkError, match=r"camera 'third_person' is 160x120, expected 320x240"):
        served.make_link(other).connect()


def test_a_second_session_is_refused_until_the_first_is_gone(served, link):
    second = served.make_link()
    link.control.ping()
    with pytest.raises(LinkError, match=r"another session commands this robot and was heard 0\.\d s ago"):
        second.connect()
    link.close()
    second.connect()


def test_a_silent_session_can_be_replaced_and_is_then_ignored(served, link):
    second = served.make_link()
    time.sleep(1.1)
    second.connect()
    assert link.commands.send(0, served.spec.rest)
    eventually(lambda: count(second, "foreign") == 1)
    assert count(second, "accepted") == 0
    eventually(lambda: link.states.newest() and not link.states.commanding)
    with pytest.raises(LinkError, match="refused: another session commands"):
        link.reconnect(1.0)


def test_commands_move_the_robot_and_states_say_so(served, link):
    before = state(link)
    target = before.q.copy()
    target[0] += 0.2
    follow(link, target, 1.0)
    after = state(link)
    assert after.q[0] == pytest.approx(target[0], abs=0.02)
    assert after.sequence > before.sequence
    assert after.stamp_ns > before.stamp_ns
    assert abs(time.monotonic_ns() - after.stamp_ns) < 60e9
    assert not after.watchdog
    assert link.states.commanding
    assert 0 < link.states.last_command_sequence <= link.commands.sequence


def test_observations_have_frames_of_the_right_size_and_the_state_next_to_them(served, link):
    eventually(lambda: link.sensors.newest() is not None)
    first = link.sensors.newest()
    assert link.sensors.wait(30.0)
    second = link.sensors.newest()
    frame = second.frames["third_person"]
    assert frame.image.shape == (120, 160, 3)
    assert frame.image.dtype == np.uint8
    assert frame.stamp_ns == second.stamp_ns > first.stamp_ns
    assert frame.sequence > first.frames["third_person"].sequence
    assert abs(second.state.stamp_ns - second.stamp_ns) < 1e9


def test_without_commands_the_robot_comes_to_rest_until_the_session_says_hello_again(served, link):
    there = state(link).q + np.array([0.09, 0, 0, 0, 0, 0])
    assert link.commands.send(0, there)
    eventually(lambda: state(link).watchdog)
    assert count(link, "watchdog_trips") == 1
    assert link.control.status().watchdog
    assert_still(link)
    link.commands.send(0, there)
    eventually(lambda: count(link, "suspended") >= 1)
    assert_still(link)
    assert link.reconnect(30.0) is not None
    eventually(lambda: not state(link).watchdog)
    before = count(link, "accepted")
    follow(link, state(link).q, 0.1)
    eventually(lambda: count(link, "accepted") > before)
    assert count(link, "watchdog_trips") == 1


def test_a_stream_that_does_not_begin_where_the_robot_stands_moves_nothing(served, link):
    before = state(link).q
    for _ in range(5):
        link.commands.send(0, before + np.array([1.9, 0, 0, 0, 0, 0]))
    eventually(lambda: state(link).watchdog)
    assert np.allclose(state(link).q, before, atol=0.01)
    counters = link.control.status().counters
    assert (counters["broken"], counters["watchdog_trips"]) == (1, 1)
    assert link.reconnect(30.0) is not None
    follow(link, before + np.array([0.3, 0, 0, 0, 0, 0]), 1.0)
    assert state(link).q[0] == pytest.approx(before[0] + 0.3, abs=0.02)


def test_no_watchdog_before_the_first_command(served, link):
    time.sleep(2 * served.spec.watchdog_s)
    assert not state(link).watchdog
    assert count(link, "watchdog_trips") == 0


def test_goodbye_releases_and_rests(served, link):
    there = state(link).q + np.array([0.09, 0, 0, 0, 0, 0])
    assert link.commands.send(0, there)
    eventually(lambda: count(link, "accepted") == 1)
    assert link.control.goodbye(1.0)
    eventually(lambda: link.control.status().holder == "")
    eventually(lambda: not link.states.commanding or link.states.newest() is None)
    assert count(link, "watchdog_trips") == 0
    assert_still(link)
    assert link.commands.send(0, there)
    eventually(lambda: count(link, "foreign") == 1)
    assert_still(link)


def test_stop_holds_until_another_session_takes_over(served, link):
    q = state(link).q
    follow(link, q, 0.1)
    link.control.stop()
    eventually(lambda: link.states.newest().stopped)
    assert not link.states.newest().watchdog
    link.commands.send(0, q)
    eventually(lambda: count(link, "suspended") >= 1)
    with pytest.raises(LinkError, match="told to stop"):
        link.reconnect(1.0)
    assert link.states.newest().stopped
    link.close()
    other = served.make_link()
    other.connect()
    eventually(lambda: other.states.newest() is not None and not other.states.newest().stopped)
    follow(other, q, 0.1)
    eventually(lambda: count(other, "accepted") > 0)


@pytest.mark.parametrize(
    ("changes", "counter"),
    [
        ({"q": np.array([0, np.nan, 0, 0, 0, 0])}, "non_finite"),
        ({"q": np.array([0, 0, 0, -np.inf, 0, 0])}, "non_finite"),
        ({"q": np.zeros(5)}, "wrong_shape"),
        ({"q": np.zeros((6, 1))}, "wrong_shape"),
        ({"q": np.zeros(6, np.float32)}, "wrong_shape"),
        ({"session": "somebody"}, "foreign"),
        ({"sequence": 1}, "stale"),
        ({"stamp_ns": 1}, "untimely"),
        ({"stamp_ns": 2**62}, "untimely"),
    ],
)
def test_bad_commands_are_counted_and_ignored(served, link, changes, counter):
    q = state(link).q
    send_raw(link, sequence=10, q=q)
    eventually(lambda: count(link, "accepted") == 1)
    send_raw(link, **changes)
    eventually(lambda: count(link, counter) == 1)
    assert count(link, "accepted") == 1
    assert np.allclose(state(link).q, q, atol=0.02)


def test_positions_beyond_the_limits_are_clamped(served, link):
    q = state(link).q.copy()
    q[5] = served.spec.limits.upper[5] + 1.0
    follow(link, q, 2.0)
    assert count(link, "clamped") > 0
    assert state(link).q[5] == pytest.approx(served.spec.limits.upper[5], abs=0.02)


def test_random_bytes_on_every_socket_leave_it_alive(served, link, raw):
    seeded = random.Random(0)
    route = link._parts.connection.route
    sockets = []
    for kind, address in (
        (zmq.DEALER, served.endpoint),
        (zmq.PUSH, route.command),
        (zmq.XSUB, route.state),
        (zmq.XSUB, route.cameras["third_person"]),
    ):
        sockets.append(raw(kind, address))
    good = encode(Ping(id=1, session="x"))
    for _ in range(100):
        junk = seeded.randbytes(seeded.randrange(200))
        cut = good[: seeded.randrange(len(good))]
        for socket in sockets:
            socket.send(junk)
            socket.send_multipart([junk, cut, b""])
    eventually(lambda: count(link, "malformed_calls") == 200)
    eventually(lambda: count(link, "malformed") >= 100)
    follow(link, state(link).q, 0.1)
    assert count(link, "accepted") > 0
    assert link.control.ping() > 0


def test_a_malformed_call_is_answered(served, raw):
    socket = raw(zmq.REQ, served.endpoint)
    socket.send(b"\x00hello")
    assert socket.poll(30000)
    reply = REPLIES.decode(socket.recv())
    assert isinstance(reply, Failure)
    assert reply.id == 0
    assert "malformed message, expected a call" in reply.reason


def test_a_message_that_is_too_large_costs_its_sender_the_connection(served, link, raw):
    socket = raw(zmq.DEALER, served.endpoint)
    socket.send(bytes(10 * 2**20))
    assert link.control.ping() > 0
    assert count(link, "malformed_calls") == 0


def test_a_client_that_dies_between_request_and_reply_does_no_harm(served, link, raw):
    for _ in range(20):
        socket = raw(zmq.DEALER, served.endpoint)
        socket.send(encode(Ping(id=1, session="x")))
        socket.close(linger=50)
    assert link.control.ping() > 0


def test_another_protocol_version_is_refused(served, raw):
    socket = raw(zmq.DEALER, served.endpoint)
    hello = {"call": "hello", "id": 7, "session": "s", "protocol": 99, "client": "c", "embodiment": "so101"}
    assert CALLS.decode(msgspec.msgpack.encode(hello)).protocol == 99
    socket.send(msgspec.msgpack.encode(hello))
    assert socket.poll(30000)
    assert "speaks protocol 2, the client 99" in REPLIES.decode(socket.recv()).reason
    socket.send(msgspec.msgpack.encode(hello | {"protocol": 2}))
    assert socket.poll(30000)
    assert isinstance(REPLIES.decode(socket.recv()), Welcome)


def test_a_task_is_measured_for_the_session_that_holds_the_robot(served, link):
    with pytest.raises(LinkError, match="no task to end"):
        link.control.task_end()
    assert link.control.task_begin("follow the red block") == ""
    follow(link, state(link).q, 0.3)
    assert link.control.task_end(60.0)["duration_s"] > 0
    link.control.goodbye(1.0)
    with pytest.raises(LinkError, match="does not hold the robot"):
        link.control.task_begin("follow the red block")


def test_a_device_is_told_what_to_do_and_says_why_it_measures_nothing(served, link, device):
    clear, unclear = "follow the BLUE block", "follow the red block or the blue one"
    if device.description == "fake":
        device.unmeasured = "cannot tell"
    told = link.control.task_begin(unclear)
    assert "\n" not in told
    if device.description == "fake":
        assert (told, device.instruction) == ("cannot tell", unclear)
        return
    assert "expected one of the words red or blue, got both" in told
    assert "not measured" in told
    follow(link, state(link).q, 0.1)
    assert link.control.task_end(60.0) == {}
    with pytest.raises(LinkError, match="no task to end"):
        link.control.task_end()
    # Nothing stays: the next task is measured, and ends a task that was never ended.
    assert link.control.task_begin("dance " * 1000) != ""
    assert link.control.task_begin(clear) == ""
    follow(link, state(link).q, 0.1)
    assert link.control.task_end(60.0)["other_error_m"] > 0


def test_status_counts_what_was_done(served, link):
    follow(link, state(link).q, 0.2)
    eventually(lambda: link.control.status().frames["third_person"] > 0)
    status = link.control.status()
    assert status.holder == link.session
    assert 0 < status.counters["accepted"] <= link.commands.sequence
    assert status.counters["calls"] >= 10
