"""The project's first estimate, by parameter counts alone, kept as a check of the arithmetic.

A language model of 2.0e9 weights over 188 tokens, a vision tower of 0.3e9 over two views of 256 patches, an expert of
0.4e9 over a chunk of 16 rows in each of K Euler steps, all in bf16. Each of the three takes the longer of 2 weights
tokens / peak and 2 bytes weights / bandwidth; attention, activations, launches and everything else are left out.

Beside it stands the roofline of the same policy counted operation by operation. It has a smaller language model (1.4e9
in the layers), which the STATE token makes read the expert's weights once more, a larger expert in every step, and
attention and activations: these leave the small cache of an Orin, which makes its vision tower slower than arithmetic.
"""

from __future__ import annotations

from typing import Any, Final

from unichunk.benchmarks.roofline.devices import DEVICES
from unichunk.benchmarks.roofline.operations import Product
from unichunk.benchmarks.roofline.prediction import predict, seconds_of
from unichunk.benchmarks.roofline.rates import PeakCurve, Rates
from unichunk.benchmarks.roofline.sizes import BEING_H05_2B, named_model
from unichunk.benchmarks.roofline.stages import Stage, stages

STEPS: Final = (4, 10)
PRECISION: Final = "bf16"
TEXT_TOKENS: Final = 57
"""What is left of 188 tokens behind those of two views and those between them and the text."""

ASSUMED: Final = {
    "orin-nx-16": (15.0, 102.0, (102.0, 149.0)),
    "agx-orin-64": (43.0, 205.0, (42.0, 66.0)),
    "thor": (259.0, 273.0, (29.0, 46.0)),
    "h200": (989.0, 4800.0, (1.8, 2.8)),
}
"""Device -> assumed dense bf16 peak [TFLOP/s], bandwidth [GB/s], and what was found for each K, [ms]."""


def reference_stages(steps: int) -> list[Stage]:
    """The three networks as one product each."""
    return [
        _network("vision tower", 0.3e9, 512, 1),
        _network("language prefix", 2.0e9, 188, 1),
        _network("Euler step", 0.4e9, 16, steps),
    ]


def reference_rows() -> list[dict[str, Any]]:
    """What this model gives for it, beside what was found then."""
    policy = named_model(BEING_H05_2B).asked(rounds=0, text_tokens=TEXT_TOKENS, precision=PRECISION)
    rows = []
    for device, (tera, giga, found) in ASSUMED.items():
        rates = Rates(PeakCurve.flat(1e12 * tera), 1e9 * giga, 1e9 * giga, 0.0, fused=True)
        for steps, expected in zip(STEPS, found, strict=True):
            milliseconds = 1e3 * seconds_of(predict(reference_stages(steps), rates))
            counted = stages(policy.asked(steps=steps))
            detailed = 1e3 * seconds_of(predict(counted, DEVICES[device].bound(PRECISION)))
            rows.append(
                {
                    "prediction": True,
                    "device": device,
                    "steps": steps,
                    "ms": milliseconds,
                    "reference_ms": expected,
                    "detailed_ms": detailed,
                }
            )
    return rows


def _network(name: str, weights: float, tokens: int, repeats: int) -> Stage:
    product = Product(rows=tokens, flops=2 * weights * tokens, weight_bytes=2 * weights)
    return Stage(name, "prefix" if repeats == 1 else "chunk", (product,), repeats)
