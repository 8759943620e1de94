"""Which policy it is: the hash that is frozen, and compared again before a policy drives."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.catalogue import embodiment_names
from unichunk.embodiments.errors import UnknownEmbodiment
from unichunk.kinematics.names import instead_of
from unichunk.runtime.errors import BundleError, PolicyError, UnichunkError
from unichunk.runtime.policy.bundle import file_hash, read_manifest
from unichunk.runtime.policy.manifest import MANIFEST_NAME
from unichunk.server.evaluation.errors import BundleChanged
from unichunk.server.evaluation.planning.places import located_robot
from unichunk.server.evaluation.planning.served_digest import served_digest
from unichunk.server.evaluation.planning.source_kind import SourceKind, located_source, source_kind
from unichunk.server.serving.source import PYTHON

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign, PolicyEntry
    from unichunk.server.remote.credentials import Credentials

_SHOWN: Final = 12


def policy_digest(policy: PolicyEntry, folder: Path, robot: str, credentials: Credentials | None = None) -> str:
    """The hash of a policy as it is now.

    A bundle: SHA-256 of its `bundle.json`, which lists the hashes of all its other files; each is checked. A Python
    factory: of its module's source text. A lean server: of the `bundle.json` that it says it serves. An openpi server
    cannot be asked: of its address.

    Args:
        policy: Its entry.
        folder: Which a relative path starts from.
        robot: Name of the embodiment, which a lean server wants to know.
        credentials: For a lean server; None: the API key of the environment, if there is one.

    Returns:
        Hexadecimal.

    Raises:
        UnichunkError: Where there is no such policy; one line.
    """
    kind = source_kind(policy.source)
    if kind is SourceKind.BUNDLE:
        bundle = Path(located_source(policy, folder))
        read_manifest(bundle)
        return file_hash(bundle / MANIFEST_NAME)
    if kind is SourceKind.PYTHON:
        return file_hash(_module_file(policy.source))
    if kind is SourceKind.LEAN_SERVER:
        return served_digest(policy.source, robot, policy.refinement_rounds, credentials)
    return hashlib.sha256(policy.source.encode()).hexdigest()


def check_policies(campaign: Campaign, robot: str, credentials: Credentials | None = None) -> None:
    """Refuse policies that are not those whose hashes were frozen.

    Args:
        campaign: As `load_campaign` gives it.
        robot: Name of the embodiment.
        credentials: For lean servers.

    Raises:
        BundleChanged: For the first one that is another one, or is not there any more.
    """
    for number, policy in enumerate(campaign.policies):
        if source_kind(policy.source) is SourceKind.OPENPI_SERVER:
            continue
        try:
            found = policy_digest(policy, Path(), robot, credentials)
        except UnichunkError as error:
            raise BundleChanged(f"policies[{number}] ({policy.name}): {error}") from None
        require_same(f"policies[{number}] ({policy.name})", policy.sha256, found)


def check_robot(campaign: Campaign) -> None:
    """Refuse a robot's spec that is not the one that was frozen.

    Args:
        campaign: As `load_campaign` gives it.

    Raises:
        BundleChanged: Where it is another one, or is not there any more.
    """
    try:
        found = robot_digest(campaign.robot, Path())
    except UnichunkError as error:
        raise BundleChanged(f"robot: {error}") from None
    require_same(f"robot ({campaign.robot})", campaign.robot_sha256, found)


def require_same(what: str, frozen: str, found: str) -> None:
    """Refuse something whose hash is not the one that was frozen.

    Raises:
        BundleChanged: With both.
    """
    if found != frozen:
        raise BundleChanged(
            f"{what}: SHA-256 is {found[:_SHOWN]}..., the campaign froze {frozen[:_SHOWN]}...: it was changed; put the "
            "frozen one back, or plan a new campaign"
        )


def robot_digest(robot: str, folder: Path) -> str:
    """SHA-256 of a robot's spec, the file's bytes; the model and meshes that it names are not part of it.

    Args:
        robot: Name of a shipped embodiment, or the path of a spec.
        folder: Which a relative path starts from.

    Raises:
        UnknownEmbodiment: Where there is none of this name.
        BundleError: Where the file cannot be read.
    """
    place = located_robot(robot, folder)
    if place == robot and "/" not in robot:
        if robot not in embodiment_names():
            raise UnknownEmbodiment(f"unknown embodiment {robot!r}: {instead_of(robot, embodiment_names())}")
        content = (resources.files("unichunk.embodiments") / "specs" / f"{robot}.json").read_bytes()
        return hashlib.sha256(content).hexdigest()
    try:
        return file_hash(Path(place))
    except OSError as error:
        raise BundleError(f"{place}: cannot be read ({error.strerror}); expected the spec of a robot") from None


def _module_file(source: str) -> Path:
    """The file of a factory's module; the module is not run, the packages that it is in are."""
    module, _, factory = source.removeprefix(PYTHON).partition(":")
    if not module or not factory or module.startswith("."):
        raise PolicyError(f"{source}: expected {PYTHON}package.module:factory")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise PolicyError(f"{source}: no module {module!r} ({error}); is it on PYTHONPATH?") from None
    if spec is None or spec.origin is None or not spec.has_location:
        raise PolicyError(f"{source}: no module {module!r} with a file; is it on PYTHONPATH?")
    return Path(spec.origin)
