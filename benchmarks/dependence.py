"""Does the warning of `unichunk dependence` tell a policy that looks past its observation from one that looks?

    unichunk bench dependence [--delays 1 2 3 4] [--json FILE] [--quick]

The world is `catch` of the async benchmark, whose clean demonstrations set the trap: their actions tell what the expert
saw later, and a policy that is trained with delays on them goes on from its prefix instead of looking. Three policies
are trained on the first use and kept: from demonstrations with noise, from clean ones, and from clean ones with noise
on the locked rows in training. Each drives episodes with its prefix locked (success, beside that of naive execution of
a policy without delays from the same demonstrations); then the runtime's own measure, `runtime.policy.dependence`, is
taken over moments drawn from those episodes, several times, as if each draw was one recorded run. The cart's own
position and speed stay those of the moment; the balls and the time left are those of another one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tyro

from unichunk.benchmarks.async_control.latency import DelayKind, Latency
from unichunk.benchmarks.async_control.methods import METHODS
from unichunk.benchmarks.async_control.options import QUICK_STEPS
from unichunk.benchmarks.async_control.rollout import Rollout
from unichunk.benchmarks.async_control.store import default_folder, trained_policy
from unichunk.benchmarks.async_control.tasks.catch import Catch
from unichunk.benchmarks.async_control.training import Recipe, Variant
from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import paired_ratio
from unichunk.benchmarks.single_thread import restart_with_one_thread
from unichunk.runtime.policy.dependence import HARDLY, dependence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.benchmarks.async_control.methods import Request
    from unichunk.benchmarks.async_control.network import Array
    from unichunk.benchmarks.async_control.training import Trained
    from unichunk.benchmarks.harness.ratio import Ratio

NAME: Final = "dependence"
CHUNK: Final = 8
MOMENTS: Final = 32
"""As many as `unichunk run --record-observations` keeps."""

DRAWS: Final = 20
PREFIX_NOISE: Final = 0.3


@dataclass(frozen=True)
class Options:
    """Measure the dependence of good and bad policies on what they see, and print a table."""

    json: Path | None = None
    """Where to write rows as JSON."""
    quick: bool = False
    """d = 2, 256 episodes, shorter training."""
    delays: tuple[int, ...] = (1, 2, 3, 4)
    """d, in ticks: 1 to half a chunk of 8."""
    episodes: int = 1024
    """Episodes of each cell."""
    cache: Path = field(default_factory=default_folder)
    """Where trained policies are kept."""


def main() -> int:
    """Entry point; 2 where the options make no sense."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    for complaint in complaints(options):
        print(f"unichunk bench {NAME}: {complaint}", file=sys.stderr)
        return 2
    restart_with_one_thread(f"unichunk.benchmarks.{NAME}")
    if options.quick:
        options = replace(options, delays=(2,), episodes=256)
    recipes = demonstrations(Recipe(steps=QUICK_STEPS) if options.quick else Recipe())
    rows = [
        row(name, recipe, delay, options.episodes, options.cache)
        for name, recipe in recipes.items()
        for delay in options.delays
    ]
    print(f"a dependence below {HARDLY:g} warns\n\n{table(rows)}")
    write_json(options.json, document(NAME, quick=options.quick, ratios=ratios(rows), threshold=HARDLY, rows=rows))
    return 0


def complaints(options: Options) -> list[str]:
    """What is wrong with the options, a line each."""
    longest = CHUNK // 2
    found = [
        f"--delays {delay}: expected 1 to {longest} ticks" for delay in options.delays if not 1 <= delay <= longest
    ]
    if not options.delays:
        found.append("--delays: expected at least one")
    if options.episodes < 1:
        found.append(f"--episodes {options.episodes}: expected at least 1")
    return found


def demonstrations(recipe: Recipe) -> dict[str, Recipe]:
    """What the policies learn from, by name; the first one sets no trap."""
    clean = replace(recipe, exploration=0.0)
    return {"noisy": recipe, "clean": clean, "clean, noise on the prefix": replace(clean, prefix_noise=PREFIX_NOISE)}


def row(name: str, recipe: Recipe, delay: int, episodes: int, cache: Path) -> dict[str, Any]:
    """Success and dependence of a policy at a delay."""
    task = Catch()
    plain = trained_policy(cache, task, CHUNK, Variant.PLAIN, recipe)
    trained = trained_policy(cache, task, CHUNK, Variant.DELAYS, recipe)
    latency = Latency(DelayKind.FIXED, delay)
    naive = Rollout(task, METHODS["naive"], plain, latency, episodes, recipe.seed).run()
    asked: list[Request] = []
    locked = METHODS["uac"]

    def noted(*arguments: Any) -> Array:
        asked.append(arguments[2])
        return locked.answer(*arguments)

    success = Rollout(task, replace(locked, answer=noted), trained, latency, episodes, recipe.seed).run().success
    found = dependences(trained, [request for request in asked if request.delay == delay], recipe.seed)
    return {
        "demonstrations": name,
        "delay": delay,
        "episodes": episodes,
        "success_naive": float(naive.success.mean()),
        "success_locked": float(success.mean()),
        "dependence": float(np.median(found)),
        "low": min(found),
        "high": max(found),
        "warned": sum(one < HARDLY for one in found) / len(found),
        "draws": found,
    }


def dependences(trained: Trained, asked: Sequence[Request], seed: int) -> list[float]:
    """The measure over moments drawn from what was asked, once for each draw."""
    random = np.random.default_rng([seed, 1])
    delay = asked[0].delay
    observations = np.concatenate([request.observations for request in asked])
    prefixes = np.concatenate([request.running[:, :delay] for request in asked])
    noise = trained.policy.noise(random, 1)
    found = []
    for _ in range(DRAWS):
        # In the order of the episodes, as a run would have recorded them.
        drawn = np.sort(random.choice(len(observations), MOMENTS, replace=False))
        seen, locked = observations[drawn], prefixes[drawn]

        def predict(
            moment: int,
            shown: int,
            lock: bool,  # noqa: FBT001  see `dependence`
            seen: NDArray[np.float32] = seen,
            locked: NDArray[np.float32] = locked,
        ) -> NDArray[np.float32]:
            told = seen[shown : shown + 1].copy()
            told[:, :2] = seen[moment, :2]
            rows: NDArray[np.float32] = trained.policy.sample(
                told, noise, locked[moment : moment + 1] if lock else None
            )[0]
            return rows

        ratio = dependence(predict, [delay] * MOMENTS).ratio
        assert ratio is not None
        found.append(ratio)
    return found


def ratios(rows: Sequence[dict[str, Any]]) -> dict[str, Ratio]:
    """What the regression watch compares: the dependence of the policy in the trap over that of the good one."""
    draws = {(row["demonstrations"], row["delay"]): row["draws"] for row in rows}
    return {
        f"dependence, d = {delay}: clean / noisy": paired_ratio(
            draws["clean", delay], draws["noisy", delay], better="lower"
        )
        for delay in dict.fromkeys(row["delay"] for row in rows)
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each policy and delay."""
    return markdown_table(
        ("demonstrations", "d", "success, naive", "success, locked", "dependence (range of draws)", "draws that warn"),
        [
            (
                row["demonstrations"],
                row["delay"],
                f"{row['success_naive']:.2f}",
                f"{row['success_locked']:.2f}",
                f"{row['dependence']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
                f"{100 * row['warned']:.0f} %",
            )
            for row in rows
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
