"""The golden checkpoint that the tests compare with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent.parent / "data" / "golden" / "being_h05_tiny"
CASES = ("plain", "locked", "mpg", "mpg_locked")


def golden_config() -> dict[str, Any]:
    """A copy of its `config.json`, to be changed."""
    document: dict[str, Any] = json.loads((GOLDEN / "config.json").read_bytes())
    return document


def golden_metadata() -> dict[str, Any]:
    """A copy of its metadata, to be changed."""
    document: dict[str, Any] = json.loads((GOLDEN / "uni_posttrain_metadata.json").read_bytes())
    return document


def golden_case(case: str) -> dict[str, Any]:
    """Recorded arrays of a case."""
    with np.load(GOLDEN / "golden.npz") as recorded:
        return {name.removeprefix(f"{case}/"): recorded[name] for name in recorded if name.startswith(f"{case}/")}


def put(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Sets `a.b.c` of a document."""
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    place[last] = value
    return document


def drop(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Removes `a.b.c` from a document."""
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    del place[last]
    return document
