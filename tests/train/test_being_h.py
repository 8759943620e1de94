"""The trained network is the published one: the golden checkpoint's weights give the golden actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from safetensors.torch import load_file  # noqa: E402

from unichunk.runtime.compile.config import read_config  # noqa: E402
from unichunk.runtime.train.being_h import BeingH, ConstantTokens  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "being_h05_tiny"
CASES = ("plain", "locked", "mpg", "mpg_locked")


@pytest.fixture(scope="module")
def recorded():
    with np.load(GOLDEN / "golden.npz") as archive:
        return dict(archive)


def pieces(recorded, case):
    """Head, between, after-state and later token ids of a recorded sequence."""
    places = recorded[f"{case}/token_positions"].tolist()
    sequence = dict(zip(places, recorded[f"{case}/token_ids"].tolist(), strict=True))
    images, state = recorded[f"{case}/image_positions"], int(recorded[f"{case}/state_position"][0])
    actions = int(recorded[f"{case}/action_positions"][0])
    head = tuple(sequence[place] for place in range(images[0]))
    between = tuple(sequence[place] for place in range(images[-1] + 1, state))
    after = [sequence[place] for place in range(state + 1, actions)]
    return ConstantTokens(head, between, tuple(after[:1])), after[1:]


@pytest.fixture(scope="module")
def policy(recorded) -> BeingH:
    torch.set_num_threads(1)
    policy = BeingH(read_config(GOLDEN), pieces(recorded, "plain")[0])
    weights = {name: value.float() for name, value in load_file(GOLDEN / "model.safetensors").items()}
    found = policy.load_state_dict(weights, strict=False)
    assert not found.missing_keys
    assert found.unexpected_keys == ["language_model.lm_head.weight"]
    return policy.eval()


@pytest.mark.parametrize("padding", [0, 9])
@pytest.mark.parametrize("case", CASES)
def test_the_golden_actions_come_out(policy, recorded, case, padding):
    text = pieces(recorded, case)[1]
    tokens = torch.tensor([[*text, *[-1] * padding]])
    images, state = recorded[f"{case}/pixel_values"], recorded[f"{case}/state_unified"]
    previous = torch.from_numpy(recorded.get(f"{case}/prev_chunk", np.zeros((16, 200), np.float32)))
    directions = torch.from_numpy(recorded["directions"]) if case.startswith("mpg") else None
    with torch.no_grad():
        prefix = policy.prefix(torch.from_numpy(images)[None], tokens, torch.from_numpy(state))
        noise = torch.from_numpy(recorded[f"{case}/noise"])[None]
        delay = int(recorded[f"{case}/inference_delay"])
        rows = policy.sample(prefix, noise, previous[None], delay, 4, directions)
    np.testing.assert_allclose(rows.numpy(), recorded[f"{case}/out/action_unified"], atol=5e-5)


def test_chunks_of_a_batch_do_not_see_each_other(policy, recorded):
    """Several chunks for each of several observations, all at once, are what each of them is alone."""
    text = pieces(recorded, "plain")[1]
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 2, 3, 56, 56, generator=generator)
    state, tokens = torch.randn(2, 200, generator=generator), torch.tensor([[*text, -1], [*text, 5]])
    rows, buckets = torch.randn(6, 16, 200, generator=generator), torch.randint(0, 1001, (6, 16), generator=generator)
    with torch.no_grad():
        together = policy.velocity(rows, buckets, policy.prefix(images, tokens, state))
        for sample in range(6):
            one = slice(sample // 3, sample // 3 + 1)
            prefix = policy.prefix(images[one], tokens[one], state[one])
            alone = policy.velocity(rows[sample : sample + 1], buckets[sample : sample + 1], prefix)
            torch.testing.assert_close(together[sample], alone[0], atol=2e-4, rtol=1e-4)
