"""What a precision does to chunks, apart from any engine: on the CPU, halves rounded as a GPU would."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.engine_runs.agreement import chunks_of
from unichunk.benchmarks.engine_runs.requests import Asked, largest_difference
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.engines.choice import build_engine
from unichunk.runtime.policy.engines.graph_file import graph_file
from unichunk.runtime.policy.graph_choice import chunk_graph, prefix_graph
from unichunk.runtime.policy.loaded_graphs import GraphPair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unichunk.benchmarks.engine_runs.bundles import Precision, Workload
    from unichunk.runtime.policy.engines.options import EngineOptions
    from unichunk.runtime.policy.manifest import Manifest

Chunks = dict[tuple[int, int], list["NDArray[np.float32]"]]
"""K and N -> chunks of the requests."""


@dataclass(frozen=True)
class OnCpu:
    """How chunks are computed on the CPU.

    Attributes:
        workload: Which graphs there are.
        options: Threads.
        requests: How many.
    """

    workload: Workload
    options: EngineOptions
    requests: int

    def chunks(self, bundle: Path) -> Chunks:
        """Chunks of the requests, with every chunk graph of a bundle that the CPU can compute."""
        return self._chunks(bundle, bundle, read_manifest(bundle))

    def emulated(self, bundle: Path) -> Chunks:
        """The same of a bundle in half precision, rounded wherever a device that has it would round."""
        from unichunk.runtime.compile.emulation import write_emulated  # noqa: PLC0415  (the extra)

        with tempfile.TemporaryDirectory(dir=bundle.parent) as name:
            return self._chunks(bundle, Path(name), write_emulated(bundle, read_manifest(bundle), Path(name)))

    def _chunks(self, bundle: Path, folder: Path, manifest: Manifest) -> Chunks:
        views, found = self.workload.views, Chunks()
        prefix = build_engine(graph_file(folder, manifest, prefix_graph(manifest, views), resident=True), self.options)
        for steps, rounds in self.workload.cases:
            graph = chunk_graph(manifest, views, steps=steps, rounds=rounds)
            chunk = build_engine(graph_file(folder, manifest, graph, resident=False), self.options)
            asked = Asked(bundle, steps, rounds)
            found[steps, rounds] = chunks_of(asked, asked.requests(self.requests), GraphPair(prefix, chunk).run)
        return found


def deviation_rows(cpu: OnCpu, bundle: Path, precision: Precision, reference: Chunks) -> list[dict[str, Any]]:
    """The largest difference from float32 with every chunk graph, in normalized units.

    Args:
        cpu: Computes.
        bundle: In another precision.
        precision: Which.
        reference: Chunks of the same requests in float32.
    """
    half = precision in {"fp16", "bf16"}
    found = cpu.emulated(bundle) if half else cpu.chunks(bundle)
    return [
        {
            "size": cpu.workload.size,
            "precision": precision,
            "steps": steps,
            "rounds": rounds,
            "requests": cpu.requests,
            "method": "emulated" if half else "computed",
            "deviation": largest_difference(chunks, reference[steps, rounds]),
        }
        for (steps, rounds), chunks in found.items()
    ]
