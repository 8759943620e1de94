"""From a data configuration and a dataset's metadata to the keys of a bundle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.manifest import Binary, Key, MeanStd, MinMax, NoNormalization, Quantiles
from unichunk.runtime.policy.rotation import rotation_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.runtime.compile.data_config import DataConfig, DataKey
    from unichunk.runtime.compile.metadata import DatasetMetadata, KeyModality, KeyStatistics
    from unichunk.runtime.policy.manifest import Normalization, RotationInput

ROTATION_TYPES: Final[dict[str, tuple[RotationInput, ...]]] = {
    "axis_angle": ("axis_angle",),
    "quaternion": ("quaternion_wxyz", "quaternion_xyzw"),
    "rotation_6d": ("rotation_6d",),
    "matrix": ("matrix",),
    "euler_angles": ("euler_xyz",),
    "euler_angles_rpy": ("euler_xyz",),
}
"""The metadata's words -> forms that they may mean, the usual one first."""


@dataclass(frozen=True)
class Keys:
    """State and action keys of a bundle, by name."""

    state: dict[str, Key]
    action: dict[str, Key]


def build_keys(config: DataConfig, metadata: DatasetMetadata) -> Keys:
    """Puts slots and statistics together.

    Raises:
        CheckpointError: The dataset has no such key, its values do not fit the slots, are rotations of another form,
            or lack the statistics that the mode needs.
    """
    modalities, statistics = metadata.modalities, metadata.statistics
    return Keys(
        state=_section("state", config.name, config.state, modalities.state, statistics.state),
        action=_section("action", config.name, config.action, modalities.action, statistics.action),
    )


def _section(
    section: str,
    config: str,
    keys: Mapping[str, DataKey],
    modalities: Mapping[str, KeyModality],
    statistics: Mapping[str, KeyStatistics],
) -> dict[str, Key]:
    built = {}
    for name, key in keys.items():
        what = f"{section} key {name!r} of data configuration {config!r}"
        if name not in modalities:
            known = ", ".join(modalities) or "none"
            raise CheckpointError(f"{what} is not in the dataset's metadata; it has {known}")
        rotation = _rotation(key.rotation or "axis_angle", modalities[name])
        _check_values(what, key, rotation, modalities[name])
        built[name] = Key(
            slots=key.slots,
            normalization=_normalization(what, key, statistics.get(name)),
            rotation=rotation,
            form=key.form,
            frame=key.frame,
        )
    return built


def _rotation(form: RotationInput, modality: KeyModality) -> RotationInput:
    """What to convert from. The dataset knows better than the configuration, but not whether to convert at all."""
    forms = ROTATION_TYPES.get(modality.rotation_type or "", (form,))
    return form if form in forms or form == "axis_angle" else forms[0]


def _check_values(what: str, key: DataKey, rotation: RotationInput, modality: KeyModality) -> None:
    """The dataset's values must be as many as the key takes."""
    expected = key.width if key.rotation is None or key.form == "pose" else rotation_width(rotation)
    if modality.values != expected:
        of_form = f" of form {rotation}" if key.rotation else ""
        first, last = key.slots
        raise CheckpointError(
            f"{what}: the dataset has {modality.values} values, its slots {first}-{last} take {expected}{of_form}"
        )
    if key.rotation is None or modality.rotation_type is None:
        return
    if rotation not in ROTATION_TYPES.get(modality.rotation_type, ()):
        raise CheckpointError(
            f"{what} has rotation {rotation!r}, but the dataset's rotation_type is {modality.rotation_type!r}; "
            f"expected {', '.join(ROTATION_TYPES)}"
        )


def _normalization(what: str, key: DataKey, statistics: KeyStatistics | None) -> Normalization:
    if key.mode == "none":
        return NoNormalization()
    if key.mode == "binary":
        return Binary()

    def values(name: str) -> tuple[float, ...]:
        found: tuple[float, ...] | None = getattr(statistics, name, None)
        if found is None:
            raise CheckpointError(f"{what} has mode {key.mode!r}, but the dataset's statistics have no {name!r} of it")
        if len(found) != key.width:
            raise CheckpointError(f"{what}: its statistics {name!r} have {len(found)} values, expected {key.width}")
        odd = next((value for value in found if not math.isfinite(value)), None)
        if odd is not None:
            raise CheckpointError(
                f"{what}: its statistics {name!r} have the value {odd}, expected numbers, since its mode is "
                f"{key.mode!r}; compute the statistics again"
            )
        return found

    if key.mode == "mean_std":
        return MeanStd(mean=values("mean"), std=values("std"))
    if key.mode == "min_max":
        return MinMax(low=values("min"), high=values("max"))
    return Quantiles(q01=values("q01"), q99=values("q99"))
