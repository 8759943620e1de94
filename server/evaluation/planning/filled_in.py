"""A declared campaign, with the hash of everything that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy.manifest import MANIFEST_NAME, Manifest
from unichunk.server.evaluation.errors import BadCampaign, BundleChanged
from unichunk.server.evaluation.planning import folder as names
from unichunk.server.evaluation.planning.digest import policy_digest, require_same, robot_digest
from unichunk.server.evaluation.planning.photo import read_photo
from unichunk.server.evaluation.planning.places import located_robot
from unichunk.server.evaluation.planning.source_kind import SourceKind, located_source, source_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.server.evaluation.planning.campaign import Campaign, Layout, PolicyEntry
    from unichunk.server.evaluation.planning.photo import Photo
    from unichunk.server.remote.credentials import Credentials

T = TypeVar("T")


@dataclass(frozen=True)
class FilledIn:
    """A campaign that can be frozen.

    Attributes:
        campaign: With the hashes of policies, photos and robot; photos are named as their copies are.
        photos: The photos, each once.
    """

    campaign: Campaign
    photos: tuple[Photo, ...]


def fill_in(campaign: Campaign, folder: Path, credentials: Credentials | None = None) -> FilledIn:
    """Look at everything that a campaign names.

    Args:
        campaign: As it was declared.
        folder: Of its file: what relative paths start from.
        credentials: For lean servers.

    Raises:
        BadCampaign: The key path, and what is wrong there; one line.
        BundleChanged: Where a hash was declared and is another one.
    """
    robot = _at("robot", lambda: load_spec(located_robot(campaign.robot, folder)).name)
    robot_sha256 = _declared("robot", campaign.robot_sha256, robot_digest(campaign.robot, folder))
    policies = tuple(
        _policy(policy, f"policies[{i}]", folder, robot, credentials) for i, policy in enumerate(campaign.policies)
    )
    photos: dict[str, Photo] = {}
    layouts = tuple(_layout(layout, f"layouts[{i}].photo", folder, photos) for i, layout in enumerate(campaign.layouts))
    filled = msgspec.structs.replace(campaign, robot_sha256=robot_sha256, policies=policies, layouts=layouts)
    return FilledIn(filled, tuple(photos.values()))


def _policy(policy: PolicyEntry, path: str, folder: Path, robot: str, credentials: Credentials | None) -> PolicyEntry:
    kind = source_kind(policy.source)
    found = _at(f"{path}.source", lambda: policy_digest(policy, folder, robot, credentials))
    if kind is SourceKind.BUNDLE:
        _check_bundle(policy, path, Path(located_source(policy, folder)), robot)
    if kind is SourceKind.OPENPI_SERVER and policy.sha256:
        # Nobody can check it; it is what the campaign's author says.
        return policy
    return msgspec.structs.replace(policy, sha256=_declared(path, policy.sha256, found))


def _check_bundle(policy: PolicyEntry, path: str, bundle: Path, robot: str) -> None:
    # Its digest was computed: it was read and checked whole.
    manifest = msgspec.json.decode((bundle / MANIFEST_NAME).read_bytes(), type=Manifest)
    if robot not in manifest.robots:
        raise BadCampaign(f"campaign.{path}.source: {bundle.name} drives {', '.join(manifest.robots)}, not {robot}")
    rounds = [graph.refinement_rounds for graph in manifest.graphs.chunks]
    if policy.refinement_rounds not in rounds:
        known = ", ".join(map(str, rounds))
        raise BadCampaign(
            f"campaign.{path}.refinement_rounds: expected one of {known}, for which {bundle.name} has graphs, got "
            f"{policy.refinement_rounds}"
        )


def _layout(layout: Layout, path: str, folder: Path, photos: dict[str, Photo]) -> Layout:
    if not layout.photo:
        if layout.photo_sha256:
            raise BadCampaign(f"campaign.{path}: missing, but {path}_sha256 says what it must be")
        return layout
    photo = _at(path, lambda: read_photo(folder / Path(layout.photo).expanduser()))
    photos[photo.sha256] = photo
    sha256 = _declared(path, layout.photo_sha256, photo.sha256)
    return msgspec.structs.replace(layout, photo=f"{names.PHOTOS}/{photo.name}", photo_sha256=sha256)


def _declared(path: str, declared: str, found: str) -> str:
    """The hash; where one was declared it has to be that."""
    if declared:
        require_same(f"campaign.{path}", declared, found)
    return found


def _at(path: str, look: Callable[[], T]) -> T:
    """What is there; errors say where it is named."""
    try:
        return look()
    except BundleChanged:
        raise
    except UnichunkError as error:
        raise BadCampaign(f"campaign.{path}: {error}") from None
