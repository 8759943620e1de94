"""From a campaign's file to a checked campaign."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.server.evaluation.errors import BadCampaign
from unichunk.server.evaluation.planning.campaign import Campaign
from unichunk.server.evaluation.planning.campaign_checks import complaints, text_complaints
from unichunk.server.evaluation.planning.campaign_complaint import campaign_complaint

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_BYTES: Final = 1 << 20
"""Longest campaign file."""

_SUFFIXES: Final = (".toml", ".json")


def read_campaign(path: Path) -> Campaign:
    """Read a declared campaign; files that it names are not looked at.

    Args:
        path: TOML or JSON, by its ending.

    Raises:
        BadCampaign: The key path, the value, what was expected; one line.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise BadCampaign(f"{path}: expected a file that ends in .toml or .json")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadCampaign(f"{path}: cannot be read ({reason}); expected a campaign as TOML or JSON") from None
    if len(content) > MAX_BYTES:
        raise BadCampaign(f"{path}: expected at most {MAX_BYTES} bytes; is it a campaign?")
    return parse_campaign(content, str(path))


def parse_campaign(content: bytes, origin: str) -> Campaign:
    """Parse and check a declared campaign.

    Args:
        content: Of the file.
        origin: What to call it in messages; JSON where it ends so, else TOML.

    Raises:
        BadCampaign: The key path, the value, what was expected; one line.
    """
    document = _document(content, origin)
    # Before the conversion: a message about a value shows it.
    for complaint in text_complaints(document):
        raise BadCampaign(f"{origin}: {complaint}")
    try:
        campaign = msgspec.convert(document, Campaign)
    except msgspec.ValidationError as error:
        raise BadCampaign(f"{origin}: {campaign_complaint(error, document)}") from None
    for complaint in complaints(campaign):
        raise BadCampaign(f"{origin}: {complaint}")
    return campaign


def _document(content: bytes, origin: str) -> Any:
    kind = "JSON" if origin.lower().endswith(".json") else "TOML"
    try:
        text = content.decode()
        if kind == "JSON":
            return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadCampaign(f"{origin}: not {kind} ({' '.join(str(error).split())})") from None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: of two, nobody could say which one was meant."""
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} comes twice in an object")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
