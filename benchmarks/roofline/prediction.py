"""Times from work and rates. They are predictions, and every document of theirs says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.roofline.operations import Product

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from unichunk.benchmarks.roofline.rates import Rates
    from unichunk.benchmarks.roofline.stages import Stage


@dataclass(frozen=True)
class StageTime:
    """What a stage is predicted to take.

    Attributes:
        stage: Which.
        products_s: Matrix products of all its executions, [s].
        hidden_s: What is taken for hidden behind them: arithmetic behind memory, memory behind arithmetic, [s].
        pointwise_s: What stands between them, [s].
        launches: Kernels.
        launch_s: What they cost, [s].
        arithmetic_share: Share of the time in products that is bound by arithmetic, not by memory.
    """

    stage: Stage
    products_s: float
    hidden_s: float
    pointwise_s: float
    launches: int
    launch_s: float
    arithmetic_share: float

    @property
    def seconds(self) -> float:
        """Of all its executions."""
        return self.products_s + self.pointwise_s + self.launch_s

    def row(self) -> dict[str, Any]:
        """As plain values."""
        stage = self.stage
        return {
            "prediction": True,
            "stage": stage.name,
            "repeats": stage.repeats,
            "weight_mb": stage.weight_bytes / 1e6,
            "kv_mb": stage.kv_bytes / 1e6,
            "activation_mb": stage.activation_bytes / 1e6,
            "gflop": stage.flops / 1e9,
            "launches": self.launches,
            "arithmetic_share": self.arithmetic_share,
            "ms": 1e3 * self.seconds,
        }


def stage_time(stage: Stage, rates: Rates) -> StageTime:
    """One stage on one machine: each operation takes the longer of arithmetic and memory."""
    products = hidden = pointwise = arithmetic = 0.0
    launches = 0
    for operation in stage.operations:
        seconds = operation.work_s(rates)
        launches += operation.launches(rates)
        if not isinstance(operation, Product):
            pointwise += seconds
            continue
        products += seconds
        hidden += operation.hidden_s(rates)
        if operation.arithmetic_s(rates) >= operation.memory_s(rates):
            arithmetic += seconds
    launches *= stage.repeats
    return StageTime(
        stage=stage,
        products_s=products * stage.repeats,
        hidden_s=hidden * stage.repeats,
        pointwise_s=pointwise * stage.repeats,
        launches=launches,
        launch_s=launches * rates.launch_s,
        arithmetic_share=arithmetic / products if products else 0.0,
    )


def predict(found: Sequence[Stage], rates: Rates) -> list[StageTime]:
    """All stages on one machine."""
    return [stage_time(stage, rates) for stage in found]


def seconds_of(times: Iterable[StageTime]) -> float:
    """Sum, [s]."""
    return sum(time.seconds for time in times)
