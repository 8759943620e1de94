"""What a predicted latency means for each robot: the delay to commit, whether it fits, how fast it could act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.roofline.cuts import inference_s, ranked_cuts
from unichunk.benchmarks.roofline.devices import CAUTIOUS
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.runtime.admission import admit
from unichunk.runtime.chunking import largest_delay, required_delay
from unichunk.runtime.errors import AdmissionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.benchmarks.roofline.allowance import Allowance
    from unichunk.benchmarks.roofline.architecture import Model
    from unichunk.benchmarks.roofline.cuts import Cut
    from unichunk.benchmarks.roofline.devices import Device
    from unichunk.embodiments.spec import EmbodimentSpec

FASTEST_HZ: Final = 1000
"""No action rate beyond this is looked at."""


def robot_rows(model: Model, device: Device, allowance: Allowance, *, fixed_views: bool) -> list[dict[str, Any]]:
    """Every shipped embodiment.

    Args:
        model: What thinks.
        device: Where.
        allowance: What the latency holds besides.
        fixed_views: Whether the model's number of views stands; otherwise it is each robot's number of cameras.
    """
    specs = [load_spec(name) for name in embodiment_names()]
    return [
        robot_row(model if fixed_views else model.asked(views=len(spec.cameras)), spec, device, allowance)
        for spec in specs
    ]


def robot_row(model: Model, spec: EmbodimentSpec, device: Device, allowance: Allowance) -> dict[str, Any]:
    """One robot."""
    largest = largest_delay(model.workload.rows, spec.minimum_postfix_ticks, model.trained_delay)
    graphs = inference_s(model, device)
    latency = _latency_s(model, spec, device, allowance)
    cautious = _latency_s(model, spec, device, allowance, CAUTIOUS)
    delay = required_delay(latency, spec.action_hz, spec.delay_margin_ticks)
    complaint = _complaint(model, spec, latency, delay)
    return {
        "prediction": True,
        "embodiment": spec.name,
        "driven": None if model.drives is None else spec.name in model.drives,
        "action_hz": spec.action_hz,
        "views": model.workload.views,
        "inference_ms": 1e3 * graphs,
        "allowance_ms": 1e3 * (latency - graphs),
        "latency_ms": 1e3 * latency,
        "cautious_latency_ms": 1e3 * cautious,
        "delay": delay,
        "cautious_delay": required_delay(cautious, spec.action_hz, spec.delay_margin_ticks),
        "largest_delay": largest,
        "fits": complaint is None,
        "complaint": complaint,
        "highest_action_hz": highest_action_hz(latency, spec.delay_margin_ticks, largest),
        "cut_first": cuts_until(
            model,
            device,
            lambda cut: (
                _complaint(
                    cut,
                    spec,
                    seconds := _latency_s(cut, spec, device, allowance),
                    required_delay(seconds, spec.action_hz, spec.delay_margin_ticks),
                )
                is None
            ),
        ),
    }


def highest_action_hz(latency_s: float, margin: int, largest: int) -> int:
    """The highest whole action rate whose delay still fits; 0 where none does.

    Args:
        latency_s: From capture to readable rows, [s].
        margin: Ticks added.
        largest: Longest delay that fits.
    """
    return next((hz for hz in range(FASTEST_HZ, 0, -1) if required_delay(latency_s, hz, margin) <= largest), 0)


def cuts_until(model: Model, device: Device, enough: Callable[[Model], bool]) -> list[str] | None:
    """Cuts that can be made today, the largest gain first and one of each kind; None where all are not enough.

    Returns:
        Their labels; empty where nothing has to be cut.
    """
    made: list[Cut] = []
    while not enough(model):
        kinds = {cut.kind for cut in made}
        cuts = [cut for cut, gain in ranked_cuts(model, device) if gain > 0 and cut.today and cut.kind not in kinds]
        if not cuts:
            return None
        made.append(cuts[0])
        model = cuts[0].model
    return [cut.label for cut in made]


def _latency_s(
    model: Model, spec: EmbodimentSpec, device: Device, allowance: Allowance, efficiency: float | None = None
) -> float:
    graphs = inference_s(model, device) if efficiency is None else inference_s(model, device, efficiency)
    fps = min(camera.fps for camera in spec.cameras.values())
    return graphs + allowance.seconds(model.workload.views, graphs, fps)


def _complaint(model: Model, spec: EmbodimentSpec, latency_s: float, delay: int) -> str | None:
    """What the runtime's own admission check says; None where it admits."""
    try:
        admit(
            delay=delay,
            latency_s=latency_s,
            chunk_length=model.workload.rows,
            minimum_postfix=spec.minimum_postfix_ticks,
            trained_delay=model.trained_delay,
            action_hz=spec.action_hz,
        )
    except AdmissionError as error:
        return str(error)
    return None
