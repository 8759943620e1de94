"""What a manifest may claim of a policy that writes text before it acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.policy.bundle_reasoner import LONGER, WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.runtime.policy.manifest import Graph, Manifest

Signature = dict[str, tuple[tuple[int, ...], str]]


def reasoning_complaints(manifest: Manifest) -> Iterator[str]:
    """Everything about the token graph and its use that cannot be true, one line each."""
    graph, reasoning = manifest.graphs.token, manifest.reasoning
    if graph is None or reasoning is None:
        if graph is not None or reasoning is not None:
            missing, there = ("reasoning", "graphs.token") if reasoning is None else ("graphs.token", "reasoning")
            yield f"{missing}: missing, but there is {there}; a policy that thinks needs both"
        return
    if not reasoning.ends:
        yield "reasoning.ends: expected at least one token id"
    if manifest.language is None or not manifest.language.suffix:
        yield "language.suffix: expected at least one token id, behind which a thought begins"
        return
    yield from _graph_complaints(manifest, graph, manifest.language.max_tokens)


def _graph_complaints(manifest: Manifest, graph: Graph, text: int) -> Iterator[str]:
    """The token graph reads what the prefix graph gives, and gives again the caches that it takes."""
    found: Signature = {tensor.name: (tensor.shape, tensor.dtype) for tensor in graph.inputs}
    given: Signature = {tensor.name: (tensor.shape, tensor.dtype) for tensor in manifest.graphs.prefix.outputs}
    given |= {"token": ((), "int64"), "place": ((), "int64"), "tokens": ((1, text), "int64")}
    caches = {name: kind for name, kind in found.items() if name.startswith(WRITTEN)}
    yield from _differences(graph, "input", found, {name: given[name] for name in ("token", "place", "tokens")})
    for name, kind in found.items():
        if name not in caches and name not in given:
            yield f"graphs: {graph.file} has an input `{name}` that nothing provides"
        elif name in given and kind != given[name]:
            yield f"graphs: {name} of {graph.file} is {_words(kind)}, expected {_words(given[name])}"
    longer = {name.replace(WRITTEN, LONGER, 1): kind for name, kind in caches.items()}
    outputs: Signature = {tensor.name: (tensor.shape, tensor.dtype) for tensor in graph.outputs}
    yield from _differences(graph, "output", outputs, {"next": ((), "int64"), **longer})
    for name, kind in outputs.items():
        if name in longer and kind != longer[name]:
            yield f"graphs: {name} of {graph.file} is {_words(kind)}, expected {_words(longer[name])}"
    for name, (_, dtype) in caches.items():
        if dtype != "float32":
            yield f"graphs: {name} of {graph.file} is {dtype}, expected float32"


def _differences(graph: Graph, kind: str, found: Signature, needed: Signature) -> Iterator[str]:
    for name in sorted(needed.keys() - found.keys()):
        yield f"graphs: {graph.file} has no {kind} `{name}`"


def _words(kind: tuple[tuple[int, ...], str]) -> str:
    return f"{kind[1]} {list(kind[0])}"
