"""Which of a bundle's graphs a robot is driven with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.graph_contradictions import views_of

if TYPE_CHECKING:
    from unichunk.runtime.policy.manifest import ChunkGraph, Graph, Manifest


def prefix_graph(manifest: Manifest, views: int) -> Graph:
    """The prefix graph for a number of views, which a checked manifest has for each of its robots."""
    graphs = manifest.graphs
    return next(graph for graph in (graphs.prefix, *graphs.other_prefixes) if views_of(graph) == views)


def chunk_graph(
    manifest: Manifest, views: int, *, steps: int | None = None, rounds: int = 0, guided: bool = False, origin: str = ""
) -> ChunkGraph:
    """The chunk graph that was asked for.

    Args:
        manifest: The bundle's description.
        views: V, of the robot.
        steps: K; None for the manifest's.
        rounds: N.
        guided: Whether it steers rows towards the running plan, see `ChunkGraph`.
        origin: Put in front of the message.

    Raises:
        BundleError: The bundle has none of that kind.
    """
    prefix = prefix_graph(manifest, views)
    asked_views = None if prefix is manifest.graphs.prefix else views
    asked = (manifest.denoising_steps if steps is None else steps, rounds, guided)
    known = {
        (manifest.steps_of(graph), graph.refinement_rounds, graph.guided): graph
        for graph in manifest.graphs.chunks
        if graph.views == asked_views
    }
    if asked in known:
        return known[asked]
    there = ", ".join(_in_words(*kind) for kind in known)
    of_views = f" for {views} view{'s' * (views > 1)}" if manifest.graphs.other_prefixes else ""
    raise BundleError(
        f"{origin}no graph{of_views} with {_in_words(*asked)}, this bundle has {there}; choose one of these, or "
        f"compile the checkpoint with other --steps or --refinement-rounds{', or --guided' * guided}"
    )


def _in_words(steps: int, rounds: int, guided: bool) -> str:  # noqa: FBT001  (a part of what is asked)
    return f"{steps!r} steps and {rounds!r} refinement rounds{', guided' * guided}"
