"""One graph of a bundle, as engines are given it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from unichunk.runtime.policy.manifest import Graph, Manifest


@dataclass(frozen=True)
class GraphFile:
    """One graph of a bundle, as engines are given it.

    Attributes:
        path: The ONNX file; its external weights are beside it.
        signature: Its inputs and outputs in the bundle; the file must have them.
        precision: Of its weights and arithmetic.
        hashes: File name -> SHA-256 of the graph and of what its weights may be in; part of a built engine's key.
        resident: Whether its outputs are inputs of another graph and stay on the device, until the next run, rather
            than come to the host.
    """

    path: Path
    signature: Graph
    precision: str = "fp32"
    hashes: Mapping[str, str] = field(default_factory=dict)
    resident: bool = False


def graph_file(directory: Path, manifest: Manifest, graph: Graph, *, resident: bool) -> GraphFile:
    """A graph of a bundle that was read and checked.

    Args:
        directory: The bundle's folder.
        manifest: What it says.
        graph: One of its graphs.
        resident: Whether its outputs are inputs of another graph.
    """
    # Which weight files a graph reads is known to the graph alone: all that are no graphs may be its own.
    others = {*manifest.graphs.files} - {graph.file}
    if manifest.language is not None:
        others.add(manifest.language.tokenizer)
    hashes = {name: digest for name, digest in manifest.files.items() if name not in others}
    return GraphFile(directory / graph.file, graph, manifest.precision, hashes, resident)
