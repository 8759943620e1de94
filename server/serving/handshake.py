"""What a server says of a policy's robot before any request: openpi's metadata, GR00T's modality configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.server.wire.openpi import pack

if TYPE_CHECKING:
    from unichunk.server.serving.robot_keys import RobotKeys


def handshake(keys: RobotKeys) -> bytes:
    """The metadata frame of openpi's protocol, packed.

    RoboArena's clients make a dataclass of it that has its six fields and no others, so under a mapping that is for
    them alone there is nothing else in it.
    """
    settings = keys.openpi.mapping.roboarena
    roboarena = _roboarena(keys)
    if settings is not None and settings.alone:
        return pack(roboarena)
    return pack(
        {
            "policy": keys.manifest.name,
            "robot": keys.embodiment,
            "action_horizon": keys.manifest.chunk_length,
            "action_dim": len(keys.openpi.columns),
            "action_columns": keys.openpi.columns,
            "action_hz": keys.robot.action_hz,
            "max_delay": keys.robot.max_delay,
            "state_time": keys.manifest.state_time,
            "refinement_rounds": keys.refinement_rounds,
            **roboarena,
            "example_observation": keys.openpi.example(),
        }
    )


def modality(keys: RobotKeys) -> dict[str, dict[str, Any]]:
    """GR00T's modality configuration, plain data: modality -> `delta_indices` and `modality_keys`."""
    client = keys.groot
    now = [0]
    names = {
        "video": [image.at[-1] for image in client.images.values()],
        "state": [vector.at[-1] for vector in client.vectors],
        "action": list(client.action_names),
        "language": [client.mapping.prompt[0][-1]],
    }
    steps = {"action": list(range(keys.manifest.chunk_length))}
    return {
        name: {
            "delta_indices": steps.get(name, now),
            "modality_keys": [key.removeprefix(f"{name}.") for key in found],
        }
        for name, found in names.items()
    }


def _roboarena(keys: RobotKeys) -> dict[str, Any]:
    """RoboArena's description of a server, where the mapping is for its clients."""
    settings = keys.openpi.mapping.roboarena
    if settings is None:
        return {}
    wrists = [image.wrist for image in keys.openpi.images.values()]
    return {
        "image_resolution": settings.image_resolution,
        "needs_wrist_camera": any(wrists),
        "n_external_cameras": wrists.count(False),
        "needs_stereo_camera": False,
        "needs_session_id": False,
        "action_space": settings.action_space,
    }
