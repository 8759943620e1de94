"""What could be cut from an inference, and what each cut is predicted to gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.roofline.architecture import PROMPT_TOKENS
from unichunk.benchmarks.roofline.devices import BYTES, COMPILED, EFFICIENCY
from unichunk.benchmarks.roofline.prediction import predict, seconds_of
from unichunk.benchmarks.roofline.stages import stages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unichunk.benchmarks.roofline.architecture import Model
    from unichunk.benchmarks.roofline.devices import Device

SHORT_INSTRUCTION: Final = 32
"""Tokens that are room enough for most instructions."""

FEWEST_STEPS: Final = 2
"""Euler steps below which no cut goes."""

HALF_THE_TOKENS: Final = 0.5**0.5
"""Factor of an image's side."""


@dataclass(frozen=True)
class Cut:
    """One change.

    Attributes:
        kind: What is changed.
        label: From what to what.
        takes: What it takes.
        model: The model after it.
        today: Whether `unichunk` can run what comes out.
    """

    kind: str
    label: str
    takes: str
    model: Model
    today: bool = True


def inference_s(model: Model, device: Device, efficiency: float = EFFICIENCY) -> float:
    """Both graphs, as expected on a device, [s]."""
    return seconds_of(predict(stages(model), device.expected(model.workload.precision, efficiency)))


def ranked_cuts(model: Model, device: Device) -> list[tuple[Cut, float]]:
    """Single cuts with their expected gain, [s], the largest first."""
    before = inference_s(model, device)
    gains = [(cut, before - inference_s(cut.model, device)) for cut in _cuts(model, device)]
    return sorted(gains, key=lambda pair: -pair[1])


def cut_rows(model: Model, device: Device) -> list[dict[str, Any]]:
    """The same as plain values."""
    before = inference_s(model, device)
    return [
        {
            "prediction": True,
            "cut": cut.label,
            "takes": cut.takes,
            "expected_ms": 1e3 * (before - gain),
            "gain_ms": 1e3 * gain,
            "gain_share": gain / before,
        }
        for cut, gain in ranked_cuts(model, device)
    ]


def _cuts(model: Model, device: Device) -> Iterator[Cut]:
    work = model.workload
    if work.rounds:
        yield Cut("rounds", f"MPG rounds {work.rounds} -> 0", "unichunk run without refinement", model.asked(rounds=0))
    if work.rounds > 1:
        fewer = work.rounds - 1
        yield Cut(
            "rounds", f"MPG rounds {work.rounds} -> {fewer}", "compile --refinement-rounds", model.asked(rounds=fewer)
        )
    if work.steps > FEWEST_STEPS:
        half = max(FEWEST_STEPS, work.steps // 2)
        yield Cut(
            "steps", f"Euler steps {work.steps} -> {half}", "compile --steps; check success", model.asked(steps=half)
        )
    if work.views > 1:
        fewer = work.views - 1
        yield Cut("views", f"views {work.views} -> {fewer}", "training with fewer cameras", model.asked(views=fewer))
    side = smaller_image(model)
    if side is not None:
        tokens = model.image_tokens, model.asked(image_size=side).image_tokens
        label = f"images {work.image_size} -> {side} px ({tokens[0]} -> {tokens[1]} tokens a view)"
        yield Cut("image", label, "training at that size", model.asked(image_size=side))
    short = PROMPT_TOKENS + SHORT_INSTRUCTION
    if work.text_tokens > short:
        label = f"room for instruction and prompt {work.text_tokens} -> {short} tokens"
        yield Cut("text", label, f"compile --instruction-tokens {SHORT_INSTRUCTION}", model.asked(text_tokens=short))
    for precision in device.tera:
        if BYTES[precision] < BYTES[work.precision]:
            compiled = precision in COMPILED
            takes = (
                "compile --precision; an engine with it" if compiled else "not compiled by unichunk yet; calibration"
            )
            label = f"precision {work.precision} -> {precision}"
            yield Cut("precision", label, takes, model.asked(precision=precision), today=compiled)


def smaller_image(model: Model) -> int | None:
    """Side of an image with about half the tokens, [px]; None where there is none between it and a single token."""
    step = model.vision.patch * model.vision.merge
    side = round(model.workload.image_size * HALF_THE_TOKENS / step) * step
    return side if step <= side < model.workload.image_size else None
