"""Reading what was frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from unichunk.runtime.key_path import with_key_path
from unichunk.server.evaluation.errors import NotFound, Sealed, Tampered
from unichunk.server.evaluation.planning import folder as names
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.planning.places import Places, located
from unichunk.server.evaluation.planning.plan import FORMAT, Plan
from unichunk.server.evaluation.planning.seal import open_policy
from unichunk.server.evaluation.planning.service_secrets import ServiceSecrets
from unichunk.server.evaluation.planning.stream import KEY_BYTES
from unichunk.server.private_file import PrivateFileError, read_private

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.server.evaluation.planning.campaign import Campaign

_MAX_PLAN_BYTES = 64 << 20

T = TypeVar("T")


def load_plan(folder: Path) -> Plan:
    """The plan of a campaign's folder.

    Raises:
        NotFound: Where there is none.
        Tampered: Where it is not as it was written; whether it is what was committed to is another question.
    """
    path = folder / names.PLAN
    content = read_document(path)
    plan = parse_document(content, Plan, path)
    if canonical_json(plan) + b"\n" != content:
        raise Tampered(f"{path}: not as `unichunk eval plan` wrote it (not canonical JSON); fetch the original again")
    _check_numbers(plan, path)
    return plan


def load_secrets(folder: Path) -> ServiceSecrets:
    """What the service has to know.

    Raises:
        NotFound, Sealed: Where it is not there, or may not be read.
        Tampered: Where it is not what was written, or belongs to another plan.
    """
    path = folder / names.SERVICE
    if not path.exists():
        raise NotFound(f"{path}: not there; only the machine that runs the campaign has it")
    try:
        content, _ = read_private(path, "the service's secrets")
    except PrivateFileError as error:
        raise Sealed(str(error)) from None
    secrets = parse_document(content, ServiceSecrets, path)
    for name in secrets.__struct_fields__:
        if len(getattr(secrets, name)) != KEY_BYTES:
            raise Tampered(f"{path}: {name}: expected {KEY_BYTES} bytes, got {len(getattr(secrets, name))}")
    public = Ed25519PrivateKey.from_private_bytes(secrets.signing_key).public_key().public_bytes_raw().hex()
    expected = load_plan(folder).signing_key
    if public != expected:
        raise Tampered(
            f"{path}: its signing key's public half is {public[:12]}..., the plan says {expected[:12]}...: it belongs "
            "to another campaign"
        )
    return secrets


def policy_of(plan: Plan, secrets: ServiceSecrets, slot: int) -> int:
    """Which policy a slot is, as its index among the campaign's policies.

    Args:
        plan: The plan.
        secrets: Of the service.
        slot: The slot's number.

    Raises:
        NotFound: Where there is no such slot.
        Tampered: Where its seal does not open.
    """
    if not 0 <= slot < len(plan.slots):
        raise NotFound(f"slot {slot}: expected 0 to {len(plan.slots) - 1}")
    policy = open_policy(secrets.map_key, plan.campaign_id, plan.slots[slot])
    if policy >= len(plan.campaign.policies):
        raise Tampered(f"slot {slot}: its seal names policy {policy}, the plan has {len(plan.campaign.policies)}")
    return policy


def load_campaign(folder: Path) -> Campaign:
    """The frozen campaign with absolute paths for bundles and the robot's spec, on the machine that planned it.

    Photos are copied into the folder: `folder / layout.photo`.

    Raises:
        NotFound, Sealed: Where it is not known what relative paths start from.
        Tampered: Where a file is not as it was written.
    """
    path = folder / names.PLACES
    places = parse_document(read_document(path), Places, path)
    return located(load_plan(folder).campaign, places)


def read_document(path: Path) -> bytes:
    """The content of a file of a campaign's folder.

    Raises:
        NotFound: Where there is none.
        Sealed: Where this user may not read it.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MAX_PLAN_BYTES)
    except PermissionError:
        raise Sealed(f"{path}: may not be read by this user; only the one who planned the campaign may") from None
    except OSError as error:
        raise NotFound(
            f"{path}: {error.strerror}; expected a folder that `unichunk eval plan CAMPAIGN.toml --out DIR` made"
        ) from None


def parse_document(content: bytes, schema: type[T], path: Path) -> T:
    """A document of a campaign's folder.

    Raises:
        Tampered: Where it is not of this shape.
    """
    document: Any = None
    try:
        document = msgspec.json.decode(content)
        if isinstance(document, dict) and document.get("format", FORMAT) != FORMAT:
            raise Tampered(
                f"{path}: format: expected {FORMAT}, got {document['format']!r}; use the unichunk version that wrote it"
            )
        return msgspec.json.decode(content, type=schema)
    except msgspec.ValidationError as error:
        raise Tampered(f"{path}: {with_key_path(error, document, schema, path.stem)}; it was changed") from None
    except (ValueError, RecursionError) as error:
        raise Tampered(f"{path}: not JSON ({error}); it was changed or cut off") from None


def _check_numbers(plan: Plan, path: Path) -> None:
    layouts = {layout.name for layout in plan.campaign.layouts}
    for number, slot in enumerate(plan.slots):
        if slot.slot != number:
            raise Tampered(f"{path}: slots[{number}].slot: expected {number}, got {slot.slot}; it was changed")
        if slot.layout not in layouts:
            raise Tampered(f"{path}: slots[{number}].layout: {slot.layout!r} is no layout of it; it was changed")
