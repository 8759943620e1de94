"""`<dataset>_metadata.json`: statistics and modalities of the data a checkpoint was trained on.

The file holds `<dataset>`, the dataset's own entry, and `<dataset>_variants`, further entries by name. Where the data
are of several robots and nothing is merged, `<dataset>` may itself hold entries by name, one for each robot.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.runtime.compile.json_file import convert_json, decode_json
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILE_SUFFIX: Final = "_metadata.json"
VARIANTS_SUFFIX: Final = "_variants"
MERGED: Final = "merged"


class KeyStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of a key, one number per value; those that no normalization asks for may be missing."""

    min: tuple[float, ...] | None = None
    max: tuple[float, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    q01: tuple[float, ...] | None = None
    q99: tuple[float, ...] | None = None


class KeyModality(msgspec.Struct, frozen=True, kw_only=True):
    """What the values of a key are.

    Attributes:
        shape: Their shape.
        absolute: Whether they are absolute; else relative to the state.
        rotation_type: Form of a rotation.
        continuous: Whether they are continuous.
    """

    shape: tuple[int, ...]
    absolute: bool = True
    rotation_type: str | None = None
    continuous: bool = True

    @property
    def values(self) -> int:
        """Number of values."""
        count = 1
        for size in self.shape:
            count *= size
        return count


class VideoModality(msgspec.Struct, frozen=True, kw_only=True):
    """A view: resolution (width, height) [px] and frames a second."""

    fps: float | None = None
    resolution: tuple[int, ...] | None = None
    channels: int = 3


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics by section and key."""

    state: dict[str, KeyStatistics] = {}
    action: dict[str, KeyStatistics] = {}


class Modalities(msgspec.Struct, frozen=True, kw_only=True):
    """Modalities by section and key."""

    video: dict[str, VideoModality] = {}
    state: dict[str, KeyModality] = {}
    action: dict[str, KeyModality] = {}


class DatasetMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the file: a dataset, or a variant of it.

    Attributes:
        embodiment_tag: The robot.
        stats_level: What the statistics are taken over: `task`, `embodiment` or `merged`.
    """

    modalities: Modalities
    embodiment_tag: str
    statistics: Statistics = Statistics()
    stats_level: str | None = None


def read_metadata(directory: Path, dataset: str, variant: str = MERGED) -> DatasetMetadata:
    """Reads the metadata of a dataset from a checkpoint's folder.

    Args:
        directory: The checkpoint.
        dataset: Name of the dataset.
        variant: Which statistics: `merged` or the dataset's name for the dataset's own entry; the name of another
            entry; or, where only one entry has it, a statistics level or an embodiment tag.

    Raises:
        CheckpointError: No such file, dataset or variant; lists those that exist.
    """
    file = directory / f"{dataset}{FILE_SUFFIX}"
    own, variants = _read(file, directory, dataset)
    found = _select(own, variants, dataset, variant)
    if len(found) == 1:
        return next(iter(found.values()))
    problem = f"statistics {variant!r} may be any of {', '.join(found)}" if found else f"no statistics {variant!r}"
    merged = [] if own is None else [f"{MERGED} (the dataset's own)"]
    names = ", ".join([*merged, *(f"{name} ({_level(meta)})" for name, meta in variants.items())])
    raise CheckpointError(f"{file}: {problem}; choose from {names}")


def check_metadata(directory: Path, dataset: str) -> None:
    """Refuses a metadata file that is not there, or not of the right form.

    Raises:
        CheckpointError: In one line, what is wrong.
    """
    _read(directory / f"{dataset}{FILE_SUFFIX}", directory, dataset)


def _select(
    own: DatasetMetadata | None, variants: Mapping[str, DatasetMetadata], dataset: str, variant: str
) -> dict[str, DatasetMetadata]:
    """The entries that a name may mean."""
    if own is not None and variant in {MERGED, dataset}:
        return {dataset: own}
    if variant in variants:
        return {variant: variants[variant]}
    entries = variants if own is None else {dataset: own, **variants}
    by_level = {name: meta for name, meta in entries.items() if meta.stats_level == variant}
    by_tag = {name: meta for name, meta in variants.items() if meta.embodiment_tag == variant}
    return by_level or {name: meta for name, meta in by_tag.items() if meta.stats_level == "embodiment"}


def _level(meta: DatasetMetadata) -> str:
    return meta.stats_level or "unknown level"


def _read(file: Path, directory: Path, dataset: str) -> tuple[DatasetMetadata | None, dict[str, DatasetMetadata]]:
    """The dataset's own entry, if it has one, and the others by name."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        names = sorted(path.name.removesuffix(FILE_SUFFIX) for path in directory.glob(f"*{FILE_SUFFIX}"))
        known = f"this checkpoint has metadata of {', '.join(names)}" if names else "this checkpoint has no metadata"
        raise CheckpointError(f"{directory}: no metadata of dataset {dataset!r}; {known}") from None
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from error
    content = decode_json(raw, dict[str, Any], file)
    if dataset not in content:
        raise CheckpointError(f"{file}: no dataset {dataset!r}; it has {', '.join(sorted(content)) or 'nothing'}")
    own = content[dataset]
    name = f"{dataset}{VARIANTS_SUFFIX}"
    variants = convert_json(content.get(name, {}), dict[str, DatasetMetadata], f"{file}: {name}")
    if not _holds_entries(own):
        return convert_json(own, DatasetMetadata, f"{file}: {dataset}"), variants
    robots = {key: convert_json(entry, DatasetMetadata, f"{file}: {dataset}: {key}") for key, entry in own.items()}
    return None, {**variants, **robots}


def _holds_entries(value: Any) -> bool:
    """Whether this is no entry but several of them by name."""
    if not isinstance(value, dict) or not value or value.keys() & set(DatasetMetadata.__struct_fields__):
        return False
    return all(isinstance(entry, dict) for entry in value.values())


def check_views(metadata: DatasetMetadata, views: Sequence[str]) -> None:
    """Refuses views that the dataset does not have.

    Raises:
        CheckpointError: With the views that there are.
    """
    known = metadata.modalities.video
    unknown = [view for view in views if view not in known]
    if unknown:
        raise CheckpointError(f"view {unknown[0]!r} is not in the metadata; it has {', '.join(known) or 'none'}")


def frame_rate(metadata: DatasetMetadata, views: Sequence[str]) -> int:
    """Rate of the dataset's actions, [Hz]: that of its videos.

    Args:
        metadata: The dataset.
        views: Names of the views that are used; all known.

    Raises:
        CheckpointError: The views have no rate, different ones, or a fractional one.
    """
    known = metadata.modalities.video
    rates = {view: known[view].fps for view in views}
    values = set(rates.values())
    rate = next(iter(values), None)
    if len(values) != 1 or rate is None or not (0 < rate < math.inf and rate == int(rate)):
        listed = ", ".join(f"{view}: {fps}" for view, fps in rates.items())
        raise CheckpointError(
            f"frames a second of the views are {listed}; expected one whole number for all: correct the "
            f"metadata, or give the rate of one robot's actions with --action-hz"
        )
    return int(rate)
