"""The recipe of the shipped policy: demonstrations, training, checkpoint, bundle, evaluation.

`python -m unichunk.server.train_so101_follow --out DIR` needs the extra `train` and somewhat over an hour on two cores.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
import tyro

from unichunk.embodiments.sim.demonstrations import Demonstrations
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.policy_values import PolicyValues
from unichunk.embodiments.sim.recording import record_demonstrations
from unichunk.embodiments.spec import EmbodimentSpec, load_spec
from unichunk.runtime.compile.checkpoint_writer import write_checkpoint
from unichunk.runtime.compile.compile import IMAGE_MEAN, IMAGE_STD
from unichunk.runtime.compile.config import config_of
from unichunk.runtime.compile.config_document import parse_config
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.compile.sizes import Sizes, config_document
from unichunk.runtime.compile.templates import SYSTEM_MESSAGES
from unichunk.runtime.compile.tokenizer_training import train_tokenizer
from unichunk.runtime.train.being_h import BeingH, ConstantTokens
from unichunk.runtime.train.delays import DelayDistribution
from unichunk.runtime.train.samples import BatchSampler, TrainingData
from unichunk.runtime.train.training import TrainingSettings, train

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMBODIMENT: Final = "so101"
DATASET: Final = "so101_follow"
CAMERA: Final = "third_person"
MAX_DELAY: Final = 12
VOCABULARY: Final = 512
SIZES: Final = Sizes(
    vision_width=96,
    vision_layers=3,
    vision_heads=4,
    vision_mlp=192,
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
    simulated_delay=MAX_DELAY + 1,  # in the published words: delays are less than this
)
BLOCKS: Final = ("red", "blue")
INSTRUCTIONS: Final = (
    "follow the {} block",
    "Follow the {} block.",
    "follow the {} cube",
    "follow the {} target",
    "track the {} block",
    "keep the gripper over the {} cube",
    "stay above the {} block",
    "move with the {} block",
    "hover over the {} cube",
    "go to the {} block and stay with it",
)


@dataclass(frozen=True)
class Recipe:
    """Train the policy that ships with the project: the SO-101's gripper follows the block that it is told to follow.

    Attributes:
        out: Where to write the checkpoint; `unichunk compile` makes the bundle of it.
        episodes: Demonstrations to record, 8 s each.
        minutes: Time to train, [min].
        seed: Seed of demonstrations and training.
        workers: Processes that record, and threads that train.
        data: Where the demonstrations are kept; they are recorded again if they are not there.
    """

    out: Path
    episodes: int = 700
    minutes: float = 65.0
    seed: int = 1
    workers: int = 2
    data: Path = Path("data/so101_follow")


def main() -> None:
    """Run the recipe from the command line."""
    recipe = tyro.cli(Recipe, description=__doc__)
    _check_destination(recipe.out)
    spec = load_spec(EMBODIMENT)
    build(recipe, spec, _demonstrations(recipe))


def build(recipe: Recipe, spec: EmbodimentSpec, demonstrations: Demonstrations) -> None:
    """Train on demonstrations and write the checkpoint."""
    _check_destination(recipe.out)
    torch.set_num_threads(recipe.workers)
    torch.manual_seed(recipe.seed)
    document = config_document(SIZES)
    config = config_of(parse_config(json.dumps(document).encode(), "the recipe's configuration"))
    tokenizer = train_tokenizer(_texts(), VOCABULARY)
    prompt = Prompt.of(config, tokenizer["tokenizer.json"])
    values = PolicyValues(spec, demonstrations.rows.reshape(-1, len(spec.joints)))
    policy = BeingH(config, ConstantTokens(prompt.head, prompt.between, prompt.after_state))
    _say(f"policy: {sum(p.numel() for p in policy.parameters()) / 1e6:.2f} M parameters")
    delays = DelayDistribution(action_hz=spec.action_hz, margin_ticks=spec.delay_margin_ticks, max_delay=MAX_DELAY)
    data = training_data(spec, values, demonstrations, instruction_tokens(prompt))
    sampler = BatchSampler(data, delays, 64, 4, np.random.default_rng([recipe.seed, 1]))
    settings = TrainingSettings(minutes=recipe.minutes, slots=values.slots, image_mean=IMAGE_MEAN, image_std=IMAGE_STD)
    begin = time.monotonic()
    policy, steps = train(policy, sampler, settings, _say)
    _say(f"{steps} steps in {(time.monotonic() - begin) / 60.0:.1f} min")
    write_checkpoint(
        recipe.out,
        config=document,
        tensors=((name, value.numpy()) for name, value in policy.state_dict().items()),
        metadata={DATASET: {DATASET: metadata(spec, values, demonstrations)}},
        tokenizer=tokenizer,
    )
    _say(f"checkpoint: {recipe.out}")


def instruction_tokens(prompt: Prompt) -> NDArray[np.int64]:
    """Token ids after the state of all instructions, shape (blocks, instructions, L), padded with -1."""
    ids = [[prompt.text_ids(text.format(block)) for text in INSTRUCTIONS] for block in BLOCKS]
    longest = max(len(text) for texts in ids for text in texts)
    return np.array([[[*text, *[-1] * (longest - len(text))] for text in texts] for texts in ids], dtype=np.int64)


def training_data(
    spec: EmbodimentSpec, values: PolicyValues, demonstrations: Demonstrations, tokens: NDArray[np.int64]
) -> TrainingData:
    """Demonstrations in the policy's values, and the expert's plan in them."""
    expert = Expert(spec)

    def plan(last: NDArray[np.float32], goal: NDArray[np.float32]) -> NDArray[np.float32]:
        return values.encode(expert.continuation(values.decode(last), values.decode(goal), SIZES.rows))

    return TrainingData(
        images=demonstrations.images,
        state=values.encode(demonstrations.q),
        goals=values.encode(demonstrations.goal),
        followed=demonstrations.followed,
        rows=values.encode(demonstrations.rows),
        episode=demonstrations.episode,
        tick=demonstrations.tick,
        most_locked=demonstrations.most_locked,
        tokens=tokens,
        plan=plan,
    )


def metadata(spec: EmbodimentSpec, values: PolicyValues, demonstrations: Demonstrations) -> dict[str, Any]:
    """The dataset's entry of its metadata file; state and action have the same statistics."""
    camera = spec.cameras[CAMERA]
    statistics = values.statistics(demonstrations.rows.reshape(-1, len(spec.joints)))
    shapes = {
        name: {"absolute": True, "rotation_type": None, "shape": [len(group.joints)], "continuous": True}
        for name, group in spec.groups.items()
    }
    view = {"resolution": [camera.width, camera.height], "channels": 3, "fps": float(spec.action_hz)}
    return {
        "statistics": {"state": statistics, "action": statistics},
        "modalities": {"video": {CAMERA: view}, "state": shapes, "action": shapes},
        "embodiment_tag": spec.name,
        "stats_level": "merged",
    }


def _check_destination(out: Path) -> None:
    """What `write_checkpoint` would say after an hour, said before."""
    if out.exists():
        raise SystemExit(f"{out} exists already; remove it or write elsewhere")


def _texts() -> list[str]:
    told = [text.format(block) for text in INSTRUCTIONS for block in BLOCKS]
    return 4 * [*SYSTEM_MESSAGES.values(), "system\n", "user\n", "assistant\n", *told]


def _demonstrations(recipe: Recipe) -> Demonstrations:
    path = recipe.data / f"demonstrations-{recipe.seed}-{recipe.episodes}.npz"
    if not path.is_file():
        record_demonstrations(
            EMBODIMENT, CAMERA, SIZES.image_size, MAX_DELAY, recipe.episodes, recipe.seed, recipe.workers, _say
        ).save(path)
    return Demonstrations.load(path)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
