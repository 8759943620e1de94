"""The recipe of the shipped policy: demonstrations, training, export, evaluation.

`python -m unichunk.server.train_so101_follow --out DIR` needs the extra `train` and about half an hour on two cores.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import tyro

from unichunk.embodiments.sim.demonstrations import Demonstrations
from unichunk.embodiments.sim.evaluation import evaluation_table
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.policy_values import PolicyValues
from unichunk.embodiments.sim.recording import record_demonstrations
from unichunk.embodiments.spec import EmbodimentSpec, load_spec
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import MANIFEST_NAME, write_bundle
from unichunk.runtime.policy.manifest import FORMAT_VERSION, ImageInput, LanguageInput, Manifest
from unichunk.runtime.policy.preprocessing import token_input
from unichunk.runtime.train.delays import DelayDistribution
from unichunk.runtime.train.export import export_graphs
from unichunk.runtime.train.model import FlowPolicy, PolicyShape
from unichunk.runtime.train.samples import BatchSampler, TrainingData
from unichunk.runtime.train.training import TrainingSettings, train
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMBODIMENT: Final = "so101"
CAMERA: Final = "third_person"
ROWS: Final = 24
DENOISING_STEPS: Final = 5
MAX_DELAY: Final = 12
LANGUAGE: Final = LanguageInput(tokenizer="utf8_bytes", max_tokens=64)
IMAGE: Final = ImageInput(height=72, width=96, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
INSTRUCTIONS: Final = (
    "follow the red target",
    "Follow the red target.",
    "follow the red cube",
    "track the red block",
    "keep the gripper over the red cube",
    "stay above the red target",
    "move with the red block",
    "hover over the red cube",
)


@dataclass(frozen=True)
class Recipe:
    """Train the policy that ships with the project: the SO-101's gripper follows a red cube.

    Attributes:
        out: Where to write the bundle.
        episodes: Demonstrations to record, 8 s each.
        minutes: Time to train, [min].
        seed: Seed of demonstrations and training.
        workers: Processes that record, and threads that train.
        data: Where the demonstrations are kept; they are recorded again if they are not there.
        evaluate_only: Evaluate the bundle that is already in `out`.
    """

    out: Path
    episodes: int = 560
    minutes: float = 25.0
    seed: int = 1
    workers: int = 2
    data: Path = Path("data/so101_follow")
    evaluate_only: bool = False


def main() -> None:
    """Run the recipe from the command line."""
    recipe = tyro.cli(Recipe, description=__doc__)
    spec = load_spec(EMBODIMENT)
    if not recipe.evaluate_only:
        _check_destination(recipe.out)
        demonstrations = _demonstrations(recipe)
        build(recipe, spec, demonstrations)
    _say(evaluation_table(spec, Policy.load(recipe.out), CAMERA, INSTRUCTIONS[0]))


def build(recipe: Recipe, spec: EmbodimentSpec, demonstrations: Demonstrations) -> Manifest:
    """Train on demonstrations and write the bundle."""
    torch.set_num_threads(recipe.workers)
    torch.manual_seed(recipe.seed)
    values = PolicyValues(spec, demonstrations.rows.reshape(-1, len(spec.joints)))
    shape = PolicyShape(
        rows=ROWS,
        slots=values.slots,
        reach=tuple(values.encode_steps(Expert(spec).max_step).tolist()),
        denoising_steps=DENOISING_STEPS,
        image_height=IMAGE.height,
        image_width=IMAGE.width,
        views=1,
        max_tokens=LANGUAGE.max_tokens,
    )
    policy = FlowPolicy(shape)
    _say(f"policy: {sum(p.numel() for p in policy.parameters()) / 1e6:.2f} M parameters")
    delays = DelayDistribution(action_hz=spec.action_hz, margin_ticks=spec.delay_margin_ticks, max_delay=MAX_DELAY)
    sampler = BatchSampler(
        training_data(spec, values, demonstrations), delays, 96, 4, np.random.default_rng([recipe.seed, 1])
    )
    settings = TrainingSettings(minutes=recipe.minutes, image_mean=IMAGE.mean[0], image_std=IMAGE.std[0])
    begin = time.monotonic()
    policy, steps = train(policy, sampler, settings, _say)
    minutes = (time.monotonic() - begin) / 60.0
    recipe.data.mkdir(parents=True, exist_ok=True)
    weights = {name: value.numpy() for name, value in policy.state_dict().items()}
    np.savez(recipe.data / "weights.npz", allow_pickle=False, **weights)
    with tempfile.TemporaryDirectory() as folder:
        graphs = export_graphs(policy, Path(folder))
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            name="so101_follow",
            description="SO-101: the gripper hovers over a red cube that moves on the table.",
            chunk_length=ROWS,
            unified_width=UNIFIED_WIDTH,
            denoising_steps=DENOISING_STEPS,
            action_hz=spec.action_hz,
            max_delay=MAX_DELAY,
            embodiments=(spec.name,),
            cameras=(CAMERA,),
            image=IMAGE,
            language=LANGUAGE,
            state=values.keys,
            action=values.keys,
            graphs=graphs,
            provenance=_provenance(recipe, demonstrations, steps, minutes),
        )
        files = {name: Path(folder) / name for name in (graphs.prefix.file, graphs.chunk.file)}
        manifest = write_bundle(recipe.out, manifest, files)
    size = sum(path.stat().st_size for path in recipe.out.iterdir())
    _say(f"bundle: {recipe.out}, {size / 1e6:.2f} MB, {steps} steps in {minutes:.1f} min")
    return manifest


def training_data(spec: EmbodimentSpec, values: PolicyValues, demonstrations: Demonstrations) -> TrainingData:
    """Demonstrations in the policy's values, and the expert's plan in them."""
    expert = Expert(spec)

    def plan(last: NDArray[np.float32], goal: NDArray[np.float32]) -> NDArray[np.float32]:
        return values.encode(expert.continuation(values.decode(last), values.decode(goal), ROWS))

    return TrainingData(
        images=demonstrations.images,
        state=values.encode(demonstrations.q),
        goal=values.encode(demonstrations.goal),
        rows=values.encode(demonstrations.rows),
        episode=demonstrations.episode,
        tick=demonstrations.tick,
        most_locked=demonstrations.most_locked,
        tokens=np.concatenate([token_input(text, LANGUAGE) for text in INSTRUCTIONS]),
        plan=plan,
    )


def _check_destination(out: Path) -> None:
    """What `write_bundle` would say after half an hour, said before."""
    if out.exists() and not (out / MANIFEST_NAME).is_file():
        raise BundleError(f"{out}: exists and is not a bundle; remove it or choose another folder")


def _demonstrations(recipe: Recipe) -> Demonstrations:
    path = recipe.data / f"demonstrations-{recipe.seed}-{recipe.episodes}.npz"
    if not path.is_file():
        size = (IMAGE.width, IMAGE.height)
        record_demonstrations(
            EMBODIMENT, CAMERA, size, MAX_DELAY, recipe.episodes, recipe.seed, recipe.workers, _say
        ).save(path)
    return Demonstrations.load(path)


def _provenance(recipe: Recipe, demonstrations: Demonstrations, steps: int, minutes: float) -> dict[str, str]:
    packages = ("torch", "onnx", "onnxscript", "mujoco", "numpy")
    return {
        "recipe": f"python -m unichunk.server.train_so101_follow --out {recipe.out.name} --episodes {recipe.episodes} "
        f"--minutes {recipe.minutes:g} --seed {recipe.seed} --workers {recipe.workers}",
        "demonstrations": f"{len(demonstrations.rows)} episodes, {len(demonstrations.images)} observations",
        "training": f"{steps} steps in {minutes:.1f} min on the CPU ({platform.machine()}, {recipe.workers} threads)",
        "seed": str(recipe.seed),
        "versions": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
