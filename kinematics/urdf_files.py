"""Where the URDF parts of robot models are."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from unichunk.kinematics.errors import UnknownModel


def urdf_names() -> tuple[str, ...]:
    """File names of all parts that ship with the project, sorted."""
    folder = resources.files("unichunk.kinematics") / "urdf"
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".urdf")))


def urdf_path(name: str) -> Path:
    """The file of a shipped part, as robot descriptions name it (`so101.urdf`).

    Raises:
        UnknownModel: Where no part goes by that name.
    """
    if name not in urdf_names():
        raise UnknownModel(f"unknown model {name!r}: expected one of {', '.join(urdf_names())}")
    return Path(str(resources.files("unichunk.kinematics") / "urdf" / name))
