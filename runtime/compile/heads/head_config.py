"""`config.json` of a policy with action queries: sizes, and which head reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta

from unichunk.runtime.compile.config import VisionConfig
from unichunk.runtime.compile.config_document import CONFIG_FILE, MOST_LAYERS, MOST_PIXELS, MOST_ROWS
from unichunk.runtime.compile.json_file import convert_json, parse_json
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.manifest import PLACEHOLDER, Ddim, RectifiedFlow, Regression

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unichunk.runtime.policy.manifest import Sampler

MODEL_TYPE: Final = "unichunk_head"
NORM_EPS: Final = 1e-6
MOST_QUERIES: Final = 4096
MOST_TEXT: Final = 4096

Count = Annotated[int, Meta(gt=0)]


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class FlowHead(_Document, frozen=True, kw_only=True, tag_field="kind", tag="rectified_flow"):
    """A transformer denoises rows along a velocity and attends to the queries (VIPA-VLA, Being-H0's flow head).

    Attributes:
        steps: K, Euler steps.
        buckets: Discrete flow times; locked rows are at this one, which is time 1.
    """

    steps: Count = 4
    buckets: Count = 1000


class DdimHead(_Document, frozen=True, kw_only=True, tag_field="kind", tag="ddim"):
    """A transformer predicts the noise in rows, which follow the query and the state in its sequence (VITRA).

    Attributes:
        steps: K, DDIM steps.
        training_steps: Length of the noise schedule.
        guidance_scale: w of classifier-free guidance; 1 for none.
    """

    steps: Count = 10
    training_steps: Count = 100
    guidance_scale: float = 5.0


class RegressionHead(_Document, frozen=True, kw_only=True, tag_field="kind", tag="regression"):
    """A network reads each row off its own queries (Being-H0, METIS, OpenVLA-OFT)."""


class Transformer(_Document, frozen=True, kw_only=True):
    """A stack of layers; in a regression head, `heads` means nothing."""

    width: Count
    layers: Annotated[int, Meta(gt=0, le=MOST_LAYERS)]
    heads: Count
    mlp: Count


class VisionSizes(Transformer, frozen=True, kw_only=True):
    """The vision transformer, with layer norms and biases, for square images of `image_size` pixels."""

    patch: Count
    image_size: Annotated[int, Meta(gt=0, le=MOST_PIXELS)]


class HeadConfig(_Document, frozen=True, kw_only=True):
    """A policy with action queries.

    Attributes:
        head: What makes rows of the queries.
        vit: Sees; its tokens, two by two in one, go to the context.
        context: Reads images, state, fields of view, text and queries, each token all others; its queries are the
            head's.
        decoder: The head's own layers.
        vocabulary: Rows of the token embedding.
        views: V.
        max_text: Longest text, in tokens; shorter ones are padded.
        queries: Q.
        rows: T.
        prompt: Text around the instruction.
        causal: Whether rows attend to rows before them only.
        state_validity: Whether the state comes with a mask of what the robot has of it.
        action_mask: Whether the rows come with a mask of the slots that are the robot's own; others are zero then.
        fields_of_view: Whether the angles that the cameras see are told.
        locked_prefix: Longest prefix that training locked, in rows; None where it locked none.
    """

    model_type: Literal["unichunk_head"]
    head: FlowHead | DdimHead | RegressionHead
    vit: VisionSizes
    context: Transformer
    decoder: Transformer
    vocabulary: Count
    views: Count = 1
    max_text: Annotated[int, Meta(gt=0, le=MOST_TEXT)]
    queries: Annotated[int, Meta(gt=0, le=MOST_QUERIES)]
    rows: Annotated[int, Meta(gt=0, le=MOST_ROWS)]
    prompt: str = PLACEHOLDER
    causal: bool = False
    state_validity: bool = False
    action_mask: bool = False
    fields_of_view: bool = False
    locked_prefix: Annotated[int, Meta(ge=0)] | None = None

    @property
    def vision(self) -> VisionConfig:
        """The vision transformer, in the words of the graphs' builder."""
        vit = self.vit
        return VisionConfig(
            width=vit.width,
            layers=vit.layers,
            heads=vit.heads,
            mlp=vit.mlp,
            patch=vit.patch,
            pretrained_grid=vit.image_size // vit.patch,
            norm="layer_norm",
            norm_eps=NORM_EPS,
            qk_normalization=False,
            qkv_bias=True,
        )

    @property
    def grid(self) -> int:
        """Side of an image in patches."""
        return self.vit.image_size // self.vit.patch

    @property
    def image_tokens(self) -> int:
        """Tokens of all views in the context."""
        return self.views * (self.grid // 2) ** 2

    @property
    def state_in_context(self) -> bool:
        """Whether the state is a token of the context; else it is one of the head's sequence."""
        return not isinstance(self.head, DdimHead)

    @property
    def tokens(self) -> int:
        """Tokens of the context."""
        others = int(self.state_in_context) + self.views * self.fields_of_view
        return self.image_tokens + others + self.max_text + self.queries

    @property
    def steps(self) -> int:
        """K; 1 where nothing is denoised."""
        return 1 if isinstance(self.head, RegressionHead) else self.head.steps

    @property
    def most_steps(self) -> int:
        """The largest K there can be."""
        if isinstance(self.head, RegressionHead):
            return 1
        return self.head.buckets if isinstance(self.head, FlowHead) else self.head.training_steps

    @property
    def sampler(self) -> Sampler:
        """In the manifest's words."""
        if isinstance(self.head, DdimHead):
            return Ddim(guidance_scale=self.head.guidance_scale, training_steps=self.head.training_steps)
        return RectifiedFlow() if isinstance(self.head, FlowHead) else Regression()

    @property
    def longest_delay(self) -> int:
        """Longest prefix that rows can go on from, in rows: where nothing goes on from it, any."""
        if isinstance(self.head, RegressionHead):
            return self.rows - 1
        return self.rows // 2 if self.locked_prefix is None else self.locked_prefix


def read_head_config(directory: Path) -> HeadConfig:
    """Reads a checkpoint's `config.json`.

    Raises:
        CheckpointError: Missing, not JSON, or of a model that cannot be.
    """
    file = directory / CONFIG_FILE
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from error
    return parse_head_config(content, str(file))


def parse_head_config(content: bytes, where: str) -> HeadConfig:
    """Parses and checks the content of `config.json`.

    Args:
        content: JSON.
        where: The file's name, for messages.

    Raises:
        CheckpointError: With the field, its value and what is expected.
    """
    config = convert_json(parse_json(content, where), HeadConfig, where)
    for complaint in _complaints(config):
        raise CheckpointError(f"{where}: {complaint}")
    return config


def _complaints(config: HeadConfig) -> Iterator[str]:
    for name, part in (("vit", config.vit), ("context", config.context), ("decoder", config.decoder)):
        if part.width % part.heads or part.width % 2:
            yield f"{name}.width is {part.width}, expected an even multiple of its {part.heads} heads"
    if config.vit.image_size % (2 * config.vit.patch):
        yield f"vit.image_size is {config.vit.image_size}, expected a multiple of two patches ({2 * config.vit.patch})"
    if config.locked_prefix is not None and config.locked_prefix >= config.rows:
        yield f"locked_prefix is {config.locked_prefix}, expected less than rows ({config.rows})"
    if PLACEHOLDER not in config.prompt:
        yield f"prompt is {config.prompt!r}, expected {PLACEHOLDER} in it"
    yield from _head_complaints(config)


def _head_complaints(config: HeadConfig) -> Iterator[str]:
    head = config.head
    if isinstance(head, RegressionHead) and config.queries % config.rows:
        yield f"queries is {config.queries}, expected as many for each of the {config.rows} rows"
    if isinstance(head, RegressionHead) and (config.causal or config.action_mask):
        yield "causal and action_mask are for heads that denoise, expected false of a regression"
    if isinstance(head, DdimHead) and config.queries != 1:
        yield f"queries is {config.queries}, expected 1: a ddim head has one condition"
    if isinstance(head, DdimHead) and not 0 <= head.guidance_scale < math.inf:
        yield f"head.guidance_scale is {head.guidance_scale}, expected a number, 0 or more"
    if config.steps > config.most_steps:
        yield f"head.steps is {config.steps}, expected at most {config.most_steps}"
