"""A multilayer perceptron in numpy with its derivatives written out: it runs wherever the runtime does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[np.float32]"


@dataclass(frozen=True)
class Trace:
    """What a forward pass leaves behind for the backward pass.

    Attributes:
        inputs: Input of each layer, the first one the network's, each of shape (B, width).
        slopes: Derivative of each hidden layer's activation, shape (B, width).
    """

    inputs: list[Array]
    slopes: list[Array]


class Network:
    """Linear layers with x * sigmoid(x) between them.

    Attributes:
        weights: One matrix a layer, shape (in, out).
        biases: One vector a layer, shape (out,).
    """

    def __init__(self, weights: list[Array], biases: list[Array]) -> None:
        self.weights = weights
        self.biases = biases

    @classmethod
    def random(cls, widths: list[int], random: np.random.Generator) -> Network:
        """Weights that keep the scale of what passes through them; the last layer starts near zero."""
        pairs = list(pairwise(widths))
        weights = [(random.standard_normal(pair) * np.sqrt(2.0 / pair[0])).astype(np.float32) for pair in pairs]
        weights[-1] *= np.float32(0.1)
        return cls(weights, [np.zeros(out, np.float32) for _, out in pairs])

    @property
    def parameters(self) -> list[Array]:
        """All weights, then all biases: the arrays themselves."""
        return [*self.weights, *self.biases]

    def __call__(self, inputs: Array) -> Array:
        """Outputs (B, out) for inputs (B, in)."""
        values = inputs
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = values @ weight
            values += bias
            values *= _sigmoid(values)
        return values @ self.weights[-1] + self.biases[-1]

    def trace(self, inputs: Array) -> tuple[Array, Trace]:
        """The same, bit for bit, with what the derivatives need."""
        trace = Trace([inputs], [])
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = trace.inputs[-1] @ weight
            values += bias
            gate = _sigmoid(values)
            slope = 1.0 - gate
            slope *= values
            slope += 1.0
            slope *= gate
            trace.slopes.append(slope)
            values *= gate
            trace.inputs.append(values)
        return trace.inputs[-1] @ self.weights[-1] + self.biases[-1], trace

    def input_gradient(self, trace: Trace, gradient: Array) -> Array:
        """Vector-Jacobian product: from the derivative by the outputs (B, out) to that by the inputs (B, in)."""
        for weight, slope in zip(self.weights[:0:-1], trace.slopes[::-1], strict=True):
            gradient = gradient @ weight.T
            gradient *= slope
        return gradient @ self.weights[0].T

    def parameter_gradients(self, trace: Trace, gradient: Array) -> list[Array]:
        """Derivatives by all `parameters`, summed over the batch, from that by the outputs (B, out)."""
        weights, biases = [], []
        for layer in range(len(self.weights) - 1, -1, -1):
            weights.append(trace.inputs[layer].T @ gradient)
            biases.append(gradient.sum(axis=0))
            if layer:
                gradient = gradient @ self.weights[layer].T
                gradient *= trace.slopes[layer - 1]
        return [*weights[::-1], *biases[::-1]]


def _sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-x)), by way of tanh, which cannot overflow."""
    gate: Array = np.tanh(0.5 * values)
    gate *= 0.5
    gate += 0.5
    return gate
