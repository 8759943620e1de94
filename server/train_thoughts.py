"""Teach a policy that follows blocks to write down which one is meant: python -m unichunk.server.train_thoughts.

Instructions that say what to follow by what not to follow, or by what else there is, become plain ones ("follow the
red block with an open hand"), on which the policy then acts as it was trained to. An instruction that is plain already
is nothing to think about. Actions stay what they were: see `unichunk.runtime.train.thoughts`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import tyro

from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.runtime.compile.compile_plan import IMAGE_MEAN, IMAGE_STD
from unichunk.runtime.train.thinking_checkpoint import opened, write_thinking
from unichunk.runtime.train.thoughts import share_right, thought_batch, train_thoughts
from unichunk.runtime.unified import UNIFIED_WIDTH
from unichunk.server.train_follow_phrases import phrases
from unichunk.server.train_follow_sources import RobotDemonstrations, camera_of, load_demonstrations, source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.compile.prompt import Prompt

THOUGHT_TOKENS: Final = 32
ROUNDABOUT: Final = (
    "follow the block that is not {other}",
    "follow the other block, not the {other} one",
    "do not follow the {other} block but the other one",
    "leave the {other} block alone and follow the other one",
    "there is a {other} block and another one: follow the other one",
    "anything but the {other} block",
    "not {other}",
)
"""Ways to name a block by the other; `MANNERS` are the same as in plain instructions."""
MANNERS: Final = {"": "", " with an open hand": " with an open hand", " with a closed hand": " with a closed hand"}
"""What is said behind, and what of it is written down."""


@dataclass(frozen=True)
class Recipe:
    """Teach a policy to write down which block is meant.

    Attributes:
        checkpoint: Of a policy that `train_follow` trained.
        out: Where to write the checkpoint that thinks.
        robot: Whose demonstrations show what it sees.
        data: They, as `train_follow` recorded them.
        steps: How many, of `observations` each.
        observations: In a batch.
        seed: Of everything.
    """

    checkpoint: Path
    out: Path
    robot: str
    data: Path
    steps: int = 250
    observations: int = 48
    seed: int = 1


def thoughts(spec: EmbodimentSpec) -> dict[str, str]:
    """Instruction -> what is to be written; nothing for those that are plain already."""
    plain = {text: "" for texts in phrases(spec).values() for text in texts}
    roundabout = {
        text.format(other=other) + said: f"follow the {block} block{written}"
        for other, block in (BLOCKS, BLOCKS[::-1])
        for text in ROUNDABOUT
        for said, written in MANNERS.items()
    }
    return plain | roundabout


def main() -> None:
    """Run the recipe from the command line."""
    recipe = tyro.cli(Recipe, description=__doc__)
    if recipe.out.exists():
        raise SystemExit(f"{recipe.out} exists already; remove it or write elsewhere")
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)
    policy, prompt = opened(recipe.checkpoint, THOUGHT_TOKENS)
    shown, held_out = split(thoughts(load_spec(recipe.robot)))
    batches = _batches(recipe, prompt, shown)
    train_thoughts(policy, lambda: next(batches), steps=recipe.steps, learning_rate=3e-3, report=_say)
    tests = _batches(recipe, prompt, held_out)
    right = [share_right(policy, *next(tests)) for _ in range(4)]
    _say(f"held out: {len(held_out)} instructions, whole thoughts right {100 * np.mean(right):.1f} %")
    write_thinking(policy, recipe.checkpoint, recipe.out)
    _say(f"checkpoint: {recipe.out}")


def split(told: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Instructions to train with, and every fifth of either kind to test with."""
    parts: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for kind in (False, True):
        for number, (text, said) in enumerate(pair for pair in told.items() if bool(pair[1]) is kind):
            parts[number % 5 == 2][text] = said
    return parts


def _batches(recipe: Recipe, prompt: Prompt, told: dict[str, str]) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    spec = load_spec(recipe.robot)
    robot = RobotDemonstrations(spec, camera_of(spec), load_demonstrations(recipe.data))
    data = source(robot, prompt, 1, 0).data
    plain, roundabout = ([pair for pair in told.items() if bool(pair[1]) is said] for said in (False, True))
    random, half = np.random.default_rng(recipe.seed), recipe.observations // 2
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGE_MEAN, IMAGE_STD))
    while True:
        rows = np.sort(random.choice(len(data.images), 2 * half, replace=False))
        chosen = [pairs[i] for pairs in (plain, roundabout) for i in random.integers(len(pairs), size=half)]
        ids = [(prompt.text_ids(told), (*prompt.tokenizer.text(said), prompt.end)) for told, said in chosen]
        images = torch.from_numpy(data.images[rows]).permute(0, 3, 1, 2).float() / 255
        state = torch.zeros(len(rows), UNIFIED_WIDTH)
        state[:, list(data.slots)] = torch.from_numpy(data.state[rows])
        yield ((images - mean) / std)[:, None], *thought_batch(ids), state


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
