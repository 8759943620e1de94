"""Which policy is served under a name, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from unichunk.runtime.policy.engines.options import EngineName, EngineOptions

PYTHON: Final = "python:"
"""Beginning of a source that is no bundle but a Python factory: `python:package.module:factory`."""


class PolicySource(msgspec.Struct, frozen=True, kw_only=True):
    """One `--policy NAME=SOURCE` with everything else that was said about NAME; a worker is told this.

    Attributes:
        name: Under which it is served.
        source: Folder of a bundle, or `python:package.module:factory`: a function without arguments that returns an
            object with `infer(observation) -> result`, as openpi's policies have it.
        robot: The embodiment that clients drive who name none; empty: the bundle's first.
        mapping: Name or JSON file of the observation keys that openpi and GR00T clients use; empty: the bundle's own.
        refinement_rounds: N.
        steps: K; None for the bundle's own.
        guided: Whether chunks are steered towards the running plan.
        engine: What runs a bundle's graphs.
        threads: Threads inside one operator.
        device: Number of the GPU.
        cuda_graphs: Whether graphs are recorded, on a GPU.
        engine_cache: Folder of built engines; empty: the user's.
        gpu_memory: Most memory of the GPU for the engine of one graph, [GiB]; None for no limit.
        max_batch: Most requests inferred together; the bundle's graphs may allow fewer.
        replicas: Workers, each with the policy loaded.
    """

    name: str
    source: str
    robot: str = ""
    mapping: str = ""
    refinement_rounds: Annotated[int, Meta(ge=0)] = 0
    steps: Annotated[int, Meta(ge=1)] | None = None
    guided: bool = False
    engine: EngineName = "onnxruntime"
    threads: Annotated[int, Meta(ge=1)] = 1
    device: Annotated[int, Meta(ge=0)] = 0
    cuda_graphs: bool = True
    engine_cache: str = ""
    gpu_memory: float | None = None
    max_batch: Annotated[int, Meta(ge=1)] = 8
    replicas: Annotated[int, Meta(ge=1)] = 1

    @property
    def is_python(self) -> bool:
        """Whether a Python factory makes it."""
        return self.source.startswith(PYTHON)

    @property
    def engine_options(self) -> EngineOptions:
        """What runs a bundle's graphs, and how."""
        return EngineOptions(
            name=self.engine,
            threads=self.threads,
            device=self.device,
            cuda_graphs=self.cuda_graphs,
            cache=Path(self.engine_cache) if self.engine_cache else None,
            memory_gib=self.gpu_memory,
        )
