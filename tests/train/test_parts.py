"""Adapters and mixture of flow: compiled graphs against the network in PyTorch, alone and in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from tests.compile.graph_runs import Bundle, run  # noqa: E402
from tests.compile.test_several_robots import DATASET, generalist_metadata  # noqa: E402
from tests.train.guided_reference import guided_sample  # noqa: E402
from unichunk.runtime.compile.checkpoint import Checkpoint  # noqa: E402
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint  # noqa: E402
from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: E402
from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: E402
from unichunk.runtime.compile.directions import drawn_directions  # noqa: E402
from unichunk.runtime.compile.prompt import Prompt  # noqa: E402
from unichunk.runtime.compile.robots import RobotSource  # noqa: E402
from unichunk.runtime.compile.sizes import Sizes  # noqa: E402
from unichunk.runtime.policy import Policy  # noqa: E402
from unichunk.runtime.policy.bundle import read_manifest  # noqa: E402
from unichunk.runtime.train.being_h import BeingH, ConstantTokens, SlotMasks  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.train.being_h import Prefix

ADAPTERS = {"adapter_rank": 3}
MIXTURE = {"experts": 5, "top_k": 2, "shared_layers": 1, "experts_mlp": 20, "router_width": 12}
VARIANTS: dict[str, dict[str, Any]] = {"adapters": ADAPTERS, "mixture": MIXTURE, "both": ADAPTERS | MIXTURE}
ROBOTS = ("so101", "d1", "adam_u")
TEXTS = ("follow the red block", "", "stay with the blue block, closing the hand")
STEPS, ROUNDS = 3, 1


class Compiled(NamedTuple):
    bundle: Bundle
    network: BeingH
    prompt: Prompt


@pytest.fixture(scope="module", params=VARIANTS)
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    torch.set_num_threads(1)
    folder: Path = tmp_path_factory.mktemp(request.param)
    sizes = Sizes(layers=3, rows=6, steps=STEPS, mpg_rounds=ROUNDS, **VARIANTS[request.param])
    random_checkpoint(folder / "checkpoint", sizes, seed=3, scale=2.0, metadata={DATASET: generalist_metadata()})
    sources = tuple(RobotSource(f"generalist_{name}", DATASET, name, name) for name in ROBOTS)
    options = CompileOptions(robots=sources, batch=(3,), guided=request.param == "both", instruction_tokens=24)
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
    return Compiled(Bundle(folder / "bundle"), network, prompt)


def requests(compiled: Compiled, rounds: int) -> list[dict[str, Any]]:
    """One of each robot: what the policy of that robot gives to the graphs."""
    given = []
    policy = Policy.load(compiled.bundle.folder, embodiment=ROBOTS[0], refinement_rounds=rounds)
    for delay, (name, text) in enumerate(zip(ROBOTS, TEXTS, strict=True)):
        random = np.random.default_rng(delay)
        own = policy.for_embodiment(name)
        observation = own.example_observation() | {"language.instruction": text}
        for key in [key for key in observation if key.startswith("video.")]:
            observation[key] = random.integers(0, 256, observation[key].shape, np.uint8)
        for key in [key for key in observation if key.startswith("state.")]:
            observation[key] = random.normal(size=observation[key].shape).astype(np.float32)
        noise = random.normal(size=(1 + rounds, 6, 200)).astype(np.float32)
        previous = random.normal(size=(6, 200)).astype(np.float32)
        given.append(own.preprocess(observation, previous, delay, noise))
    return given


def prefix_of(compiled: Compiled, values: dict[str, Any], robot: str, text: str) -> Prefix:
    entry = read_manifest(compiled.bundle.folder).robots[robot]
    masks = []
    for keys in (entry.state, entry.action):
        slots = [slot for key in keys.values() for slot in range(*key.slots)]
        masks.append(torch.isin(torch.arange(200), torch.tensor(slots))[None])
    images, state = torch.from_numpy(values["images"])[None], torch.from_numpy(values["state"])
    tokens = torch.tensor([[*compiled.prompt.text_ids(text), -1, -1]])
    return compiled.network.prefix(images, tokens, state, SlotMasks(*masks))


@pytest.mark.parametrize("rounds", [0, ROUNDS])
def test_the_graphs_answer_what_the_network_answers(compiled: Compiled, rounds: int) -> None:
    directions = torch.from_numpy(drawn_directions(8, 48, 0)) if rounds else None
    for values, robot, text in zip(requests(compiled, rounds), ROBOTS, TEXTS, strict=True):
        found = compiled.bundle.sample(values)["actions"]
        noise, previous = (torch.from_numpy(values[name])[None] for name in ("noise", "previous_chunk"))
        with torch.no_grad():
            prefix = prefix_of(compiled, values, robot, text)
            expected = compiled.network.sample(prefix, noise, previous, int(values["delay"]), STEPS, directions)
        np.testing.assert_allclose(found, expected[0].numpy(), rtol=0, atol=2e-5 * float(expected.abs().max()))


def test_together_is_as_alone(compiled: Compiled) -> None:
    """Robots with other slots, for which the router chooses other experts."""
    given = requests(compiled, ROUNDS)
    graphs = read_manifest(compiled.bundle.folder).graphs
    batch = graphs.batched[0]
    stacked: dict[str, Any] = {name: np.stack([one[name] for one in given]) for name in given[0]}
    prefix = run(compiled.bundle.session(batch.prefix), stacked)
    chunk = next(i for i, graph in enumerate(graphs.batchable) if graph.refinement_rounds == ROUNDS)
    together = run(compiled.bundle.session(batch.chunks[chunk]), stacked | prefix)
    for place, one in enumerate(given):
        for name, values in compiled.bundle.sample(one).items():
            np.testing.assert_allclose(together[name][place], values, rtol=0, atol=1e-4)


def test_the_router_chooses_by_instruction_and_state(compiled: Compiled) -> None:
    if compiled.network.config.mixture is None:
        assert "experts" not in {tensor.name for tensor in read_manifest(compiled.bundle.folder).graphs.prefix.outputs}
        return
    session = compiled.bundle.session("prefix.onnx")
    chosen = set()
    for values, robot, text in zip(requests(compiled, 0), ROBOTS, TEXTS, strict=True):
        found = run(session, values)
        with torch.no_grad():
            choice = prefix_of(compiled, values, robot, text).choice
        assert choice is not None
        assert found["experts"].tolist() == choice.experts[0].tolist()
        np.testing.assert_allclose(found["expert_gates"], choice.gates[0].numpy(), atol=1e-6)
        chosen.add(tuple(found["experts"].tolist()))
    assert len(chosen) > 1


def test_only_a_robots_own_slots_are_adapted(compiled: Compiled) -> None:
    """What the adapters of other slots hold changes nothing; what those of its own hold does."""
    if not compiled.network.config.adapter_rank:
        return
    (values, *_), network = requests(compiled, 0), compiled.network
    own = np.flatnonzero(values["action_mask"][0]).tolist()
    others = sorted(set(range(200)) - set(own))
    kept = {name: parameter.detach().clone() for name, parameter in network.adapters.named_parameters()}

    def answer() -> np.ndarray:
        noise, previous = (torch.from_numpy(values[name])[None] for name in ("noise", "previous_chunk"))
        with torch.no_grad():
            prefix = prefix_of(compiled, values, ROBOTS[0], TEXTS[0])
            return network.sample(prefix, noise, previous, 0, STEPS).numpy()

    before = answer()
    network.adapters.silence(others)
    np.testing.assert_array_equal(answer(), before)
    network.adapters.silence(own)
    assert np.abs(answer() - before).max() > 1e-3
    network.adapters.load_state_dict(kept)


def test_robots_of_a_batch_borrow_neither_adapters_nor_experts(compiled: Compiled) -> None:
    """In training: several robots at once are what each of them is alone."""
    network, given = compiled.network, requests(compiled, 0)
    images, state, masks = (
        torch.tensor(np.stack([one[name].reshape(one[name].shape[-ndim:]) for one in given]))
        for name, ndim in (("images", 4), ("state", 1), ("action_mask" if "action_mask" in given[0] else "state", 1))
    )
    text = torch.tensor(np.concatenate([one["tokens"] for one in given]))
    rows, buckets = torch.randn(6, 6, 200), torch.randint(0, 1001, (6, 6))
    with torch.no_grad():
        together = network.velocity(rows, buckets, network.prefix(images, text, state, SlotMasks(masks > 0, masks > 0)))
        for number in range(len(given)):
            one, pair = slice(number, number + 1), slice(2 * number, 2 * number + 2)
            own = SlotMasks(masks[one] > 0, masks[one] > 0)
            alone = network.velocity(rows[pair], buckets[pair], network.prefix(images[one], text[one], state[one], own))
            torch.testing.assert_close(together[pair], alone, atol=1e-4, rtol=1e-4)


def test_fixed_weights_are_looked_up_once(compiled: Compiled) -> None:
    """As many look-ups with one step as with many."""
    model = onnx.load(compiled.bundle.folder / "chunk_mpg.onnx", load_external_data=False)
    banks = [node for node in model.graph.node if node.op_type == "Gather" and node.input[0].endswith(".bank")]
    config = compiled.network.config
    layers = 0 if config.mixture is None else 2 * (config.language.layers - config.mixture.shared_layers)
    assert len(banks) == layers + (6 if config.adapter_rank else 0)


def test_a_guided_graph_follows_the_derivative_that_autograd_finds(compiled: Compiled) -> None:
    """Through adapters and chosen experts."""
    if not any(graph.guided for graph in read_manifest(compiled.bundle.folder).graphs.chunks):
        return
    values = requests(compiled, 0)[1]
    values["overlap"] = np.asarray(4)
    found = compiled.bundle.sample(values, guided=True)["actions"]
    network, delay = compiled.network, int(values["delay"])
    with torch.no_grad():
        prefix = prefix_of(compiled, values, ROBOTS[1], TEXTS[1])
    noise, plan, own = (torch.tensor(values[name]) for name in ("noise", "previous_chunk", "action_mask"))
    expected = guided_sample(network, prefix, noise, plan, delay, 4, STEPS, own).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
