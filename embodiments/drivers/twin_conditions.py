"""What is not ideal about a simulated robot, on request: noise, delay and loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from unichunk.embodiments.drivers.errors import DriverError


@dataclass(frozen=True)
class TwinConditions:
    """All zero by default. Noise is normally distributed and independent from sample to sample.

    Attributes:
        position_noise: Standard deviation of measured joint positions, [rad].
        velocity_noise: Of measured joint velocities, [rad/s].
        command_delay_s: From the driver to the servos, [s], rounded to command periods.
        command_loss: Probability that a command does not get there.
        image_noise: Standard deviation of a pixel's colours, of 255.

    Raises:
        DriverError: For a number that cannot be meant, one line.
    """

    position_noise: float = 0.0
    velocity_noise: float = 0.0
    command_delay_s: float = 0.0
    command_loss: float = 0.0
    image_noise: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, value, most, unit in (
            ("position noise", self.position_noise, 10.0, "rad"),
            ("velocity noise", self.velocity_noise, 100.0, "rad/s"),
            ("command delay", self.command_delay_s, 10.0, "s"),
            ("command loss", self.command_loss, 1.0, "as a probability"),
            ("image noise", self.image_noise, 255.0, "of 255"),
        ):
            if not 0.0 <= value <= most:
                raise DriverError(f"{name} {value:g}: expected from 0 to {most:g} {unit}")

    def __str__(self) -> str:
        """What is not zero, for people; empty where all is."""
        said = (
            (self.position_noise, f"position noise {self.position_noise:g} rad"),
            (self.velocity_noise, f"velocity noise {self.velocity_noise:g} rad/s"),
            (self.command_delay_s, f"command delay {self.command_delay_s * 1e3:g} ms"),
            (self.command_loss, f"command loss {self.command_loss:g}"),
            (self.image_noise, f"image noise {self.image_noise:g}"),
        )
        return ", ".join(text for value, text in said if value)


IDEAL: Final = TwinConditions()
"""Nothing wrong."""
