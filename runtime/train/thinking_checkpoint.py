"""A checkpoint that does not think yet, opened to be taught, and written as one that does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.config_document import CONFIG_FILE
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.train.being_h import BeingH, ConstantTokens

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = "model.safetensors"
HEAD = "language_model.lm_head.weight"


def opened(folder: Path, thought_tokens: int) -> tuple[BeingH, Prompt]:
    """The policy of a checkpoint in one file, with a head for text that says nothing yet, and its prompt."""
    checkpoint = Checkpoint.open(folder)
    prompt = Prompt.read(checkpoint.config, checkpoint.tokenizer_file)
    config = replace(checkpoint.config, thought_tokens=thought_tokens)
    policy = BeingH(config, ConstantTokens(prompt.head, prompt.between, prompt.after_state))
    weights = {name: value.float() for name, value in load_file(folder / WEIGHTS).items()}
    weights[HEAD] = torch.zeros(config.language.vocabulary, config.language.width)
    policy.load_state_dict(weights)
    return policy, prompt


def write_thinking(policy: BeingH, source: Path, out: Path) -> None:
    """Write a taught policy: everything else is the source's; the folder appears when all is written."""
    staged = out.with_name(f".{out.name}.writing")
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(source, staged)
    config = json.loads((source / CONFIG_FILE).read_text(encoding="utf-8"))
    document = {**config, "thought_tokens": policy.config.thought_tokens}
    (staged / CONFIG_FILE).write_text(json.dumps(document, indent=1), encoding="utf-8")
    old = load_file(source / WEIGHTS)
    kind = next(iter(old.values())).dtype
    weights = {name: value.to(old[name].dtype if name in old else kind) for name, value in policy.state_dict().items()}
    save_file({name: value.contiguous() for name, value in weights.items()}, staged / WEIGHTS)
    staged.rename(out)
