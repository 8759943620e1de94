"""A policy learns to write text, and its actions stay what they were, bit by bit."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from unichunk.embodiments.catalogue import load_spec  # noqa: E402
from unichunk.runtime.compile.config import config_of  # noqa: E402
from unichunk.runtime.compile.config_document import parse_config  # noqa: E402
from unichunk.runtime.compile.sizes import Sizes, config_document  # noqa: E402
from unichunk.runtime.train.being_h import BeingH, ConstantTokens  # noqa: E402
from unichunk.runtime.train.thoughts import UNSAID, free_parameters, thought_batch, train_thoughts  # noqa: E402
from unichunk.server.train_thoughts import split, thoughts  # noqa: E402

SIZES = Sizes(thought_tokens=6, use_mpg=False)
END = 2


def untrained() -> BeingH:
    torch.manual_seed(0)
    config = config_of(parse_config(json.dumps(config_document(SIZES)).encode(), "a test"))
    return BeingH(config, ConstantTokens((1, 3), (4,), (5,)))


@pytest.fixture
def policy() -> BeingH:
    torch.set_num_threads(1)
    return untrained()


def actions(policy: BeingH) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 1, 3, 28, 28, generator=generator)
    text = torch.randint(0, 400, (2, 7), generator=generator)
    state, noise = torch.randn(2, 200, generator=generator), torch.randn(2, 1, 8, 200, generator=generator)
    with torch.no_grad():
        return policy.sample(policy.prefix(images, text, state), noise, torch.zeros(2, 8, 200), 2, 2)


def test_thoughts_are_learnt_and_actions_stay(policy: BeingH) -> None:
    before, said_of = actions(policy), {(7, 8, 9): (30, 31, END), (7, 8, 10): (40, 41, 42, END), (11,): (END,)}
    tokens, said = thought_batch(list(said_of.items()))
    images, state = torch.randn(3, 1, 3, 28, 28), torch.randn(3, 200)
    lines: list[str] = []
    train_thoughts(policy, lambda: (images, tokens, said, state), steps=40, learning_rate=1e-2, report=lines.append)
    assert lines[-1].endswith("whole thoughts right 100 %")
    assert not lines[0].endswith("100 %")
    # In a policy of its own: one that needs gradients may round differently from one that does not.
    compiled = untrained()
    compiled.load_state_dict(policy.state_dict())
    assert torch.equal(actions(compiled), before)


def test_what_is_free_is_what_no_action_depends_on(policy: BeingH) -> None:
    free = free_parameters(policy)
    assert "language_model.lm_head.weight" in free
    before = actions(policy)
    with torch.no_grad():
        for name, value in policy.named_parameters():
            if name in free:
                value.add_(torch.randn_like(value))
    assert torch.equal(actions(policy), before)
    assert not any("mot_gen" in name or "k_proj" in name or "v_proj" in name for name in free)


def test_the_next_token_is_asked_for_from_the_end_of_the_text_on() -> None:
    tokens, said = thought_batch([((5, 6, 7), (1, END)), ((8,), (END,))])
    assert tokens.tolist() == [[5, 6, 7, 1], [8, -1, -1, -1]]
    assert said.tolist() == [[UNSAID, UNSAID, 1, END], [END, UNSAID, UNSAID, UNSAID]]


def test_the_instructions_name_the_other_block_and_some_are_held_out() -> None:
    told = thoughts(load_spec("so101"))
    assert told["follow the block that is not red with an open hand"] == "follow the blue block with an open hand"
    assert told["follow the red block"] == ""
    shown, held_out = split(told)
    assert shown | held_out == told
    assert not shown.keys() & held_out.keys()
    assert {bool(said) for said in held_out.values()} == {False, True}
