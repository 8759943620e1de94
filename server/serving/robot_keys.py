"""Everything that decoding and answering the requests of one robot needs, fitted together once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.wire.client_keys import ClientKeys
from unichunk.server.wire.errors import MappingError
from unichunk.server.wire.lean_rows import RowCodec

if TYPE_CHECKING:
    from unichunk.runtime.policy.manifest import Manifest
    from unichunk.server.wire.mapping import Mapping


class RobotKeys:
    """What the clients of one robot send and get.

    A mapping holds for the clients whose protocol it names; those of the other one use the policy's own keys.

    Args:
        manifest: The bundle's description.
        embodiment: One of its robots.
        mapping: What clients call things; None: as the policy does.
        digest: SHA-256 of `bundle.json`, which lean answers carry.
        refinement_rounds: N.

    Attributes:
        manifest, embodiment, digest, refinement_rounds: As given.
        robot: The robot's entry in the manifest.
        openpi, groot: The keys of both protocols' clients.
        rows: How rows travel to and from lean clients.

    Raises:
        MappingError: Where the mapping does not fit the robot; one line.
    """

    def __init__(
        self,
        manifest: Manifest,
        embodiment: str,
        mapping: Mapping | None = None,
        *,
        digest: str = "",
        refinement_rounds: int = 0,
    ) -> None:
        self.manifest = manifest
        self.embodiment = embodiment
        self.robot = manifest.robots[embodiment]
        self.digest = digest
        self.refinement_rounds = refinement_rounds
        protocol = None if mapping is None else mapping.protocol
        self.openpi = ClientKeys(manifest, embodiment, mapping if protocol == "openpi" else None, "openpi")
        self.groot = ClientKeys(manifest, embodiment, mapping if protocol == "groot" else None, "groot")
        self.rows = RowCodec(manifest, self.robot)


def robot_keys(
    manifest: Manifest, mapping: Mapping | None, *, first: str, digest: str = "", refinement_rounds: int = 0
) -> dict[str, RobotKeys]:
    """The keys of all robots of a bundle, `first` in front.

    A mapping is made for one kind of robot. It must fit `first`; where it does not fit another one, that robot's
    clients use the policy's own keys.

    Args:
        manifest: The bundle's description.
        mapping: What clients call things; None: as the policy does.
        first: The robot of clients that name none; one of the manifest's.
        digest: SHA-256 of `bundle.json`.
        refinement_rounds: N.

    Raises:
        MappingError: Where the mapping does not fit the first robot.
    """
    keys = {first: RobotKeys(manifest, first, mapping, digest=digest, refinement_rounds=refinement_rounds)}
    for name in manifest.embodiments:
        if name == first:
            continue
        try:
            keys[name] = RobotKeys(manifest, name, mapping, digest=digest, refinement_rounds=refinement_rounds)
        except MappingError:
            keys[name] = RobotKeys(manifest, name, digest=digest, refinement_rounds=refinement_rounds)
    return keys
