"""What ends a driver: its robot at rest, everything released, one line that says why."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zmq

from tests.drivers.fake_device import FakeCamera, FakeDevice
from tests.drivers.serving import eventually, serve
from tests.one_line import refused
from unichunk.embodiments.drivers.device import Capture
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.errors import EmbodimentError, LinkError

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


def wait_until_it_ended(device: FakeDevice) -> None:
    eventually(lambda: not device.running)


def test_a_failing_robot_is_brought_to_rest(spec: EmbodimentSpec, endpoint: str) -> None:
    device = FakeDevice(spec)
    words = "so101 driver stopped: its control loop failed with OSError: no answer from servo 3"
    with refused(DriverError, words), serve(spec, device, endpoint):
        device.fail_in_step = OSError("no answer from servo 3")
        wait_until_it_ended(device)
    assert device.resting == 1
    with serve(spec, FakeDevice(spec), endpoint) as served:
        served.make_link().connect()


def test_a_failing_camera_is_the_end_of_the_driver_and_the_robot_rests(spec: EmbodimentSpec, endpoint: str) -> None:
    device = FakeDevice(spec)
    with refused(DriverError, "its camera third_person failed: the cable is loose"), serve(spec, device, endpoint):
        device.fail_in_capture = EmbodimentError("the cable is loose")
        wait_until_it_ended(device)
    assert device.resting == 1


def test_a_camera_that_does_not_open_keeps_the_driver_from_starting(spec: EmbodimentSpec, endpoint: str) -> None:
    device = FakeDevice(spec)
    device.fail_in_open = EmbodimentError("no camera is plugged in")
    words = "its camera third_person failed: no camera is plugged in"
    with refused(DriverError, words), serve(spec, device, endpoint):
        pytest.fail("it started")
    assert not device.running


def test_a_camera_of_another_size_is_refused(
    spec: EmbodimentSpec, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCamera, "capture", lambda _: Capture(2**62, np.zeros((2, 3, 3), np.uint8)))
    device = FakeDevice(spec)
    words = "camera 'third_person' gives uint8 of shape (2, 3, 3), expected uint8 of shape (120, 160, 3)"
    with refused(DriverError, words), serve(spec, device, endpoint):
        wait_until_it_ended(device)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ipc:///nowhere/at/all.ipc", "cannot listen on ipc:///nowhere/at/all.ipc: No such file or directory"),
        ("tcp://192.0.2.1:5600", "cannot listen on tcp://192.0.2.1:5600"),
        ("udp://host:1", "expected ipc:///absolute/path or tcp://host:port"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_before_the_robot_is_touched(
    spec: EmbodimentSpec, address: str, words: str
) -> None:
    device = FakeDevice(spec)
    device.start = lambda: pytest.fail("the robot was touched")
    with pytest.raises((DriverError, LinkError)) as caught, serve(spec, device, address):
        pytest.fail("it started")
    assert words in str(caught.value)


def test_a_port_in_use_is_refused(spec: EmbodimentSpec, free_port: int) -> None:
    address = f"tcp://127.0.0.1:{free_port}"
    words = f"cannot listen on {address}: Address already in use"
    with serve(spec, FakeDevice(spec), address), refused(DriverError, words), serve(spec, FakeDevice(spec), address):
        pytest.fail("it started")


def test_any_free_port_will_do(spec: EmbodimentSpec) -> None:
    with serve(spec, FakeDevice(spec), "tcp://127.0.0.1:*") as served:
        assert served.endpoint.startswith("tcp://127.0.0.1:")
        link = served.make_link()
        link.connect()
        eventually(lambda: link.sensors.newest() is not None)


def test_bytes_that_are_not_even_zeromq_do_no_harm(spec: EmbodimentSpec, raw) -> None:
    with serve(spec, FakeDevice(spec), "tcp://127.0.0.1:*") as served:
        stream = raw(zmq.STREAM, served.endpoint)
        identity = stream.getsockopt(zmq.ROUTING_ID) if stream.poll(100) == 0 else stream.recv_multipart()[0]
        with suppress(zmq.ZMQError):
            stream.send_multipart([identity, b"GET / HTTP/1.1\r\n\r\n" * 10])
        served.make_link().connect()
