"""What a manifest may claim of its graphs: they must fit each other and everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from unichunk.runtime.policy.optional_inputs import FIELDS_OF_VIEW, MASKS, OVERLAP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from unichunk.runtime.policy.manifest import ChunkGraph, Graph, Graphs, Manifest, RobotEntry, Tensor


def graph_contradictions(manifest: Manifest) -> Iterator[str]:
    """Everything about the graphs that cannot be true, one line each, with the path of the value."""
    graphs = manifest.graphs
    yield from _variant_complaints(manifest)
    for prefix in (graphs.prefix, *graphs.other_prefixes):
        yield from _prefix_complaints(manifest, prefix)
    for graph in graphs.chunks:
        yield from _chunk_complaints(manifest, graph)
    yield from _unread_outputs(graphs)


def views_of(prefix: Graph) -> int | None:
    """V of a prefix graph; None where its signature does not say, which is a complaint of its own."""
    shapes = [tensor.shape for tensor in prefix.inputs if tensor.name == "images"]
    return shapes[0][0] if shapes and len(shapes[0]) == 4 and shapes[0][0] > 0 else None


def camera_complaints(label: str, robot: RobotEntry, graphs: Graphs) -> Iterator[str]:
    """Cameras for whose number there is no prefix graph."""
    known = {prefix.file: views_of(prefix) for prefix in (graphs.prefix, *graphs.other_prefixes)}
    if None in known.values() or len(robot.cameras) in known.values():
        return
    expected = " or ".join(f"{views}, one for each view of {file}" for file, views in known.items())
    yield f"{label}.cameras: expected {expected}, got {len(robot.cameras)} ({', '.join(robot.cameras)})"


def batch_complaints(graphs: Graphs) -> Iterator[str]:
    """What `graphs.batched` says, for the graphs for one request."""
    sizes = [batch.size for batch in graphs.batched]
    if sizes != sorted(set(sizes)):
        yield f"graphs.batched: expected each size once, the smallest first, got {sizes}"
    count = len(graphs.batchable)
    for index, batch in enumerate(graphs.batched):
        if len(batch.chunks) != count:
            expected = f"expected {count} files, one for each of graphs.chunks that belongs to {graphs.prefix.file}"
            yield f"graphs.batched[{index}].chunks: {expected}, got {len(batch.chunks)}"


def _variant_complaints(manifest: Manifest) -> Iterator[str]:
    """Each prefix graph and each chunk graph of another kind, none for views that no prefix graph has."""
    graphs, default = manifest.graphs, views_of(manifest.graphs.prefix)
    others = [views_of(prefix) for prefix in graphs.other_prefixes]
    counts = [default, *others]
    if None not in counts and len(set(counts)) < len(counts):
        yield f"graphs.other_prefixes: expected each number of views once, got {counts}"
    plain = (manifest.denoising_steps, 0, False)
    kinds = [(graph.views, manifest.steps_of(graph), graph.refinement_rounds, graph.guided) for graph in graphs.chunks]
    if kinds[0] != (None, *plain):
        yield (
            f"graphs.chunks[0]: expected the graph for {graphs.prefix.file} with {manifest.denoising_steps} denoising "
            f"steps, refinement_rounds 0 and not guided, got {graphs.chunks[0].file} with {_in_words(graphs.chunks[0])}"
        )
    for index, (graph, kind) in enumerate(zip(graphs.chunks, kinds, strict=True)):
        if kind in kinds[:index]:
            earlier = graphs.chunks[kinds.index(kind)].file
            yield f"graphs.chunks[{index}]: {graph.file} is of the same kind as {earlier}: {_in_words(graph)}"
        if graph.views is not None and graph.views not in others:
            yield f"graphs.chunks[{index}].views: {graph.views}, and no graph of graphs.other_prefixes has as many"
        if graph.denoising_steps == manifest.denoising_steps:
            yield f"graphs.chunks[{index}].denoising_steps: {graph.denoising_steps}, the bundle's own; leave it out"
    for views in filter(None, others):
        if (views, *plain) not in kinds:
            yield f"graphs.chunks: no graph for {views} views with {_in_words(graphs.chunks[0])}"


def _in_words(graph: ChunkGraph) -> str:
    """What tells a chunk graph from others."""
    parts = [f"refinement_rounds {graph.refinement_rounds}"]
    parts += [] if graph.denoising_steps is None else [f"denoising_steps {graph.denoising_steps}"]
    parts += [] if graph.views is None else [f"views {graph.views}"]
    parts += ["guided"] if graph.guided else []
    return ", ".join(parts)


def _prefix_complaints(manifest: Manifest, prefix: Graph) -> Iterator[str]:
    size = manifest.image.size
    cameras = len(next(iter(manifest.robots.values())).cameras)
    given = {
        "images": _Expected((views_of(prefix) or cameras, 3, size, size), "float32"),
        "state": _Expected((1, manifest.unified_width), "float32"),
    }
    if manifest.language is not None:
        given["tokens"] = _Expected((1, manifest.language.max_tokens), "int64")
    optional = {**_masks(manifest), FIELDS_OF_VIEW: _Expected((views_of(prefix) or cameras, 2), "float32")}
    yield from _input_complaints(prefix, {**given, **optional}, set(given))
    yield from _repeated(prefix, prefix.outputs, "output")


def _chunk_complaints(manifest: Manifest, graph: ChunkGraph) -> Iterator[str]:
    chunk = (manifest.chunk_length, manifest.unified_width)
    conditioning = {"previous_chunk": _Expected(chunk, "float32"), "delay": _Expected((), "int64")}
    if manifest.denoises:
        conditioning["noise"] = _Expected((1 + graph.refinement_rounds, *chunk), "float32")
    if graph.guided:
        conditioning[OVERLAP] = _Expected((), "int64")
    prefix = _prefix_of(manifest.graphs, graph)
    features = {tensor.name: _Expected(tensor.shape, tensor.dtype) for tensor in prefix.outputs}
    for name in sorted(conditioning.keys() & features.keys()):
        yield f"graphs: {prefix.file} has an output `{name}`, a name that {graph.file} needs for itself"
    yield from _input_complaints(graph, {**_masks(manifest), **features, **conditioning}, set(conditioning))
    outputs = {"actions": _Expected(chunk, "float32")}
    if graph.refinement_rounds:
        steps = (graph.refinement_rounds, manifest.steps_of(graph))
        outputs |= {name: _Expected(steps, "float32") for name in ("gates", "discrepancies")}
    found = {tensor.name: tensor for tensor in graph.outputs}
    for name, expected in outputs.items():
        if name in found:
            yield from expected.complaints(graph, found[name])
        else:
            yield f"graphs: {graph.file} has no output `{name}`"
    yield from _repeated(graph, graph.outputs, "output")


def _masks(manifest: Manifest) -> dict[str, _Expected]:
    """Inputs that any graph may have."""
    return dict.fromkeys(MASKS, _Expected((1, manifest.unified_width), "float32"))


def _prefix_of(graphs: Graphs, chunk: ChunkGraph) -> Graph:
    """The prefix graph that a chunk graph belongs to; the first where it has none, which is a complaint of its own."""
    if chunk.views is not None:
        for prefix in graphs.other_prefixes:
            if views_of(prefix) == chunk.views:
                return prefix
    return graphs.prefix


def _unread_outputs(graphs: Graphs) -> Iterator[str]:
    """One chunk graph may do without what only another one needs; what none reads is a graph that forgot it."""
    for prefix in (graphs.prefix, *graphs.other_prefixes):
        readers = [graph for graph in graphs.chunks if _prefix_of(graphs, graph) is prefix]
        read = {tensor.name for graph in readers for tensor in graph.inputs}
        for tensor in prefix.outputs if readers else ():
            if tensor.name not in read:
                yield f"graphs: no chunk graph has an input `{tensor.name}`, which {prefix.file} computes"


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
