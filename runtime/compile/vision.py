"""Images to tokens of the language model: the vision transformer and the connector."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from unichunk.runtime.compile.positions import resized_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.compile.config import VisionConfig
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.weight_file import Weight

CONNECTOR_EPS: Final = 1e-5


class SeeingConfig(Protocol):
    """Sizes of a model that sees."""

    @property
    def vision(self) -> VisionConfig:
        """The vision transformer."""
        ...

    @property
    def grid(self) -> int:
        """Side of an image in patches."""
        ...


class SeeingWeights(Protocol):
    """Weights of a model that sees; see `NamedWeights`."""

    @property
    def config(self) -> SeeingConfig:
        """Its sizes."""
        ...

    def tensor(self, name: str, /) -> NDArray[Any]:
        """A tensor for arithmetic at compile time."""
        ...

    def operand(self, name: str) -> Weight:
        """A matrix or bias of a product."""
        ...

    def linear(self, name: str) -> tuple[Weight, Weight]:
        """Matrix and bias of a linear layer."""
        ...

    def vector(self, name: str) -> Weight:
        """Factors or offsets of channels."""
        ...


class Vision:
    """Builds the nodes from `images` to image tokens.

    Args:
        graph: Where they go.
        weights: Of the checkpoint.
        views: V, number of images.
    """

    def __init__(self, graph: Graph, weights: SeeingWeights, views: int) -> None:
        self.graph = graph
        self.weights = weights
        self.config = weights.config.vision
        self.grid = weights.config.grid
        self.views = views
        self.tokens = self.grid**2 + 1

    def features(self, images: str) -> str:
        """(V, 3, S, S) float32 -> (V * tokens of a view, h) float32."""
        x = self._embedded(images)
        for layer in range(self.config.layers):
            x = self._layer(f"vit_model.encoder.layers.{layer}", x)
        return self._connected(x)

    def _embedded(self, images: str) -> str:
        """Patches, the class token before them, positions: (V * (1 + g * g), v)."""
        graph, grid, patch, width = self.graph, self.grid, self.config.patch, self.config.width
        pixels = graph.reshape(images, self.views, 3, grid, patch, grid, patch)
        patches = graph.reshape(graph.transpose(pixels, 0, 2, 4, 1, 3, 5), self.views * grid**2, 3 * patch**2)
        x = graph.linear(patches, *self.weights.linear("vit_model.embeddings.patch_embedding"))
        x = graph.reshape(x, self.views, grid**2, width)
        positions = resized_grid(self.weights.tensor("vit_model.embeddings.position_embedding")[0], grid)
        start = self.weights.tensor("vit_model.embeddings.class_embedding").astype(np.float32) + positions[:1]
        x = graph.op("Add", x, graph.floats(positions[None, 1:]))
        x = graph.concat([graph.floats(np.repeat(start, self.views, axis=0)), x], axis=1)
        return graph.reshape(x, self.views * self.tokens, width)

    def _layer(self, name: str, x: str) -> str:
        graph = self.graph
        attended = self._attention(f"{name}.attn", self._norm(f"{name}.norm1", x))
        x = graph.op("Add", x, graph.op("Mul", attended, graph.weight(self.weights.vector(f"{name}.ls1"))))
        hidden = graph.linear(self._norm(f"{name}.norm2", x), *self.weights.linear(f"{name}.mlp.fc1"))
        hidden = graph.linear(graph.gelu(hidden), *self.weights.linear(f"{name}.mlp.fc2"))
        return graph.op("Add", x, graph.op("Mul", hidden, graph.weight(self.weights.vector(f"{name}.ls2"))))

    def _norm(self, name: str, x: str) -> str:
        weight = self.graph.weight(self.weights.vector(f"{name}.weight"))
        if self.config.norm == "rms_norm":
            return self.graph.rms_norm(x, weight, self.config.norm_eps)
        bias = self.graph.weight(self.weights.vector(f"{name}.bias"))
        return self.graph.layer_norm(x, weight, bias, self.config.norm_eps)

    def _attention(self, name: str, x: str) -> str:
        """Every token of a view attends to all of that view."""
        graph, config = self.graph, self.config
        bias = self.weights.operand(f"{name}.qkv.bias") if config.qkv_bias else None
        qkv = graph.linear(x, self.weights.operand(f"{name}.qkv.weight"), bias)
        q, k, v = graph.split(qkv, [config.width] * 3, axis=1)
        if config.qk_normalization:
            q = graph.rms_norm(q, graph.weight(self.weights.vector(f"{name}.q_norm.weight")), config.norm_eps)
            k = graph.rms_norm(k, graph.weight(self.weights.vector(f"{name}.k_norm.weight")), config.norm_eps)
        head = config.width // config.heads
        q = graph.op("Mul", q, graph.floats(1.0 / math.sqrt(head)))
        q, k, v = (
            graph.narrow(graph.transpose(graph.reshape(part, self.views, self.tokens, config.heads, head), *axes))
            for part, axes in ((q, (0, 2, 1, 3)), (k, (0, 2, 3, 1)), (v, (0, 2, 1, 3)))
        )
        scores = graph.op("Softmax", graph.wide(graph.op("MatMul", q, k)), axis=-1)
        mixed = graph.wide(graph.op("MatMul", graph.narrow(scores), v))
        mixed = graph.reshape(graph.transpose(mixed, 0, 2, 1, 3), self.views * self.tokens, config.width)
        return graph.linear(mixed, *self.weights.linear(f"{name}.proj"))

    def _connected(self, x: str) -> str:
        """Without the class token, two by two patches in one, through the connector."""
        graph, grid, width = self.graph, self.grid, self.config.width
        x = graph.reshape(x, self.views, self.tokens, width)
        x = graph.split(x, [1, grid**2], axis=1)[1]
        # The published space-to-depth, with its two swaps, in one move.
        x = graph.transpose(graph.reshape(x, self.views, grid // 2, 2, grid // 2, 2, width), 0, 1, 3, 2, 4, 5)
        x = graph.reshape(x, self.views * (grid // 2) ** 2, 4 * width)
        weight, bias = (self.weights.vector(f"connector.mlp1.0.{part}") for part in ("weight", "bias"))
        x = graph.layer_norm(x, graph.weight(weight), graph.weight(bias), CONNECTOR_EPS)
        x = graph.gelu(graph.linear(x, *self.weights.linear("connector.mlp1.1")))
        return graph.linear(x, *self.weights.linear("connector.mlp1.3"))
