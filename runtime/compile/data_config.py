"""Data configurations: the views, state keys and action keys of a policy, and their slots in the unified space."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from unichunk.runtime.compile.json_file import decode_json
from unichunk.runtime.compile.layout import misplaced
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.key_form import form_complaints
from unichunk.runtime.policy.manifest import BASE_FRAME, KeyForm, Noise, RotationInput
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["none", "q99", "mean_std", "min_max", "binary"]


class DataKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A state or action key.

    Attributes:
        slots: Half-open slice of the unified vector.
        mode: Normalization of its values.
        rotation: For a state key that is a rotation: the form it is given in; it is converted to axis-angle. Without
            it, values are placed as they are. For an action key of form `pose`: the form in which the policy gives it.
        form, frame: What the values are, and along whose axes; as in the manifest.
    """

    slots: tuple[int, int]
    mode: Mode = "none"
    rotation: RotationInput | None = None
    form: KeyForm = "unified"
    frame: str = BASE_FRAME

    @property
    def width(self) -> int:
        """Number of slots."""
        return self.slots[1] - self.slots[0]


class DataConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A data configuration.

    Attributes:
        name: Its name.
        views: Video keys, in the order in which the model sees them.
        noise: Slots in which the training's noise was Gaussian: all, or the robot's own action slots, with zeros
            elsewhere.
        fields_of_view: View -> horizontal and vertical angle, [rad]; of all views, for policies that take them.
        state, action: Key -> slots, mode, rotation.
    """

    name: Annotated[str, Meta(min_length=1)]
    views: Annotated[tuple[str, ...], Meta(min_length=1)]
    noise: Noise = "all"
    fields_of_view: dict[str, tuple[float, float]] = {}
    state: dict[str, DataKey]
    action: Annotated[dict[str, DataKey], Meta(min_length=1)]

    @property
    def angles(self) -> tuple[tuple[float, float], ...]:
        """Fields of view in the order of the views, [rad]; empty where none are given."""
        return tuple(self.fields_of_view[view] for view in self.views) if self.fields_of_view else ()


def shipped_data_configs() -> list[str]:
    """Names of the data configurations that come with this package."""
    folder = resources.files("unichunk.runtime.compile") / "data_configs"
    return sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json"))


def read_data_config(name_or_path: str | Path) -> DataConfig:
    """Reads a data configuration.

    Args:
        name_or_path: Name of a shipped one, or a JSON file (anything with a slash or that ends in `.json`).

    Raises:
        CheckpointError: Unknown, or not valid.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or text.endswith(".json"):
        return parse_data_config(_read(Path(name_or_path)), text)
    names = shipped_data_configs()
    if text not in names:
        raise CheckpointError(
            f"unknown data configuration {text!r}; choose from {', '.join(names)}, or give a JSON file"
        )
    file = resources.files("unichunk.runtime.compile") / "data_configs" / f"{text}.json"
    return parse_data_config(file.read_bytes(), text)


def parse_data_config(content: bytes, where: str) -> DataConfig:
    """Parses and checks a data configuration.

    Args:
        content: JSON.
        where: The file's name, for messages.

    Raises:
        CheckpointError: In one line, what is wrong.
    """
    config = decode_json(content, DataConfig, f"data configuration {where}")
    twice = next((view for view in config.views if config.views.count(view) > 1), None)
    if twice is not None:
        raise CheckpointError(f"data configuration {where}: view {twice!r} is named twice")
    _check_fields_of_view(f"data configuration {where}", config)
    for section, keys in (("state", config.state), ("action", config.action)):
        _check_section(f"data configuration {where}", section, keys)
        for name, key in keys.items():
            for complaint in form_complaints(f"{section} key {name!r}", section, key, config.views):
                raise CheckpointError(f"data configuration {where}: {complaint}")
    return config


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        names = ", ".join(shipped_data_configs())
        raise CheckpointError(f"no data configuration {path}; give a JSON file, or choose from {names}") from None
    except OSError as error:
        raise CheckpointError(f"data configuration {path} cannot be read: {error.strerror}") from error


def _check_fields_of_view(where: str, config: DataConfig) -> None:
    given = config.fields_of_view
    if given and given.keys() != set(config.views):
        raise CheckpointError(
            f"{where}: fields_of_view are of {', '.join(given)}, expected of all views: {', '.join(config.views)}"
        )
    for view, angles in given.items():
        if not all(0 < angle < math.pi for angle in angles):
            raise CheckpointError(
                f"{where}: fields_of_view of {view!r} are {list(angles)}, expected angles between 0 and pi, [rad]"
            )


def _check_section(where: str, section: str, keys: Mapping[str, DataKey]) -> None:
    owners: dict[int, str] = {}
    for name, key in keys.items():
        _check_key(f"{where}: {section} key {name!r}", section, name, key)
        for slot in range(*key.slots):
            if slot in owners:
                raise CheckpointError(f"{where}: {section} keys {owners[slot]!r} and {name!r} both fill slot {slot}")
            owners[slot] = name


def _check_key(what: str, section: str, name: str, key: DataKey) -> None:
    start, stop = key.slots
    if not 0 <= start < stop <= UNIFIED_WIDTH:
        raise CheckpointError(f"{what} has slots {start}-{stop}, expected first < last within 0-{UNIFIED_WIDTH}")
    expected = misplaced(section, name, key.slots)
    if expected:
        raise CheckpointError(f"{what} has slots {start}-{stop}, expected {expected}")
    if key.rotation is None or key.form == "pose":
        return
    if section == "action" and key.rotation != "axis_angle":
        raise CheckpointError(f"{what} has rotation {key.rotation!r}; actions are always axis_angle")
    if key.width != 3:
        raise CheckpointError(f"{what} is a rotation with {key.width} slots, expected 3 (axis-angle)")
    if key.rotation != "axis_angle" and key.mode != "none":
        raise CheckpointError(
            f"{what} has mode {key.mode!r}, expected 'none': statistics are of the values before their conversion"
        )
