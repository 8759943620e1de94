"""Guided bundles against the network in PyTorch and autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from tests.compile.graph_runs import Bundle, RandomModel  # noqa: E402
from tests.train.guided_reference import guided_sample, undetached  # noqa: E402
from unichunk.runtime.compile.directions import drawn_directions  # noqa: E402
from unichunk.runtime.compile.sizes import Sizes  # noqa: E402
from unichunk.runtime.policy.bundle import read_manifest  # noqa: E402
from unichunk.runtime.train.being_h import BeingH, ConstantTokens  # noqa: E402
from unichunk.runtime.train.gating import Gating  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

SIZES = Sizes(rows=7, steps=3, heads=6, kv_heads=3, head_dim=20, layers=2, mpg_projections=9, mpg_rounds=1)
TEXT = (5, 17, 200, 3)


class Compiled(NamedTuple):
    model: RandomModel
    bundle: Bundle
    network: BeingH


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    torch.set_num_threads(1)
    folder: Path = tmp_path_factory.mktemp("guided")
    model = RandomModel.write(folder, SIZES, views=1)
    checkpoint, prompt = model.checkpoint, model.prompt
    network = BeingH(checkpoint.config, ConstantTokens(prompt.head, prompt.between, prompt.after_state)).eval()
    weights = {
        name: torch.from_numpy(checkpoint.tensor(name).astype(np.float32))
        for name in network.state_dict()
        if name != "language_model.model.norm.weight"  # nothing reads it
    }
    network.load_state_dict(weights, strict=False)
    return Compiled(model, model.compiled(folder / "bundle", guided=True), network.double())


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize(("delay", "overlap"), [(0, 0), (0, 3), (2, 5), (3, 3), (6, 7), (1, 7)])
def test_a_guided_graph_follows_the_derivative_that_autograd_finds(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch, rounds: int, delay: int, overlap: int
) -> None:
    monkeypatch.setattr(Gating, "forward", undetached)
    model, bundle, network = compiled
    values = model.inputs(rounds, seed=delay)
    values |= {"tokens": bundle.padded(TEXT), "delay": np.asarray(delay), "overlap": np.asarray(overlap)}
    own = np.zeros((1, 200), np.float32)
    own[:, 20:60] = 1.0
    values["action_mask"] = own
    # What is not there may hold anything.
    values["previous_chunk"][max(delay, overlap) :] = np.nan
    actions = bundle.sample(values, guided=True)["actions"]

    directions = torch.from_numpy(drawn_directions(9, SIZES.width, 0)).double() if rounds else None
    with torch.no_grad():
        prefix = network.prefix(
            torch.from_numpy(values["images"])[None].double(),
            torch.tensor([TEXT]),
            torch.from_numpy(values["state"]).double(),
        )
    noise, plan = (torch.from_numpy(values[name]).double() for name in ("noise", "previous_chunk"))
    expected = guided_sample(
        network, prefix, noise, plan, delay, max(delay, overlap), 3, torch.from_numpy(own), directions
    ).numpy()
    assert np.array_equal(actions[:delay], values["previous_chunk"][:delay])
    assert actions[delay:] == pytest.approx(expected[delay:], abs=2e-5 * np.abs(expected[delay:]).max())


def test_guidance_changes_what_it_should(compiled: Compiled) -> None:
    model, bundle, _ = compiled
    values = model.inputs(0) | {"tokens": bundle.padded(TEXT), "delay": np.asarray(0), "overlap": np.asarray(0)}
    values["action_mask"] = np.ones((1, 200), np.float32)
    plain, free = (bundle.sample(values, guided=guided)["actions"] for guided in (False, True))
    assert free == pytest.approx(plain, abs=1e-5)
    values |= {"delay": np.asarray(2), "overlap": np.asarray(5)}
    steered = bundle.sample(values, guided=True)["actions"]
    away, before = (np.abs(rows - values["previous_chunk"]).mean(axis=1) for rows in (steered, free))
    assert (away[2:4] < 0.7 * before[2:4]).all()
    assert away[:2] == pytest.approx(0.0, abs=0.0)


def test_the_manifest_tells_guided_graphs_from_others(compiled: Compiled) -> None:
    chunks = read_manifest(compiled.bundle.folder).graphs.chunks
    assert [(graph.file, graph.refinement_rounds, graph.guided) for graph in chunks] == [
        ("chunk.onnx", 0, False),
        ("chunk_mpg.onnx", 1, False),
        ("chunk_guided.onnx", 0, True),
        ("chunk_mpg_guided.onnx", 1, True),
    ]
    inputs = {graph.file: [tensor.name for tensor in graph.inputs] for graph in chunks}
    assert [file for file, names in inputs.items() if "overlap" in names] == [
        "chunk_guided.onnx",
        "chunk_mpg_guided.onnx",
    ]
