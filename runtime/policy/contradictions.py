"""What a manifest may claim: everything in it must fit everything else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from unichunk.runtime.policy.manifest import MANIFEST_NAME, PLACEHOLDER, READABLE_VERSIONS
from unichunk.runtime.policy.rotation import AXIS_ANGLE_WIDTH
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from unichunk.runtime.policy.manifest import (
        ChunkGraph,
        Graph,
        Graphs,
        Key,
        LanguageInput,
        Manifest,
        RobotEntry,
        Tensor,
    )

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
    yield from _batch_complaints(manifest.graphs)
    yield from _file_complaints(manifest)
    yield from _graph_complaints(manifest)


def name_complaints(names: Iterable[str]) -> Iterator[str]:
    """Names that no file of a bundle may have: with folders in them, or the manifest's own."""
    for name in names:
        if Path(name).name != name or name in {"", "..", MANIFEST_NAME}:
            yield f"files: expected plain file names, got {name!r}"


def _robot_complaints(label: str, robot: RobotEntry, manifest: Manifest) -> Iterator[str]:
    views = _views(manifest)
    if views is not None and len(robot.cameras) != views:
        file, names = manifest.graphs.prefix.file, ", ".join(robot.cameras)
        yield f"{label}.cameras: expected {views}, one for each view of {file}, got {len(robot.cameras)} ({names})"
    if robot.max_delay >= manifest.chunk_length:
        yield f"{label}.max_delay: expected less than chunk_length ({manifest.chunk_length}), got {robot.max_delay}"
    for name, key in robot.action.items():
        if key.rotation != "axis_angle":
            place = f"{label}.action.{name}.rotation"
            yield f"{place}: expected 'axis_angle', the form that policies give, got {key.rotation!r}"
    for section, keys in (("state", robot.state), ("action", robot.action)):
        yield from _section_complaints(f"{label}.{section}", keys, manifest.unified_width)


def _views(manifest: Manifest) -> int | None:
    """V, the views of the prefix graph; None where its signature does not say, which is a complaint of its own."""
    shapes = [tensor.shape for tensor in manifest.graphs.prefix.inputs if tensor.name == "images"]
    return shapes[0][0] if shapes and len(shapes[0]) == 4 and shapes[0][0] > 0 else None


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
    if key.rotation != "axis_angle" and key.width != AXIS_ANGLE_WIDTH:
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


def _batch_complaints(graphs: Graphs) -> Iterator[str]:
    sizes = [batch.size for batch in graphs.batched]
    if sizes != sorted(set(sizes)):
        yield f"graphs.batched: expected each size once, the smallest first, got {sizes}"
    for index, batch in enumerate(graphs.batched):
        if len(batch.chunks) != len(graphs.chunks):
            expected = f"expected {len(graphs.chunks)} files, one for each of graphs.chunks"
            yield f"graphs.batched[{index}].chunks: {expected}, got {len(batch.chunks)}"


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


def _graph_complaints(manifest: Manifest) -> Iterator[str]:
    chunks = manifest.graphs.chunks
    rounds = [graph.refinement_rounds for graph in chunks]
    if rounds[0] != 0 or len(set(rounds)) < len(rounds):
        yield f"graphs.chunks: expected refinement_rounds 0 first and each number once, got {rounds}"
    yield from _prefix_complaints(manifest)
    for graph in chunks:
        yield from _chunk_complaints(manifest, graph)
    # One chunk graph may do without what only another one needs; what none reads is a graph that forgot it.
    read = {tensor.name for graph in chunks for tensor in graph.inputs}
    for tensor in manifest.graphs.prefix.outputs:
        if tensor.name not in read:
            yield f"graphs: no chunk graph has an input `{tensor.name}`, which {manifest.graphs.prefix.file} computes"


def _prefix_complaints(manifest: Manifest) -> Iterator[str]:
    size = manifest.image.size
    cameras = len(next(iter(manifest.robots.values())).cameras)
    given = {
        "images": _Expected((_views(manifest) or cameras, 3, size, size), "float32"),
        "state": _Expected((1, manifest.unified_width), "float32"),
    }
    if manifest.language is not None:
        given["tokens"] = _Expected((1, manifest.language.max_tokens), "int64")
    yield from _input_complaints(manifest.graphs.prefix, given, set(given))
    yield from _repeated(manifest.graphs.prefix, manifest.graphs.prefix.outputs, "output")


def _chunk_complaints(manifest: Manifest, graph: ChunkGraph) -> Iterator[str]:
    chunk = (manifest.chunk_length, manifest.unified_width)
    conditioning = {
        "noise": _Expected((1 + graph.refinement_rounds, *chunk), "float32"),
        "previous_chunk": _Expected(chunk, "float32"),
        "delay": _Expected((), "int64"),
    }
    features = {tensor.name: _Expected(tensor.shape, tensor.dtype) for tensor in manifest.graphs.prefix.outputs}
    for name in sorted(conditioning.keys() & features.keys()):
        yield f"graphs: {manifest.graphs.prefix.file} has an output `{name}`, a name that {graph.file} needs for itself"
    yield from _input_complaints(graph, {**features, **conditioning}, set(conditioning))
    outputs = {"actions": _Expected(chunk, "float32")}
    if graph.refinement_rounds:
        steps = (graph.refinement_rounds, manifest.denoising_steps)
        outputs |= {name: _Expected(steps, "float32") for name in ("gates", "discrepancies")}
    found = {tensor.name: tensor for tensor in graph.outputs}
    for name, expected in outputs.items():
        if name in found:
            yield from expected.complaints(graph, found[name])
        else:
            yield f"graphs: {graph.file} has no output `{name}`"
    yield from _repeated(graph, graph.outputs, "output")


def _input_complaints(graph: Graph, given: Mapping[str, _Expected], needed: set[str]) -> Iterator[str]:
    for tensor in graph.inputs:
        if tensor.name in given:
            yield from given[tensor.name].complaints(graph, tensor)
        else:
            yield f"graphs: {graph.file} has an input `{tensor.name}` that nothing provides"
    for name in sorted(needed - {tensor.name for tensor in graph.inputs}):
        yield f"graphs: {graph.file} has no input `{name}`"
    yield from _repeated(graph, graph.inputs, "input")


def _repeated(graph: Graph, tensors: tuple[Tensor, ...], kind: str) -> Iterator[str]:
    names = [tensor.name for tensor in tensors]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"graphs: {graph.file} has the {kind} `{name}` twice"


class _Expected(NamedTuple):
    """Shape and type that a tensor must have."""

    shape: tuple[int, ...]
    dtype: str

    def complaints(self, graph: Graph, tensor: Tensor) -> Iterator[str]:
        if tensor.shape != self.shape:
            found, expected = list(tensor.shape), list(self.shape)
            yield f"graphs: {tensor.name} of {graph.file} has shape {found}, expected {expected}"
        if tensor.dtype != self.dtype:
            yield f"graphs: {tensor.name} of {graph.file} is {tensor.dtype}, expected {self.dtype}"
