"""What is measured: views, Euler steps and refinement rounds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from unichunk.runtime.policy.graph_choice import prefix_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.policy.manifest import Manifest


@dataclass(frozen=True)
class Case:
    """One combination.

    Attributes:
        views: V, images that the policy looks at.
        steps: K, Euler steps a round.
        rounds: N, refinement rounds after the first.
    """

    views: int
    steps: int
    rounds: int

    @property
    def label(self) -> str:
        """As tables show it."""
        return f"V={self.views} K={self.steps} N={self.rounds}"

    def row(self) -> dict[str, Any]:
        """As plain values."""
        return {"case": self.label, "views": self.views, "steps": self.steps, "rounds": self.rounds}


def combinations(views: Sequence[int], steps: Sequence[int], rounds: Sequence[int]) -> list[Case]:
    """All of them, each once, those with the same number of views side by side."""
    numbers = (sorted(set(values)) for values in (views, steps, rounds))
    return [Case(*combination) for combination in product(*numbers)]


def cases_of_bundle(
    manifest: Manifest, embodiment: str, views: Sequence[int], steps: Sequence[int], rounds: Sequence[int]
) -> tuple[list[Case], dict[str, str]]:
    """Which of the combinations asked for a bundle has graphs for.

    Args:
        manifest: The bundle's description.
        embodiment: One of its robots.
        views: Asked for; what the bundle has where empty.
        steps: Asked for; what the bundle has where empty.
        rounds: Asked for; what the bundle has where empty.

    Returns:
        Those that can be measured, and label -> why not for the others.
    """
    has_views = len(manifest.robots[embodiment].cameras)
    prefix = prefix_graph(manifest, has_views)
    own = has_views if prefix is not manifest.graphs.prefix else None
    graphs = [graph for graph in manifest.graphs.chunks if graph.views == own and not graph.guided]
    has = {(manifest.steps_of(graph), graph.refinement_rounds) for graph in graphs}
    has_steps, has_rounds = (sorted(set(numbers)) for numbers in zip(*has, strict=True))
    possible, refused = [], {}
    for case in combinations(views or [has_views], steps or has_steps, rounds or has_rounds):
        why = []
        if case.views != has_views:
            why.append(f"its prefix graph takes {has_views} view{'s' * (has_views != 1)}")
        if case.steps not in has_steps:
            why.append(f"its chunk graphs are unrolled with {' and '.join(map(str, has_steps))} Euler steps")
        if case.rounds not in has_rounds:
            why.append(f"it has chunk graphs with {' and '.join(map(str, has_rounds))} refinement rounds")
        if not why and (case.steps, case.rounds) not in has:
            why.append("it has each of these numbers, but not both in one")
        if why:
            refused[case.label] = f"the bundle has no graph for it: {', '.join(why)}"
        else:
            possible.append(case)
    return possible, refused
