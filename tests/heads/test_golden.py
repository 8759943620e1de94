"""Compiled heads against plain loops in PyTorch: raw observations in, chunks out, through the ordinary policy."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from tests.heads.loops import sampled  # noqa: E402
from tests.heads.models import ANGLES, CAMERA, ROWS, SLOTS, Case  # noqa: E402
from unichunk.runtime.compile.compile_plan import IMAGE_MEAN, IMAGE_STD  # noqa: E402
from unichunk.runtime.compile.heads.head_checkpoint import HeadCheckpoint  # noqa: E402
from unichunk.runtime.train.heads.context import Observed  # noqa: E402


def observed(case: Case) -> Observed:
    """What the network gets, made here."""
    pixels = (case.observation[f"video.{CAMERA}"] / 255 - IMAGE_MEAN) / IMAGE_STD
    state, mask = torch.zeros(1, 200), torch.zeros(1, 200)
    for name, key in case.policy.robot.state.items():
        values, norm = case.observation[f"state.{name}"], key.normalization
        state[0, slice(*key.slots)] = torch.tensor((values - norm.mean) / norm.std, dtype=torch.float32)
    mask[0, SLOTS] = 1.0
    ids = HeadCheckpoint.open(case.model.checkpoint).tokenizer().text("do this: follow the blue block")
    text = torch.full((1, case.model.network.config.max_text), -1)
    text[0, : len(ids)] = torch.tensor(ids)
    image = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))[None, None]
    return Observed(image, text, state, mask, mask, torch.tensor([[ANGLES]]))


@pytest.mark.parametrize("delay", [0, 1, 5, ROWS])
def test_the_bundle_answers_what_the_loop_answers(case: Case, delay: int) -> None:
    result = case.policy.infer(case.observation, case.previous, delay, case.noise)
    # Gaussian in the robot's own slots, and zero elsewhere.
    noise = torch.zeros(1, ROWS, 200)
    if case.noise is not None:
        noise[..., SLOTS] = torch.from_numpy(case.noise[:, SLOTS])
    previous = torch.from_numpy(case.previous)[None]
    expected = sampled(case.model.network, observed(case), noise, previous, delay)[0].numpy()
    expected[delay:, np.setdiff1d(np.arange(200), SLOTS)] = 0
    np.testing.assert_allclose(result.unified, expected, rtol=0, atol=3e-6 * np.abs(expected).max())
    np.testing.assert_array_equal(result.unified[:delay].view(np.int32), case.previous[:delay].view(np.int32))
