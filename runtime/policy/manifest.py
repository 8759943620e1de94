"""`bundle.json`: what a policy bundle holds and how its numbers are meant (format version 4)."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

FORMAT_VERSION: Final = 4

READABLE_VERSIONS: Final = (3, 4)
"""Version 4 only adds: what a document of version 3 says means the same."""

MANIFEST_NAME: Final = "bundle.json"

PLACEHOLDER: Final = "{task_description}"
"""Stands for the instruction in the prompt."""

PositiveInt = Annotated[int, Meta(gt=0)]
Slot = Annotated[int, Meta(ge=0)]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class NoNormalization(_Struct, frozen=True, kw_only=True, tag_field="mode", tag="none"):
    """Raw physical values."""


class MeanStd(_Struct, frozen=True, kw_only=True, tag_field="mode", tag="mean_std"):
    """(x - mean) / std, one value per slot."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class MinMax(_Struct, frozen=True, kw_only=True, tag_field="mode", tag="min_max"):
    """2 (x - low) / (high - low) - 1, one value per slot."""

    low: tuple[float, ...]
    high: tuple[float, ...]


class Quantiles(_Struct, frozen=True, kw_only=True, tag_field="mode", tag="q99"):
    """2 (x - q01) / (q99 - q01) - 1, clipped to [-1, 1], one value per slot."""

    q01: tuple[float, ...]
    q99: tuple[float, ...]


class Binary(_Struct, frozen=True, kw_only=True, tag_field="mode", tag="binary"):
    """1 where x > 0.5, else 0."""


Normalization = NoNormalization | MeanStd | MinMax | Quantiles | Binary

RotationInput = Literal["axis_angle", "quaternion_wxyz", "quaternion_xyzw", "euler_xyz", "rotation_6d", "matrix"]
"""Forms in which a robot may give a rotation; the unified space holds axis-angle vectors, [rad]."""

Noise = Literal["all", "own"]
"""Slots in which the noise that a chunk starts from is Gaussian: all, or those of the robot's own actions."""


PrecisionName = Literal["fp32", "fp16", "bf16", "int8"]
"""Type of a bundle's weights; int8 is weights alone, with float32 between them."""

StateTime = Literal["observation", "takeover"]
"""Tick whose state a policy is told: that of the observation, t0, or the one at which the chunk's own rows begin,
t0 + d, expected from the committed rows (VLASH's roll-forward)."""


class RectifiedFlow(_Struct, frozen=True, kw_only=True, tag_field="kind", tag="rectified_flow"):
    """Rows are reached from noise by Euler steps along a velocity; locked rows are held in every step."""


class Ddim(_Struct, frozen=True, kw_only=True, tag_field="kind", tag="ddim"):
    """Rows are denoised by DDIM steps (eta 0) with classifier-free guidance; locked rows are held in every step.

    Attributes:
        guidance_scale: w of eps = eps_null + w (eps_conditioned - eps_null).
        training_steps: Length of the noise schedule of the training.
    """

    guidance_scale: float
    training_steps: PositiveInt


class Regression(_Struct, frozen=True, kw_only=True, tag_field="kind", tag="regression"):
    """Rows are read off action queries at once: nothing is denoised, so locked rows can only be stitched in front."""


Sampler = RectifiedFlow | Ddim | Regression
"""How a chunk comes about."""


KeyForm = Literal["unified", "pose", "human_joints", "fingertips"]
"""What a key's values are: as the unified space has them (joint positions; of an end effector, in a state where it is
and in an action its displacement from the row before), where an end effector shall be, the rotations of a human hand's
15 joints (MANO), or where the five fingertips are in the wrist's frame."""

BASE_FRAME: Final = "base"


class Key(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A state or action key.

    Attributes:
        slots: The half-open slice of the unified vector that it fills.
        normalization: Of its values in the slots.
        rotation: For state keys that are rotations: the form the observation gives them in; converted to axis-angle
            first. For actions of form `pose`: the form in which the policy gives them, as it is.
        form: What its values are.
        frame: Along whose axes displacements and poses of an end effector are: the robot's base, or one of its cameras
            (x right, y down, z into the scene).
    """

    slots: tuple[Slot, Slot]
    normalization: Normalization
    rotation: RotationInput = "axis_angle"
    form: KeyForm = "unified"
    frame: str = BASE_FRAME

    @property
    def width(self) -> int:
        """Number of slots of this key."""
        return self.slots[1] - self.slots[0]


class ImageInput(_Struct, frozen=True, kw_only=True):
    """How a camera image becomes the graph's input, shape (3, size, size).

    The shorter side is resized to `size` pixels (bicubic with antialiasing), the centre is cropped to a square; then
    /255 and (x - mean) / std per channel.
    """

    size: PositiveInt
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class LanguageInput(_Struct, frozen=True, kw_only=True):
    """How the instruction becomes token ids, shape (1, max_tokens), padded with -1.

    Attributes:
        tokenizer: File of the bundle that the `tokenizers` library reads.
        prompt: Text around the instruction; `{task_description}` stands for it.
        suffix: Token ids that follow it.
        max_tokens: Length of the padded sequence.
    """

    tokenizer: str
    prompt: str
    suffix: tuple[int, ...]
    max_tokens: PositiveInt


class Tensor(_Struct, frozen=True, kw_only=True):
    """Name, shape and type of one graph input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "float16", "bfloat16", "int64"]


class Graph(_Struct, frozen=True, kw_only=True):
    """One compiled graph: its file and its signature."""

    file: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class ChunkGraph(Graph, frozen=True, kw_only=True, omit_defaults=True):
    """A chunk graph with a number of refinement rounds: 1 + that many times K denoising steps.

    With refinement it also gives `gates` and `discrepancies`, both (refinement rounds, K) float32.

    Attributes:
        refinement_rounds: N.
        denoising_steps: K, where it is another than the manifest's.
        views: Of the prefix graph that it belongs to, where that is another than `Graphs.prefix`.
        guided: Whether rows are steered towards the running plan (inference-time real-time chunking) and locked at
            the end alone: for policies that were not trained with locked prefixes. It has one input more, `overlap`
            () int64: how many rows of `previous_chunk` are there; what steers are those, in the slots of `action_mask`.
    """

    refinement_rounds: Annotated[int, Meta(ge=0)]
    denoising_steps: PositiveInt | None = None
    views: PositiveInt | None = None
    guided: bool = False


class Reasoning(_Struct, frozen=True, kw_only=True):
    """Text that a policy writes, greedily, with `Graphs.token`, and then acts on in place of the instruction.

    Attributes:
        max_tokens: R; a thought that has not ended by then is given up.
        ends: Token ids that end a thought. As its first token, they say that there is nothing to think about.
    """

    max_tokens: PositiveInt
    ends: tuple[int, ...]


AnyGraph = TypeVar("AnyGraph", bound=Graph)


class BatchedGraphs(_Struct, frozen=True, kw_only=True):
    """The same graphs with the same weights, for several requests at once.

    Their inputs and outputs are those of the graphs for one request, with one more axis in front, `size` long.

    Attributes:
        size: Requests that they compute at once.
        prefix: File of the prefix graph.
        chunks: Files of the chunk graphs, in the order of `Graphs.batchable`.
    """

    size: Annotated[int, Meta(ge=2)]
    prefix: str
    chunks: tuple[str, ...]

    def of(self, graph: AnyGraph, file: str) -> AnyGraph:
        """Signature of one of them, from that of the graph for one request."""
        inputs, outputs = (
            tuple(msgspec.structs.replace(tensor, shape=(self.size, *tensor.shape)) for tensor in tensors)
            for tensors in (graph.inputs, graph.outputs)
        )
        return msgspec.structs.replace(graph, file=file, inputs=inputs, outputs=outputs)


class Graphs(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The graphs of a policy; they may share external weight files, which are listed in the manifest's `files`.

    `prefix`: `images` (V, 3, S, S) float32, `tokens` (1, L) int64 (where the policy takes language), `state` (1, 200)
    float32 -> keys and values or other features, of any name and type, once per observation. Where it declares them,
    it also gets `state_mask` and `action_mask` (1, 200) float32, 1 in the slots that are the robot's own, and
    `fields_of_view` (V, 2) float32, [rad], of its cameras.
    `chunks`: `noise` (1 + refinement rounds, T, 200) float32 (not for a regression), `previous_chunk` (T, 200) float32,
    `delay` () int64 and outputs of the prefix graph (where declared, also the masks) -> `actions` (T, 200) float32;
    rows before `delay` equal those of the previous chunk, bit by bit. The first is for `prefix`, with the
    manifest's K, without refinement and not guided; every other prefix graph has one of that kind too.
    `batched`: The same for several requests at once, smallest batches first; none in bundles compiled without. They
    are for `prefix` and those of `chunks` that belong to it and are not guided.
    `other_prefixes`: Prefix graphs for other numbers of views; at most one for each number.
    `token`: One step of writing a thought (`Reasoning`), behind `prefix`: `token` () and `place` () int64, `tokens` as
    that graph's, any outputs of it, caches `written_<name>` float32 -> `next` () int64 and a `longer_<name>` of the
    same shape for each cache.
    """

    prefix: Graph
    chunks: Annotated[tuple[ChunkGraph, ...], Meta(min_length=1)]
    batched: tuple[BatchedGraphs, ...] = ()
    other_prefixes: tuple[Graph, ...] = ()
    token: Graph | None = None

    @property
    def batchable(self) -> tuple[ChunkGraph, ...]:
        """The chunk graphs that `batched` has counterparts of: those of `prefix`, not guided."""
        return tuple(graph for graph in self.chunks if graph.views is None and not graph.guided)

    @property
    def files(self) -> tuple[str, ...]:
        """Of all graphs."""
        token = () if self.token is None else (self.token,)
        single = (self.prefix.file, *(graph.file for graph in (*self.chunks, *self.other_prefixes, *token)))
        return (*single, *(file for batch in self.batched for file in (batch.prefix, *batch.chunks)))


class RobotEntry(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One robot that a policy drives: what it sees and does there, with the same graphs and weights for all robots.

    Attributes:
        cameras: Cameras in the order of the graph's views, as many as it has.
        state, action: Keys and their slots; `observation["state.<key>"]`, `result.actions["action.<key>"]`.
        action_hz: Rows a second that the policy was trained at.
        max_delay: Longest locked prefix seen in training, in rows.
        fields_of_view: Horizontal and vertical angle of each camera, [rad], where the policy takes them.
    """

    cameras: Annotated[tuple[str, ...], Meta(min_length=1)]
    state: dict[str, Key]
    action: Annotated[dict[str, Key], Meta(min_length=1)]
    action_hz: PositiveInt
    max_delay: Annotated[int, Meta(ge=0)]
    fields_of_view: tuple[tuple[float, float], ...] = ()


class Deviation(_Struct, frozen=True, kw_only=True):
    """How far a bundle's actions are from those of the same checkpoint in float32, as measured when it was compiled.

    Attributes:
        observations: How many were compared, each without a prefix and with one.
        source: Where they came from.
        method: `computed` in the bundle's own arithmetic, or `emulated`: rounded as a device with that type would, on
            one without it.
        largest: Of all rows and slots of the robots' own, in normalized units.
        keys: `<robot>.action.<key>` -> the largest in its physical units.
    """

    observations: PositiveInt
    source: str
    method: Literal["computed", "emulated"]
    largest: float
    keys: dict[str, float]


class Manifest(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Content of `bundle.json`.

    Attributes:
        chunk_length: T, rows of a chunk.
        unified_width: Width of the unified vectors.
        denoising_steps: K, steps of the sampler unrolled in the chunk graph, if that does not say otherwise; 1 where
            nothing is denoised.
        sampler: How a chunk comes about.
        robots: Robots this policy drives, by the name of the embodiment.
        noise: Where the noise that a chunk starts from is Gaussian, as in training: in all slots, or only in those
            that the robot's own actions fill, with zeros elsewhere.
        reasoning: Text that it writes before it acts; None where it writes none.
        state_time: Tick whose state the policy is told, as in training.
        precision: Type of the weights and of the arithmetic between the graphs' inputs and outputs.
        deviation: Of its actions from float32; None where that is what it computes in, or nobody measured.
        files: SHA-256 of every other file in the bundle.
        provenance: How it was made; free text, for people.
    """

    format_version: int
    name: str
    description: str
    chunk_length: PositiveInt
    unified_width: PositiveInt
    denoising_steps: PositiveInt
    image: ImageInput
    language: LanguageInput | None
    noise: Noise = "all"
    robots: Annotated[dict[str, RobotEntry], Meta(min_length=1)]
    graphs: Graphs
    sampler: Sampler = RectifiedFlow()
    reasoning: Reasoning | None = None
    state_time: StateTime = "observation"
    precision: PrecisionName = "fp32"
    deviation: Deviation | None = None
    files: dict[str, str] = {}
    provenance: dict[str, str] = {}

    @property
    def embodiments(self) -> tuple[str, ...]:
        """Names of the robots this policy drives."""
        return tuple(self.robots)

    def steps_of(self, graph: ChunkGraph) -> int:
        """K of a chunk graph."""
        return self.denoising_steps if graph.denoising_steps is None else graph.denoising_steps

    @property
    def denoises(self) -> bool:
        """Whether a chunk starts from noise."""
        return not isinstance(self.sampler, Regression)

    @property
    def locks(self) -> bool:
        """Whether committed rows shape the rows after them; else they are only stitched in front."""
        return self.denoises
