"""The shapes that decide how much there is to compute: of a checkpoint, or of a model with the same parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.config import BeingHConfig

PROMPT_TOKENS: Final = 25
"""Tokens around the instruction in the long prompt, with the published tokenizer, about."""

HEAD_TOKENS: Final = 60
"""Tokens before the images, whose keys and values are computed at compile time; published prompt, about."""

BETWEEN_TOKENS: Final = 3
"""`</img> <|state_start|>` and `<|state_end|>`."""


@dataclass(frozen=True)
class VisionShape:
    """Vision tower.

    Attributes:
        width, layers, mlp, heads, patch: As everywhere.
        merge: Side of the square of patches that becomes one token of the language model.
        class_token: Whether a class token goes through the layers.
        connector: (inputs, outputs) of the linear layers to the language model.
    """

    width: int
    layers: int
    mlp: int
    heads: int
    patch: int
    merge: int
    class_token: bool
    connector: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class DecoderShape:
    """Language model and action expert, which share heads and layers.

    Attributes:
        layers, heads, kv_heads, head_dim: Of both.
        width, mlp: Of the language model.
        expert_width, expert_mlp: Of the expert.
        vocabulary: Rows of the token embedding.
        state_token: Whether the expert sees a token of the state in the prefix.
        action_width: Columns of an action row.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    width: int
    mlp: int
    expert_width: int
    expert_mlp: int
    vocabulary: int
    state_token: bool = True
    action_width: int = UNIFIED_WIDTH


@dataclass(frozen=True)
class Workload:
    """What is asked of a model.

    Attributes:
        image_size: Side of an image, [px].
        views: Images.
        text_tokens: Padded instruction with the prompt around it.
        between_tokens: Further ids between images and text.
        head_tokens: Before the images.
        rows: T of a chunk.
        steps: K, Euler steps.
        rounds: N, MPG refinement rounds.
        precision: Of weights and products.
    """

    image_size: int
    views: int
    text_tokens: int
    rows: int
    steps: int
    rounds: int
    precision: str
    between_tokens: int = BETWEEN_TOKENS
    head_tokens: int = HEAD_TOKENS


@dataclass(frozen=True)
class Model:
    """A model and what is asked of it.

    Attributes:
        name: For people.
        vision, decoder: Its shapes.
        directions: M of the gating; None where it cannot be refined.
        workload: What is asked.
        trained_delay: Longest locked prefix seen in training, in rows.
        delay_note: Where that number is from.
        drives: Robots that it is compiled for; None where it is not compiled.
    """

    name: str
    vision: VisionShape
    decoder: DecoderShape
    directions: int | None
    workload: Workload
    trained_delay: int
    delay_note: str
    drives: tuple[str, ...] | None = None

    def asked(self, **changes: int | str) -> Model:
        """The same model under another workload."""
        return replace(self, workload=replace(self.workload, **changes))  # type: ignore[arg-type]

    @property
    def grid(self) -> int:
        """Side of an image in patches."""
        return self.workload.image_size // self.vision.patch

    @property
    def image_tokens(self) -> int:
        """Tokens of one view in the language model."""
        return (self.grid // self.vision.merge) ** 2

    @property
    def language_tokens(self) -> int:
        """Tokens that the language model's weights see."""
        return self.workload.views * self.image_tokens + self.workload.between_tokens + self.workload.text_tokens

    @property
    def prefix_tokens(self) -> int:
        """P, tokens whose keys and values the actions attend to."""
        return self.workload.head_tokens + self.language_tokens + int(self.decoder.state_token)


def model_of(config: BeingHConfig, name: str, *, views: int, instruction_tokens: int, precision: str) -> Model:
    """A Being-H0.5 model from its configuration.

    Args:
        config: Of the checkpoint.
        name: For people.
        views: Images.
        instruction_tokens: Room for the instruction, which is padded to it.
        precision: Of weights and products.
    """
    vision, language, expert = config.vision, config.language, config.expert
    trained = config.trained_delay
    return Model(
        name=name,
        vision=VisionShape(
            width=vision.width,
            layers=vision.layers,
            mlp=vision.mlp,
            heads=vision.heads,
            patch=vision.patch,
            merge=2,
            class_token=True,
            connector=((4 * vision.width, language.width), (language.width, language.width)),
        ),
        decoder=DecoderShape(
            layers=language.layers,
            heads=language.heads,
            kv_heads=language.kv_heads,
            head_dim=language.head_dim,
            width=language.width,
            mlp=language.mlp,
            expert_width=expert.width,
            expert_mlp=expert.mlp,
            vocabulary=language.vocabulary,
        ),
        directions=None if config.mpg is None else config.mpg.projections,
        workload=Workload(
            image_size=config.image_size,
            views=views,
            text_tokens=PROMPT_TOKENS + instruction_tokens,
            rows=config.rows,
            steps=config.denoising_steps,
            rounds=0 if config.mpg is None else config.mpg.rounds,
            precision=precision,
        ),
        trained_delay=config.rows // 2 if trained is None else trained,
        delay_note="assumed: half a chunk, as the configuration names none" if trained is None else "configuration",
    )
