"""Noise, delay and loss of the simulated robot, on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.embodiments.drivers.__main__ import main
from unichunk.embodiments.drivers.command_channel import CommandChannel
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.process import EXIT_FAILED, run_driver
from unichunk.embodiments.drivers.twin_conditions import IDEAL, TwinConditions
from unichunk.embodiments.drivers.twin_options import TwinOptions
from unichunk.server.driver_command import Driver

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"position_noise": -0.1}, ("position noise -0.1", "from 0 to 10 rad")),
        ({"velocity_noise": float("nan")}, ("velocity noise nan", "from 0 to 100 rad/s")),
        ({"command_delay_s": 11.0}, ("command delay 11", "from 0 to 10 s")),
        ({"command_loss": 1.5}, ("command loss 1.5", "from 0 to 1")),
        ({"image_noise": float("inf")}, ("image noise inf", "from 0 to 255")),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(conditions: dict[str, float], words: tuple[str, ...]) -> None:
    with refused(DriverError, *words):
        TwinConditions(**conditions)


def test_conditions_say_what_they_are() -> None:
    assert str(IDEAL) == ""
    assert str(TwinConditions(command_delay_s=0.02, command_loss=0.1)) == "command delay 20 ms, command loss 0.1"


@given(st.integers(0, 5), st.lists(st.booleans(), max_size=30))
def test_commands_arrive_in_order_after_the_delay(delay: int, sent: list[bool]) -> None:
    channel = CommandChannel(delay, 0.0, 0)
    for period in range(len(sent) + delay):
        if period < len(sent) and sent[period]:
            channel.send(np.array([float(period)]))
        arrived = channel.receive()
        expected = period - delay >= 0 and sent[period - delay]
        assert (arrived is not None) == expected
        if expected:
            assert arrived[0] == period - delay


def test_the_share_of_lost_commands_is_the_one_asked_for_and_the_same_for_the_same_seed() -> None:
    def arrived(seed: int) -> list[bool]:
        channel = CommandChannel(0, 0.2, seed)
        there = []
        for _ in range(5000):
            channel.send(np.zeros(1))
            there.append(channel.receive() is not None)
        return there

    assert np.mean(arrived(1)) == pytest.approx(0.8, abs=0.02)
    assert arrived(1) == arrived(1) != arrived(2)
    channel = CommandChannel(0, 1.0, 0)
    channel.send(np.zeros(1))
    assert channel.receive() is None


def test_conditions_of_a_real_robot_are_refused(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_driver("so101", endpoint, simulated=False, objects=True) == EXIT_FAILED
    assert "add --sim" in capsys.readouterr().err


@pytest.mark.simulator
class TestSimulatedDevice:
    """The twin under conditions."""

    def test_measurements_have_the_noise_asked_for_and_the_motion_has_none(self, spec: EmbodimentSpec) -> None:
        from unichunk.embodiments.drivers.simulated import SimulatedDevice

        noisy = SimulatedDevice(spec, 1, TwinConditions(position_noise=0.01, velocity_noise=0.1))
        ideal = SimulatedDevice(spec, 1)
        noisy.start()
        ideal.start()
        errors = np.array([np.subtract(noisy.step(), ideal.step()) for _ in range(400)])
        assert errors[:, 0].std() == pytest.approx(0.01, rel=0.1)
        assert errors[:, 1].std() == pytest.approx(0.1, rel=0.1)
        assert np.abs(errors.mean(axis=0)).max() < 0.03
        assert noisy.description == "MuJoCo twin, position noise 0.01 rad, velocity noise 0.1 rad/s"

    def test_commands_take_their_time(self, spec: EmbodimentSpec) -> None:
        from unichunk.embodiments.drivers.simulated import SimulatedDevice

        device = SimulatedDevice(spec, 1, TwinConditions(command_delay_s=0.05))
        ideal = SimulatedDevice(spec, 1)
        device.start()
        ideal.start()
        device.command(spec.rest + 0.1)
        device_at_rest = [device.step()[0] for _ in range(5)]
        ideal_at_rest = [ideal.step()[0] for _ in range(5)]
        np.testing.assert_array_equal(device_at_rest, ideal_at_rest)
        ideal.command(spec.rest + 0.1)
        np.testing.assert_array_equal(device.step()[0], ideal.step()[0])

    def test_nothing_on_the_way_moves_a_robot_that_was_brought_to_rest(self, spec: EmbodimentSpec) -> None:
        from unichunk.embodiments.drivers.simulated import SimulatedDevice

        device = SimulatedDevice(spec, 1, TwinConditions(command_delay_s=0.05))
        device.start()
        device.command(spec.rest + 0.1)
        device.rest()
        for _ in range(20):
            q, _ = device.step()
        np.testing.assert_allclose(q, spec.rest, atol=0.01)

    def test_pictures_have_the_noise_asked_for(self, spec: EmbodimentSpec) -> None:
        from unichunk.embodiments.drivers.simulated import SimulatedDevice

        pictures = []
        for noise in (0.0, 5.0):
            device = SimulatedDevice(spec, 1, TwinConditions(image_noise=noise))
            device.start()
            camera = device.cameras()["third_person"]
            camera.open()
            pictures.append(camera.capture().image)
            camera.close()
        assert pictures[1].dtype == np.uint8
        assert (pictures[1].astype(float) - pictures[0]).std() == pytest.approx(5.0, rel=0.1)


@pytest.mark.parametrize("command", ["unichunk driver", "python -m unichunk.embodiments.drivers"])
def test_the_commands_refuse_numbers_that_cannot_be_meant_in_one_line(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == "unichunk driver":
        status = Driver("so101", sim=True, twin=TwinOptions(command_loss=2.0))()
    else:
        status = main("so101", sim=True, twin=TwinOptions(command_loss=2.0))
    said = capsys.readouterr().err
    assert status == EXIT_FAILED
    assert said.endswith("command loss 2: expected from 0 to 1 as a probability\n")
    assert said.count("\n") == 1
