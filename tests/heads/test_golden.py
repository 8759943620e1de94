"""Compiled heads against plain loops in PyTorch: raw observations in, chunks out, through the ordinary policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from tests.heads.loops import sampled  # noqa: E402
from tests.heads.models import ANGLES, CAMERA, HEADS, ROWS, Model, head_config  # noqa: E402
from unichunk.embodiments.catalogue import load_spec  # noqa: E402
from unichunk.runtime.compile.compile_plan import IMAGE_MEAN, IMAGE_STD  # noqa: E402
from unichunk.runtime.compile.heads.head_checkpoint import HeadCheckpoint  # noqa: E402
from unichunk.runtime.policy import Policy  # noqa: E402
from unichunk.runtime.train.heads.context import Observed  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

SPEC = load_spec("so101")
SLOTS = [slot for group in SPEC.groups.values() for slot in range(*group.slots)]


class Case:
    """A model, its bundle, an observation in both forms."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.model = Model.make(folder / "checkpoint", head_config(kind), seed=3)
        self.policy = Policy.load(self.model.compiled(folder / "bundle", batch=(2,)), max_batch=1)
        random = np.random.default_rng(len(kind))
        self.observation: dict[str, Any] = {f"video.{CAMERA}": random.integers(0, 256, (28, 28, 3), np.uint8)}
        for name, group in SPEC.groups.items():
            self.observation[f"state.{name}"] = random.normal(size=len(group.joints))
        self.observation["language.instruction"] = "follow the blue block"
        self.noise = random.normal(size=(ROWS, 200)).astype(np.float32)
        self.previous = random.normal(size=(ROWS, 200)).astype(np.float32)

    @property
    def own_noise(self) -> Tensor:
        """The noise is Gaussian in the robot's own slots, and zero elsewhere."""
        noise = np.zeros_like(self.noise)
        noise[:, SLOTS] = self.noise[:, SLOTS]
        return torch.from_numpy(noise)[None]

    def observed(self) -> Observed:
        """What the network gets, made here."""
        robot = self.policy.robot
        pixels = (self.observation[f"video.{CAMERA}"] / 255 - IMAGE_MEAN) / IMAGE_STD
        state, mask = torch.zeros(1, 200), torch.zeros(1, 200)
        for name, key in robot.state.items():
            values, norm = self.observation[f"state.{name}"], key.normalization
            state[0, slice(*key.slots)] = torch.tensor((values - norm.mean) / norm.std, dtype=torch.float32)
        mask[0, SLOTS] = 1.0
        ids = HeadCheckpoint.open(self.model.checkpoint).tokenizer().text("do this: follow the blue block")
        text = torch.full((1, self.model.network.config.max_text), -1)
        text[0, : len(ids)] = torch.tensor(ids)
        image = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))[None, None]
        return Observed(image, text, state, mask, mask, torch.tensor([[ANGLES]]))


@pytest.fixture(scope="module", params=list(HEADS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    torch.set_num_threads(1)
    return Case(tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.parametrize("delay", [0, 1, 5, ROWS])
def test_the_bundle_answers_what_the_loop_answers(case: Case, delay: int) -> None:
    noise = case.noise if case.policy.manifest.denoises else None
    result = case.policy.infer(case.observation, case.previous, delay, noise)
    previous = torch.from_numpy(case.previous)[None]
    expected = sampled(case.model.network, case.observed(), case.own_noise, previous, delay)[0].numpy()
    expected[delay:, np.setdiff1d(np.arange(200), SLOTS)] = 0
    np.testing.assert_allclose(result.unified, expected, rtol=0, atol=3e-6 * np.abs(expected).max())
    np.testing.assert_array_equal(result.unified[:delay].view(np.int32), case.previous[:delay].view(np.int32))
