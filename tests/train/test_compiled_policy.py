"""Raw observations through a compiled bundle and the PyTorch network: a sharded checkpoint unlike the golden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from PIL import Image  # noqa: E402

from unichunk.runtime.compile.checkpoint import Checkpoint  # noqa: E402
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint  # noqa: E402
from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: E402
from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: E402
from unichunk.runtime.compile.compile_plan import IMAGE_MEAN, IMAGE_STD  # noqa: E402
from unichunk.runtime.compile.directions import drawn_directions  # noqa: E402
from unichunk.runtime.compile.prompt import Prompt  # noqa: E402
from unichunk.runtime.compile.sizes import Sizes  # noqa: E402
from unichunk.runtime.policy import Policy  # noqa: E402
from unichunk.runtime.train.being_h import BeingH, ConstantTokens  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

SIZES = Sizes(
    vision_norm="rms_norm",
    vision_norm_eps=1e-5,
    vision_qk_normalization=True,
    vision_qkv_bias=False,
    vision_image_size=84,
    vision_heads=4,
    vision_layers=3,
    image_size=56,
    width=72,
    heads=6,
    kv_heads=3,
    head_dim=20,
    layers=3,
    expert_width=44,
    expert_mlp=52,
    rows=8,
    steps=5,
    mpg_projections=9,
    mpg_rounds=2,
)
DATASET, SEED = "kitchens", 5
VIEWS = {"left_view": (240, 320), "right_view": (100, 80), "wrist_view": (56, 300)}
STATE = {"eef_position": 3, "eef_rotation": 3, "gripper_qpos": 2, "base_position": 3, "base_rotation": 4}
ACTION = {"eef_position": 3, "eef_rotation": 3, "gripper_position": 1, "base_motion": 4, "control_mode": 1}
ROTATIONS = {"eef_rotation": "axis_angle", "base_rotation": "quaternion"}


def metadata() -> dict[str, Any]:
    modalities = {
        section: {name: {"shape": [width], "rotation_type": ROTATIONS.get(name)} for name, width in keys.items()}
        for section, keys in (("state", STATE), ("action", ACTION))
    }
    video = {view: {"resolution": [256, 256], "channels": 3, "fps": 20.0} for view in VIEWS}
    entry = {"modalities": {"video": video, **modalities}, "embodiment_tag": "robocasa", "stats_level": "merged"}
    return {DATASET: {DATASET: entry}}


class Compiled(NamedTuple):
    bundle: Path
    network: BeingH
    prompt: Prompt


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("kitchens")
    random_checkpoint(folder / "checkpoint", SIZES, seed=7, scale=2.0, metadata=metadata(), shard_bytes=60_000)
    assert len(list((folder / "checkpoint").glob("*.safetensors"))) > 3
    options = CompileOptions("robocasa_human", DATASET, seed=SEED)
    compile_checkpoint(folder / "checkpoint", folder / "bundle", options)
    checkpoint = Checkpoint.open(folder / "checkpoint")
    prompt = Prompt.read(checkpoint.config, checkpoint.tokenizer_file)
    network = BeingH(checkpoint.config, ConstantTokens(prompt.head, prompt.between, prompt.after_state)).eval()
    weights = {
        name: torch.from_numpy(checkpoint.tensor(name).astype(np.float32))
        for name in network.state_dict()
        if name != "language_model.model.norm.weight"  # nothing reads it
    }
    network.load_state_dict(weights, strict=False)
    return Compiled(folder / "bundle", network, prompt)


def pixels(image: np.ndarray) -> np.ndarray:
    """As the reference tells it."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    size = (int(56 * width / shorter), int(56 * height / shorter))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - 56) / 2), round((size[1] - 56) / 2)
    cut = np.asarray(resized)[top : top + 56, left : left + 56].astype(np.float32) / 255
    return ((cut - np.float32(IMAGE_MEAN)) / np.float32(IMAGE_STD)).transpose(2, 0, 1)


def axis_angle(quaternion: np.ndarray) -> np.ndarray:
    w, *xyz = np.sign(quaternion[0]) * quaternion / np.linalg.norm(quaternion)
    length = np.linalg.norm(xyz)
    return np.array(xyz) * 2.0 * np.arctan2(length, w) / length


@pytest.mark.parametrize("rounds", [0, 2])
@pytest.mark.parametrize(("delay", "given"), [(0, None), (1, 1), (3, 8), (5, 5), (8, 8)])
@pytest.mark.parametrize("instruction", ["pick up the mug", "open the left drawer of the kitchen cabinet slowly"])
def test_the_bundle_answers_what_the_network_answers(
    compiled: Compiled, rounds: int, delay: int, given: int | None, instruction: str
) -> None:
    random = np.random.default_rng([rounds, delay])
    images = {f"video.{view}": random.integers(0, 256, (*shape, 3), np.uint8) for view, shape in VIEWS.items()}
    state = {f"state.{name}": random.normal(size=width) for name, width in STATE.items()}
    noise = random.normal(size=(1 + rounds, 8, 200)).astype(np.float32)
    previous = None if given is None else random.normal(size=(given, 200)).astype(np.float32)
    policy = Policy.load(compiled.bundle, refinement_rounds=rounds)
    result = policy.infer({**images, **state, "language.instruction": instruction}, previous, delay, noise)

    unified = np.zeros((1, 200), np.float32)
    unified[0, 0:3], unified[0, 3:6] = state["state.eef_position"], state["state.eef_rotation"]
    unified[0, 44:46], unified[0, 70:73] = state["state.gripper_qpos"], state["state.base_position"]
    unified[0, 73:76] = axis_angle(state["state.base_rotation"])
    locked = np.zeros((8, 200), np.float32)
    if previous is not None:
        locked[:given], locked[given:] = previous, previous[-1]
    directions = torch.from_numpy(drawn_directions(9, 72, SEED)) if rounds else None
    with torch.no_grad():
        prefix = compiled.network.prefix(
            torch.from_numpy(np.stack([pixels(image) for image in images.values()]))[None],
            torch.tensor([compiled.prompt.text_ids(instruction)]),
            torch.from_numpy(unified),
        )
        expected = compiled.network.sample(
            prefix, torch.from_numpy(noise)[None], torch.from_numpy(locked)[None], delay, 5, directions
        )[0].numpy()
    np.testing.assert_allclose(result.unified, expected, atol=1e-4)
    np.testing.assert_array_equal(result.unified[:delay], locked[:delay])
    np.testing.assert_allclose(result.actions["action.base_motion"], expected[:, 70:74], atol=1e-4)
    assert set(np.unique(result.actions["action.control_mode"])) <= {0.0, 1.0}
