"""The chunk graphs of a bundle: one for each number of views, Euler steps and refinement rounds, guided or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Variant:
    """One chunk graph.

    Attributes:
        views: V of the prefix graph whose outputs it takes.
        steps: K, Euler steps of a round.
        rounds: N, refinement rounds.
        guided: Whether rows are steered towards the running plan.
    """

    views: int
    steps: int
    rounds: int
    guided: bool = False

    def name(self, default: Variant) -> str:
        """Of its file: what differs from the bundle's first chunk graph is in it."""
        parts = ["chunk"]
        parts += ["mpg"] if self.rounds else []
        parts += ["guided"] if self.guided else []
        parts += [f"k{self.steps}"] if self.steps != default.steps else []
        parts += [f"views{self.views}"] if self.views != default.views else []
        return "_".join(parts)

    def entry(self, default: Variant) -> dict[str, Any]:
        """Fields of its entry in the manifest; None where it is as the first."""
        return {
            "refinement_rounds": self.rounds,
            "denoising_steps": None if self.steps == default.steps else self.steps,
            "views": None if self.views == default.views else self.views,
            "guided": self.guided,
        }


def all_variants(
    views: Sequence[int], steps: Sequence[int], rounds: int, *, guided: bool = False
) -> tuple[Variant, ...]:
    """Each with each, the default of all first: (V, K, 0), (V, K, N), those with other K, then those with other V.

    Args:
        views: Numbers of views, the default first.
        steps: Numbers of Euler steps, the default first.
        rounds: N; 0 for none.
        guided: Whether each is there guided too.
    """
    return tuple(
        Variant(view, step, count, steered)
        for view in dict.fromkeys(views)
        for step in dict.fromkeys(steps)
        for steered in dict.fromkeys((False, guided))
        for count in dict.fromkeys((0, rounds))
    )
