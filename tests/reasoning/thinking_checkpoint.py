"""The golden checkpoint, which has a language head, as one that thinks; and the same in plain PyTorch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.train.being_h import BeingH, ConstantTokens

if TYPE_CHECKING:
    from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "being_h05_tiny"
LONGEST = 12


def thinking_checkpoint(folder: Path, *, thought_tokens: int = LONGEST) -> Path:
    """A copy whose configuration says that it thinks, with random weights that say more than one word over and over."""
    shutil.copytree(GOLDEN, folder)
    torch.manual_seed(3)
    weights = load_file(GOLDEN / "model.safetensors")
    for name, value in weights.items():
        if "lm_head" in name or ("layers" in name and "_proj" in name and "mot_gen" not in name and "vit" not in name):
            weights[name] = (torch.randn(value.shape) * 3 / value.shape[-1] ** 0.5).to(value.dtype)
    save_file(weights, folder / "model.safetensors")
    config = json.loads((GOLDEN / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "thought_tokens": thought_tokens}))
    return folder


class PlainThinker:
    """Thinks without any cache: the whole sequence again for every token."""

    def __init__(self, folder: Path) -> None:
        checkpoint = Checkpoint.open(folder)
        self.prompt = Prompt.read(checkpoint.config, checkpoint.tokenizer_file)
        prompt = self.prompt
        self.model = BeingH(checkpoint.config, ConstantTokens(prompt.head, prompt.between, prompt.after_state))
        weights = load_file(folder / "model.safetensors")
        self.model.load_state_dict({name: value.float() for name, value in weights.items()})
        self.model.eval()

    @torch.no_grad()
    def caches(self, images: Tensor, text: list[int], state: Tensor, written: list[int]) -> list[tuple[Tensor, Tensor]]:
        """Keys (kv heads, n, head_dim) and values of the last token of the text and those written behind it."""
        count = 1 + len(written)
        prefix = self.model.prefix(images[None], torch.tensor([[*text, *written]]), state)
        # The state's own come last.
        return [(cache.keys[0, :, -1 - count : -1], cache.values[0, :, -1 - count : -1]) for cache in prefix.caches]

    @torch.no_grad()
    def tokens(self, images: Tensor, text: list[int], state: Tensor, most: int, ends: tuple[int, ...]) -> list[int]:
        """Token ids of a thought, its end included.

        Args:
            images: Shape (V, 3, S, S).
            text: Token ids of the instruction, the suffix included.
            state: Shape (1, 200).
            most: Longest thought.
            ends: Ids that end it.
        """
        written: list[int] = []
        while len(written) < most and not (written and written[-1] in ends):
            prefix = self.model.prefix(images[None], torch.tensor([[*text, *written]]), state)
            written.append(int(self.model.scores(prefix, 1)[0, -1].argmax()))
        return written
