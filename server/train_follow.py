"""The recipe of the policies that follow blocks: demonstrations in the twins, training, checkpoint.

`python -m unichunk.server.train_follow --robots NAME ... --out DIR` needs the extra `train`. With several robots it
makes a generalist, with one its specialist, by the same recipe; `unichunk compile` makes a bundle of the checkpoint.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import tyro

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.recording import record_demonstrations
from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.checkpoint_writer import write_checkpoint
from unichunk.runtime.compile.compile_plan import IMAGE_MEAN, IMAGE_STD
from unichunk.runtime.compile.config import config_of
from unichunk.runtime.compile.config_document import parse_config
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.compile.sizes import Sizes, config_document
from unichunk.runtime.compile.templates import SYSTEM_MESSAGES
from unichunk.runtime.compile.tokenizer_training import train_tokenizer
from unichunk.runtime.policy.manifest import StateTime  # noqa: TC001  tyro reads the annotations
from unichunk.runtime.train.batches import BatchSampler, apportioned
from unichunk.runtime.train.being_h import BeingH, ConstantTokens
from unichunk.runtime.train.settings import TrainingSettings
from unichunk.runtime.train.starting import start_from
from unichunk.runtime.train.training import train
from unichunk.server.train_follow_phrases import phrases
from unichunk.server.train_follow_sources import (
    RobotDemonstrations,
    camera_of,
    load_demonstrations,
    metadata,
    save_demonstrations,
    source,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.embodiments.spec import EmbodimentSpec

DATASET: Final = "generalist"
"""Name of the checkpoint's metadata, with an entry for each robot."""

MAX_DELAY: Final = 12
OBSERVATIONS: Final = 80
DRAWS: Final = 3
LEARNING_RATE: Final = 1.0e-3
POST_LEARNING_RATE: Final = 3.0e-4
ADAPTER_RANK: Final = 4
EXPERTS: Final = 4
TOP_K: Final = 2
VOCABULARY: Final = 512
SIZES: Final = Sizes(
    vision_width=128,
    vision_layers=4,
    vision_heads=4,
    vision_mlp=256,
    vision_image_size=96,
    patch=12,
    image_size=96,
    width=128,
    mlp=256,
    layers=3,
    heads=4,
    kv_heads=2,
    head_dim=32,
    vocabulary=VOCABULARY,
    rope_theta=10000.0,
    expert_width=128,
    expert_mlp=256,
    rows=24,
    steps=5,
    mpg_projections=32,
    mpg_rounds=2,
    prompt_template="short",
)


@dataclass(frozen=True)
class Recipe:
    """Train a policy whose robots follow the block that they are told to follow, with the hand as they are told.

    Attributes:
        out: Where to write the checkpoint. While it trains, OUT.partial holds the newest averaged weights.
        robots: Names of the robots.
        episodes: Demonstrations of each robot, 160 ticks each.
        minutes: Time to train, [min].
        seed: Seed of demonstrations and training.
        workers: Processes that record, and threads that train.
        data: Where the demonstrations are kept; those that are not there are recorded.
        shares: Of the observations of a batch, one number for each robot; equal where not given.
        record_only: Record what is missing and stop.
        half: Whether products are computed in bfloat16; where not given, if the processor has instructions for it.
        steps: End after so many steps even within the time: for equal budgets on a busy machine.
        max_delay: Longest prefix that is locked in training, in rows; 0 for a policy that never saw one.
        state_time: Tick whose state the policy is told: its observation's, or the one at which its rows take over.
        esa: Embodiment-specific adaptation: a bank of adapters, one for each slot.
        mixture: Mixture of Flow: parallel experts in the upper layers of the action expert, of which two in four act.
            Together they are as wide as the block that they replace; each of them is, where they start as its copies.
        observations: Observations of a batch.
        start: Checkpoint to begin with, of the same recipe; its vision tower is kept as it is.
    """

    out: Path
    robots: tuple[str, ...]
    episodes: int = 300
    minutes: float = 70.0
    seed: int = 1
    workers: int = 2
    data: Path = Path("data/follow")
    shares: tuple[float, ...] = ()
    record_only: bool = False
    half: bool | None = None
    steps: int | None = None
    max_delay: int = MAX_DELAY
    state_time: StateTime = "observation"
    esa: bool = False
    mixture: bool = False
    observations: int = OBSERVATIONS
    start: Path | None = None


def main() -> None:
    """Run the recipe from the command line."""
    recipe = tyro.cli(Recipe, description=__doc__)
    _check_destination(recipe.out)
    if not 0 <= recipe.max_delay <= MAX_DELAY:
        raise SystemExit(f"max_delay {recipe.max_delay}: expected 0 to {MAX_DELAY}, since demonstrations leave so many")
    if len(set(recipe.robots)) != len(recipe.robots) or len(recipe.shares) not in (0, len(recipe.robots)):
        raise SystemExit(
            f"robots {' '.join(recipe.robots)}, shares {recipe.shares}: expected each robot once and a share for each"
        )
    specs = [load_spec(name) for name in recipe.robots]
    for spec in specs:
        _record(recipe, spec)
    if not recipe.record_only:
        shares = recipe.shares or (1.0,) * len(specs)
        build(recipe, [_loaded(recipe, spec, share) for spec, share in zip(specs, shares, strict=True)])


def build(recipe: Recipe, robots: Sequence[RobotDemonstrations], sizes: Sizes = SIZES) -> None:
    """Train on demonstrations and write the checkpoint."""
    _check_destination(recipe.out)
    torch.manual_seed(recipe.seed)
    # In the published words: delays are less than this.
    locked = recipe.max_delay + 1 if recipe.max_delay else None
    document = config_document(replace(_parts(recipe, sizes), simulated_delay=locked, state_time=recipe.state_time))
    config = config_of(parse_config(json.dumps(document).encode(), "the recipe's configuration"))
    start = None if recipe.start is None else Checkpoint.open(recipe.start)
    tokenizer = train_tokenizer(_texts(robots), VOCABULARY)
    if start is not None:
        tokenizer = {name: (start.directory / name).read_text(encoding="utf-8") for name in tokenizer}
    prompt = Prompt.of(config, tokenizer["tokenizer.json"])
    policy = BeingH(config, ConstantTokens(prompt.head, prompt.between, prompt.after_state))
    if start is not None:
        start_from(policy, start)
    sources = [source(robot, prompt, sizes.rows, recipe.max_delay, recipe.state_time) for robot in robots]
    parts = apportioned([1.0] * recipe.workers, recipe.observations)
    samplers = [
        BatchSampler(sources, part, DRAWS, np.random.default_rng([recipe.seed, 1, worker]))
        for worker, part in enumerate(parts)
    ]
    _say(
        f"policy: {sum(p.numel() for p in policy.parameters()) / 1e6:.2f} M parameters, "
        f"{len(samplers[0].slots)} slots; a worker's observations: {', '.join(map(str, samplers[0].counts))}"
    )

    def write(directory: Path, policy: BeingH) -> None:
        write_checkpoint(
            directory,
            config=document,
            tensors=((name, value.numpy()) for name, value in policy.state_dict().items()),
            metadata={DATASET: {DATASET: {robot.spec.name: metadata(robot) for robot in robots}}},
            tokenizer=tokenizer,
        )

    partial, newer = (recipe.out.with_name(f"{recipe.out.name}.{name}") for name in ("partial", "newer"))

    def keep(policy: BeingH) -> None:
        shutil.rmtree(newer, ignore_errors=True)
        write(newer, policy)
        shutil.rmtree(partial, ignore_errors=True)
        newer.rename(partial)

    half = _bfloat16_is_fast() if recipe.half is None else recipe.half
    settings = TrainingSettings(
        minutes=recipe.minutes,
        image_mean=IMAGE_MEAN,
        image_std=IMAGE_STD,
        most_steps=recipe.steps,
        half=half,
        learning_rate=LEARNING_RATE if start is None else POST_LEARNING_RATE,
    )
    begin = time.monotonic()
    policy, steps = train(policy, samplers, settings, _say, keep)
    _say(f"{steps} steps in {(time.monotonic() - begin) / 60.0:.1f} min")
    write(recipe.out, policy)
    shutil.rmtree(partial, ignore_errors=True)
    _say(f"checkpoint: {recipe.out}")


def _parts(recipe: Recipe, sizes: Sizes) -> Sizes:
    """With the parts of the architecture that were asked for."""
    if recipe.esa:
        sizes = replace(sizes, adapter_rank=ADAPTER_RANK)
    if recipe.mixture:
        # Copies of one block are as wide as it is.
        width = sizes.expert_mlp if recipe.start is not None else sizes.expert_mlp // TOP_K
        sizes = replace(sizes, experts=EXPERTS, top_k=TOP_K, experts_mlp=width, router_width=64)
    return sizes


def _check_destination(out: Path) -> None:
    """What `write_checkpoint` would say after an hour, said before."""
    if out.exists():
        raise SystemExit(f"{out} exists already; remove it or write elsewhere")


def _bfloat16_is_fast() -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16"))


def _texts(robots: Sequence[RobotDemonstrations]) -> list[str]:
    """What the tokenizer is trained on."""
    told = sorted({text for robot in robots for texts in phrases(robot.spec).values() for text in texts})
    return 4 * [*SYSTEM_MESSAGES.values(), "system\n", "user\n", "assistant\n", *told]


def _folder(recipe: Recipe, spec: EmbodimentSpec) -> Path:
    return recipe.data / f"demonstrations-{spec.name}-{recipe.seed}-{recipe.episodes}"


def _record(recipe: Recipe, spec: EmbodimentSpec) -> None:
    folder = _folder(recipe, spec)
    if folder.is_dir():
        return
    demonstrations = record_demonstrations(
        spec.name,
        camera_of(spec),
        SIZES.image_size,
        MAX_DELAY,
        recipe.episodes,
        recipe.seed,
        recipe.workers,
        lambda line: _say(f"{spec.name}: {line}"),
    )
    save_demonstrations(demonstrations, folder)


def _loaded(recipe: Recipe, spec: EmbodimentSpec, share: float) -> RobotDemonstrations:
    return RobotDemonstrations(spec, camera_of(spec), load_demonstrations(_folder(recipe, spec)), share)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
