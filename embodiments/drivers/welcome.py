"""What a driver says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.embodiments.link.calls import CameraOffer, Welcome
from unichunk.embodiments.link.messages import PROTOCOL

if TYPE_CHECKING:
    from unichunk.embodiments.drivers.device import RobotDevice
    from unichunk.embodiments.drivers.sockets import DriverSockets
    from unichunk.embodiments.spec import EmbodimentSpec


def welcome_of(spec: EmbodimentSpec, device: RobotDevice, sockets: DriverSockets, boot: str) -> Welcome:
    """The welcome for every session of this start.

    Args:
        spec: The robot.
        device: Its driver.
        sockets: Where the streams are.
        boot: Random name of this start.
    """
    return Welcome(
        id=0,
        protocol=PROTOCOL,
        embodiment=spec.name,
        driver=device.description,
        boot=boot,
        joint_names=spec.joint_names,
        command_hz=spec.command_hz,
        watchdog_s=spec.watchdog_s,
        cameras={
            name: CameraOffer(width=camera.width, height=camera.height, fps=camera.fps, endpoint=endpoint)
            for (name, camera), endpoint in zip(spec.cameras.items(), sockets.camera_endpoints.values(), strict=True)
        },
        state_endpoint=sockets.state_endpoint,
        command_endpoint=sockets.command_endpoint,
        simulated=device.simulated,
    )
