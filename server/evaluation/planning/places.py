"""Where on this machine the things are that a campaign names by relative paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from unichunk.server.evaluation.planning.source_kind import located_source

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign


class Places(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of no importance to anybody else, so it is no part of the plan: paths tell whose machine it was.

    Attributes:
        campaign_folder: Absolute path of the folder that the campaign file lay in.
    """

    campaign_folder: str


def located(campaign: Campaign, places: Places) -> Campaign:
    """The campaign with absolute paths for bundles and the robot's spec.

    Args:
        campaign: As it was frozen.
        places: Of this machine.
    """
    folder = Path(places.campaign_folder)
    policies = tuple(
        msgspec.structs.replace(policy, source=located_source(policy, folder)) for policy in campaign.policies
    )
    return msgspec.structs.replace(campaign, policies=policies, robot=located_robot(campaign.robot, folder))


def located_robot(robot: str, folder: Path) -> str:
    """The robot's name, or the absolute path of its spec.

    Args:
        robot: A name, or a path: whatever has a slash or ends in `.json`.
        folder: Which relative paths start from.
    """
    return str(folder / Path(robot).expanduser()) if "/" in robot or robot.endswith(".json") else robot
