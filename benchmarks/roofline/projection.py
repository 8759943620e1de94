"""The document of a projection: one model on all devices, and on one device what it means for every robot."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.roofline.cuts import cut_rows
from unichunk.benchmarks.roofline.devices import CAUTIOUS, DEVICES, EFFICIENCY, LAUNCH_S
from unichunk.benchmarks.roofline.memory import memory_need
from unichunk.benchmarks.roofline.peers import unsupported
from unichunk.benchmarks.roofline.prediction import predict, seconds_of
from unichunk.benchmarks.roofline.robots import robot_rows
from unichunk.benchmarks.roofline.stages import parameters, stages

if TYPE_CHECKING:
    from unichunk.benchmarks.roofline.allowance import Allowance
    from unichunk.benchmarks.roofline.architecture import Model
    from unichunk.benchmarks.roofline.devices import Device

ASSUMPTIONS: Final = (
    "roofline: every operation takes the longer of its bytes at the datasheet's bandwidth and its arithmetic at the "
    "datasheet's dense peak; an engine fuses what stands between two products; activations that fit the GPU's cache "
    "do not reach the memory; launches are free; clocks are the datasheet's (MAXN on a Jetson)",
    f"expected: {EFFICIENCY:g} of these peaks, and {1e6 * LAUNCH_S:g} us for every kernel of a captured graph; "
    f"cautious: {CAUTIOUS:g} of the peaks",
    "int8 and fp8: weights and operands of all products in it; unichunk compiles fp32, fp16 and bf16",
)


def model_row(model: Model) -> dict[str, Any]:
    """What is projected."""
    return {
        "name": model.name,
        "parameters": parameters(model),
        "language_tokens": model.language_tokens,
        "prefix_tokens": model.prefix_tokens,
        "trained_delay": model.trained_delay,
        "trained_delay_from": model.delay_note,
        **asdict(model.workload),
    }


def device_rows(model: Model) -> list[dict[str, Any]]:
    """The model on every device that has its precision."""
    return [device_row(model, device) for device in DEVICES.values() if model.workload.precision in device.tera]


def device_row(model: Model, device: Device) -> dict[str, Any]:
    """The model on one device."""
    precision, found = model.workload.precision, stages(model)
    return {
        "prediction": True,
        "device": device.name,
        "title": device.title,
        "precision": precision,
        "roofline_ms": 1e3 * seconds_of(predict(found, device.bound(precision))),
        "expected_ms": 1e3 * seconds_of(predict(found, device.expected(precision))),
        "cautious_ms": 1e3 * seconds_of(predict(found, device.expected(precision, CAUTIOUS))),
        "unsupported": unsupported(device.name),
        "memory": memory_need(model, device).row(),
        "peak_tera": device.tera[precision],
        "bandwidth_gb_s": device.bandwidth_gb,
        "sources": list(device.sources),
    }


def stage_rows(model: Model, device: Device) -> list[dict[str, Any]]:
    """Every stage on one device."""
    precision, found = model.workload.precision, stages(model)
    rows = []
    for bound, expected in zip(
        predict(found, device.bound(precision)), predict(found, device.expected(precision)), strict=True
    ):
        row = bound.row()
        row["roofline_ms"] = row.pop("ms")
        rows.append(row | {"expected_ms": 1e3 * expected.seconds})
    return rows


def projected(model: Model, device: Device, allowance: Allowance, *, fixed_views: bool) -> dict[str, Any]:
    """All parts of a document about one device."""
    return {
        "allowance": allowance.row(),
        "stages": stage_rows(model, device),
        "robots": robot_rows(model, device, allowance, fixed_views=fixed_views),
        "cuts": cut_rows(model, device),
    }
