"""The policy bundles that ship with the project."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from unichunk.runtime.policy.bundle import robots_of

GENERALIST: Final = "generalist"
"""Name of the shipped bundle that drives several robots; it goes before those made for one."""


def shipped_bundles(*embodiments: str) -> list[Path]:
    """Folders of the shipped bundles that drive all of these robots, the generalist first, then by name."""
    folder = Path(str(resources.files("unichunk.embodiments"))) / "bundles"
    paths = sorted((path.parent for path in folder.glob("*/bundle.json")), key=lambda p: (p.name != GENERALIST, p.name))
    return [path for path in paths if set(embodiments) <= set(robots_of(path))]
