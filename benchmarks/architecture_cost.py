"""What slot adapters and Mixture of Flow cost: both graphs with and without them, in turn, on random weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from unichunk.benchmarks.harness.interleave import interleave
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.stages.graph_times import graph_times
from unichunk.benchmarks.stages.random_bundles import DATASET, SIZES, data_config, write_random_checkpoint
from unichunk.embodiments.catalogue import load_spec
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from unichunk.runtime.compile.sizes import Sizes

ROBOT: Final = "d1"
DELAY: Final = 4
QUICK_REPETITIONS: Final = 4
RANK: Final = 8
EXPERTS: Final = 4
TOP_K: Final = 2
BASE: Final = "plain"


def kinds(base: Sizes) -> dict[str, Sizes]:
    """The same model without the parts, with each of them, with both; a mixture's acting experts are as wide."""
    mixture = replace(
        base,
        experts=EXPERTS,
        top_k=TOP_K,
        experts_mlp=base.expert_mlp // TOP_K,
        shared_layers=base.layers // 3,
        router_width=64,
    )
    adapters, both = (replace(sizes, adapter_rank=RANK) for sizes in (base, mixture))
    return {BASE: base, "adapters": adapters, "mixture": mixture, "both": both}


def measured_costs(folder: Path, *, quick: bool, repetitions: int) -> tuple[list[dict[str, Any]], dict[str, Ratio]]:
    """Medians of each kind, and how many times as long as the plain one's graphs its graphs take.

    Args:
        folder: For random bundles, a few hundred megabytes.
        quick: Whether the model is tiny.
        repetitions: Of each graph.
    """
    base = SIZES["tiny" if quick else "small"]
    bundles = {kind: _bundle(folder, kind, sizes) for kind, sizes in kinds(base).items()}
    policies = {kind: Policy.load(bundle, embodiment=ROBOT) for kind, bundle in bundles.items()}
    cases = {
        kind: lambda policy=policy: graph_times(policy, 1, delay=DELAY, warm_up=0) for kind, policy in policies.items()
    }
    times = interleave(cases, QUICK_REPETITIONS if quick else repetitions, warm_up=2)
    parts = {
        kind: {name: [one[f"{name}_s"][0] for one in found] for name in ("prefix", "chunk")}
        for kind, found in times.items()
    }
    costs = [
        {
            "kind": kind,
            "parameters": int(read_manifest(bundles[kind]).provenance["parameters"]),
            **{f"{name}_ms": 1e3 * float(np.median(values)) for name, values in parts[kind].items()},
        }
        for kind in bundles
    ]
    found = {
        f"{name}: {kind} / {BASE}": paired_ratio(parts[kind][name], parts[BASE][name], better="lower")
        for kind in bundles
        if kind != BASE
        for name in ("prefix", "chunk")
    }
    return costs, found


def cost_table(costs: Sequence[Mapping[str, Any]], found: Mapping[str, Ratio]) -> str:
    """Markdown, one row for each kind."""
    head = ("kind", "parameters [M]", "prefix [ms]", "chunk [ms]", f"prefix / {BASE}", f"chunk / {BASE}")
    return markdown_table(
        head,
        [
            (
                row["kind"],
                f"{row['parameters'] / 1e6:.1f}",
                f"{row['prefix_ms']:.1f}",
                f"{row['chunk_ms']:.1f}",
                *(found.get(f"{name}: {row['kind']} / {BASE}", "") for name in ("prefix", "chunk")),
            )
            for row in costs
        ],
    )


def _bundle(folder: Path, kind: str, sizes: Sizes) -> Path:
    from unichunk.runtime.compile.compile import compile_checkpoint  # noqa: PLC0415  (the extra, here and below)
    from unichunk.runtime.compile.compile_options import CompileOptions  # noqa: PLC0415
    from unichunk.runtime.compile.robots import RobotSource  # noqa: PLC0415

    spec = load_spec(ROBOT)
    checkpoint, config, bundle = (folder / f"{kind}{end}" for end in ("", ".json", "_bundle"))
    write_random_checkpoint(checkpoint, sizes, spec, "joints", 1)
    views = {**data_config(spec, "joints"), "views": [next(iter(spec.cameras))]}
    config.write_bytes(msgspec.json.encode(views))
    source = RobotSource(config, DATASET, name=ROBOT)
    compile_checkpoint(checkpoint, bundle, CompileOptions(robots=(source,), refinement_rounds=0))
    return bundle
