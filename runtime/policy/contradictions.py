"""What a manifest may claim: everything in it must fit everything else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.runtime.policy.graph_contradictions import batch_complaints, camera_complaints, graph_contradictions
from unichunk.runtime.policy.key_form import form_complaints
from unichunk.runtime.policy.manifest import MANIFEST_NAME, PLACEHOLDER, READABLE_VERSIONS
from unichunk.runtime.policy.reasoning_contradictions import reasoning_complaints
from unichunk.runtime.policy.rotation import AXIS_ANGLE_WIDTH
from unichunk.runtime.policy.sampler_contradictions import field_of_view_complaints, sampler_complaints
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from unichunk.runtime.policy.manifest import Key, LanguageInput, Manifest, RobotEntry

_LARGEST_TOKEN: Final = 2**31 - 1
"""Ids are int64 in the graph; no tokenizer has more."""


def contradictions(manifest: Manifest) -> Iterator[str]:
    """Everything in a manifest that cannot be true, one line each, with the path of the value."""
    if manifest.format_version not in READABLE_VERSIONS:
        expected = " or ".join(map(str, READABLE_VERSIONS))
        yield f"format_version: expected {expected}, got {manifest.format_version}"
    if manifest.unified_width != UNIFIED_WIDTH:
        yield f"unified_width: expected {UNIFIED_WIDTH}, got {manifest.unified_width}"
    if not all(math.isfinite(value) for value in manifest.image.mean):
        yield f"image.mean: expected finite numbers, got {list(manifest.image.mean)}"
    if not all(0 < value < math.inf for value in manifest.image.std):
        yield f"image.std: expected positive numbers, got {list(manifest.image.std)}"
    for name, robot in manifest.robots.items():
        yield from _robot_complaints(f"robots.{name}", robot, manifest)
    if manifest.language is not None:
        yield from _language_complaints(manifest.language)
    yield from sampler_complaints(manifest)
    yield from field_of_view_complaints(manifest)
    yield from reasoning_complaints(manifest)
    yield from batch_complaints(manifest.graphs)
    yield from _file_complaints(manifest)
    yield from graph_contradictions(manifest)


def name_complaints(names: Iterable[str]) -> Iterator[str]:
    """Names that no file of a bundle may have: with folders in them, or the manifest's own."""
    for name in names:
        if Path(name).name != name or name in {"", "..", MANIFEST_NAME}:
            yield f"files: expected plain file names, got {name!r}"


def _robot_complaints(label: str, robot: RobotEntry, manifest: Manifest) -> Iterator[str]:
    yield from camera_complaints(label, robot, manifest.graphs)
    if robot.max_delay >= manifest.chunk_length:
        yield f"{label}.max_delay: expected less than chunk_length ({manifest.chunk_length}), got {robot.max_delay}"
    for name, key in robot.action.items():
        if key.rotation != "axis_angle" and key.form != "pose":
            place = f"{label}.action.{name}.rotation"
            yield f"{place}: expected 'axis_angle', the form that policies give, got {key.rotation!r}"
    for section, keys in (("state", robot.state), ("action", robot.action)):
        yield from _section_complaints(f"{label}.{section}", keys, manifest.unified_width)
        for name, key in keys.items():
            yield from form_complaints(f"{label}.{section}.{name}", section, key, robot.cameras)


def _section_complaints(label: str, keys: Mapping[str, Key], width: int) -> Iterator[str]:
    taken: set[int] = set()
    for name, key in keys.items():
        yield from _key_complaints(f"{label}.{name}", key, width)
        if taken & set(range(*key.slots)):
            yield f"{label}.{name}.slots: {key.slots[0]}-{key.slots[1]} overlaps another key"
        taken |= set(range(*key.slots))


def _key_complaints(label: str, key: Key, width: int) -> Iterator[str]:
    start, stop = key.slots
    if not 0 <= start < stop <= width:
        yield f"{label}.slots: expected a slice within 0-{width}, got {start}-{stop}"
    if key.rotation != "axis_angle" and key.width != AXIS_ANGLE_WIDTH and key.form != "pose":
        yield f"{label}.rotation: {key.rotation} fills {AXIS_ANGLE_WIDTH} slots, {start}-{stop} has {key.width}"
    for field in key.normalization.__struct_fields__:
        values = getattr(key.normalization, field)
        if len(values) != stop - start:
            yield f"{label}.normalization.{field}: expected {stop - start} values, got {len(values)}"
        elif not all(math.isfinite(value) for value in values):
            yield f"{label}.normalization.{field}: expected finite numbers, got {list(values)}"


def _language_complaints(language: LanguageInput) -> Iterator[str]:
    if PLACEHOLDER not in language.prompt:
        yield f"language.prompt: expected {PLACEHOLDER} in it, got {language.prompt!r}"
    if len(language.suffix) > language.max_tokens:
        yield f"language.suffix: expected at most max_tokens ({language.max_tokens}) ids, got {len(language.suffix)}"
    for token in (token for token in language.suffix if not 0 <= token <= _LARGEST_TOKEN):
        yield f"language.suffix: expected token ids, 0 to {_LARGEST_TOKEN}, got {token}"


def _file_complaints(manifest: Manifest) -> Iterator[str]:
    needed = [("graph", name) for name in manifest.graphs.files]
    if manifest.language is not None:
        needed.append(("tokenizer", manifest.language.tokenizer))
    for kind, name in needed:
        if name not in manifest.files:
            yield f"files: no hash for the {kind} {name}"
    names = [name for _, name in needed]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"graphs: {name} is named twice, expected a file of its own for each graph"
    yield from name_complaints(manifest.files)
