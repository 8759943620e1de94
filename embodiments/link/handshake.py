"""What a driver says about itself, checked against what the runtime expects of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.embodiments.errors import LinkError
from unichunk.embodiments.link.connection import Route
from unichunk.embodiments.link.endpoints import reachable
from unichunk.embodiments.link.messages import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.embodiments.link.calls import Welcome
    from unichunk.embodiments.link.clock import Clock
    from unichunk.embodiments.spec import EmbodimentSpec


@dataclass(frozen=True)
class DriverInfo:
    """The driver at the other end.

    Attributes:
        driver: What it is, for people.
        boot: Random, new at every start of the driver.
        simulated: True where no real robot moves.
        command_hz: Commands it takes a second.
        watchdog_s: After this long without a command it brings the robot to rest, [s].
        round_trip_s: Shortest round trip of a call, [s].
        clock_offset_s: Its monotonic clock minus ours, [s].
    """

    driver: str
    boot: str
    simulated: bool
    command_hz: int
    watchdog_s: float
    round_trip_s: float
    clock_offset_s: float

    @classmethod
    def of(cls, welcome: Welcome, clock: Clock) -> DriverInfo:
        """From the welcome and the measured clock."""
        return cls(
            driver=welcome.driver,
            boot=welcome.boot,
            simulated=welcome.simulated,
            command_hz=welcome.command_hz,
            watchdog_s=welcome.watchdog_s,
            round_trip_s=clock.round_trip_ns / 1e9,
            clock_offset_s=clock.offset_ns / 1e9,
        )


def check_welcome(welcome: Welcome, spec: EmbodimentSpec, endpoint: str) -> None:
    """Check that this driver moves the robot that the spec describes.

    Raises:
        LinkError: One line with the first difference.
    """
    for complaint in _complaints(welcome, spec):
        raise LinkError(f"the driver on {endpoint} does not fit: {complaint}")


def route_of(welcome: Welcome, endpoint: str) -> Route:
    """Where the driver's streams are, for this client.

    Raises:
        LinkError: Where the driver announced something that is no address.
    """
    return Route(
        boot=welcome.boot,
        command=reachable(welcome.command_endpoint, endpoint),
        state=reachable(welcome.state_endpoint, endpoint),
        cameras={name: reachable(offer.endpoint, endpoint) for name, offer in welcome.cameras.items()},
    )


def _complaints(welcome: Welcome, spec: EmbodimentSpec) -> Iterator[str]:
    if welcome.protocol != PROTOCOL:
        yield f"it speaks protocol {welcome.protocol}, expected {PROTOCOL}; use the same unichunk version on both sides"
    if welcome.embodiment != spec.name:
        yield f"it drives {welcome.embodiment!r}, expected {spec.name!r}; choose another driver or another --embodiment"
    if welcome.joint_names != spec.joint_names:
        yield f"its joints are {', '.join(welcome.joint_names)}, expected {', '.join(spec.joint_names)}"
    if welcome.command_hz != spec.command_hz:
        yield f"it takes {welcome.command_hz} commands/s, expected {spec.command_hz}"
    for name, camera in spec.cameras.items():
        offer = welcome.cameras.get(name)
        if offer is None:
            yield f"it has no camera {name!r}, only {', '.join(welcome.cameras) or 'none'}"
        elif (offer.width, offer.height) != (camera.width, camera.height):
            yield f"camera {name!r} is {offer.width}x{offer.height}, expected {camera.width}x{camera.height}"
