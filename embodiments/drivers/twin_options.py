"""What a user may ask of a simulated robot beside what its spec says: options of several commands, defined once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from unichunk.embodiments.drivers.twin_conditions import TwinConditions


@dataclass(frozen=True)
class TwinOptions:
    """What is not ideal about a simulated robot, and what stands around it."""

    position_noise: float = 0.0
    """With --sim: standard deviation of measured joint positions, in rad."""
    velocity_noise: float = 0.0
    """With --sim: standard deviation of measured joint velocities, in rad/s."""
    command_delay_ms: float = 0.0
    """With --sim: how long commands are on their way to the servos."""
    command_loss: float = 0.0
    """With --sim: probability that a command does not get there."""
    image_noise: float = 0.0
    """With --sim: standard deviation of a pixel's colours, of 255."""
    objects: bool = False
    """With --sim: put the loose objects of the robot's spec on the table."""

    def conditions(self) -> TwinConditions:
        """What is not ideal about the simulated robot.

        Raises:
            DriverError: For a number that cannot be meant, one line.
        """
        return TwinConditions(
            position_noise=self.position_noise,
            velocity_noise=self.velocity_noise,
            command_delay_s=self.command_delay_ms / 1e3,
            command_loss=self.command_loss,
            image_noise=self.image_noise,
        )

    def asked(self) -> dict[str, float | bool]:
        """The options by name, for a report."""
        return dataclasses.asdict(self)

    def arguments(self) -> list[str]:
        """The options that are not their defaults, as a command line has them."""
        arguments: list[str] = []
        for option in dataclasses.fields(self):
            value = getattr(self, option.name)
            if value != option.default:
                arguments.append(f"--{option.name.replace('_', '-')}")
                arguments += [] if value is True else [repr(float(value))]
        return arguments
