"""Plans that were built before, and what a plan depends on."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from unichunk.runtime.policy.bundle import file_hash
from unichunk.runtime.policy.engines.cache import ENTRY_NAME
from unichunk.runtime.policy.engines.native_tensorrt.builder import build_plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType

    from unichunk.runtime.policy.engines.cache import EngineCache, Entry
    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.native_tensorrt.device import CudaDevice, DeviceFacts

PLAN_NAME: Final = "engine.plan"
TIMINGS_NAME: Final = "timings.bin"

FORM: Final = "1"
"""Of an entry and of the way that its plan is built; another number makes the older ones useless."""

_OF_MACHINE: Final = ("engine", "tensorrt", "device", "compute capability", "driver", "cuda")
"""Parts of a key that timings of kernels depend on."""


def plan_key(file: GraphFile, version: str, facts: DeviceFacts, workspace: int | None) -> dict[str, str]:
    """All that a plan depends on, by name.

    Args:
        file: The graph, with the hashes of what it reads.
        version: TensorRT's.
        facts: Of the device.
        workspace: Most memory for what is computed in between, [B]; None for no limit.
    """
    return {
        "engine": "tensorrt",
        "form": FORM,
        "tensorrt": version,
        "cuda": facts.runtime,
        "driver": facts.driver,
        "device": facts.name,
        "compute capability": ".".join(map(str, facts.capability)),
        "workspace": "unlimited" if workspace is None else str(workspace),
        "graph": file.path.name,
        **{f"file {name}": digest for name, digest in sorted(file.hashes.items())},
    }


def known_timings(entries: Iterable[tuple[Path, Entry | None]], key: dict[str, str]) -> bytes:
    """What an earlier build on the same machine measured of kernels; nothing where there was none, or it was changed.

    Args:
        entries: Of the cache.
        key: Of what shall be built.
    """
    same = [
        place
        for place, entry in entries
        if entry is not None
        and all(entry.key.get(part) == key[part] for part in _OF_MACHINE)
        and (place / TIMINGS_NAME).is_file()
        and entry.files.get(TIMINGS_NAME) == file_hash(place / TIMINGS_NAME)
    ]
    # Each build adds to what it began with, so the newest knows most.
    newest = max(same, key=lambda place: place.stat().st_mtime_ns, default=None)
    return b"" if newest is None else (newest / TIMINGS_NAME).read_bytes()


def cached_plan(
    cache: EngineCache, tensorrt: ModuleType, device: CudaDevice, file: GraphFile, workspace: int | None
) -> Path:
    """The file of a graph's plan: found in the cache, or built.

    Args:
        cache: Where plans are kept.
        tensorrt: The module.
        device: Where it shall run.
        file: The graph, with the hashes of what it reads.
        workspace: Most memory for what is computed in between, [B]; None for no limit.
    """
    key = plan_key(file, tensorrt.__version__, device.facts, workspace)

    def build(folder: Path) -> None:
        plan = build_plan(tensorrt, device, file, workspace, known_timings(cache.entries(), key))
        (folder / PLAN_NAME).write_bytes(plan.content)
        (folder / TIMINGS_NAME).write_bytes(plan.timings)

    return cache.entry(key, build) / PLAN_NAME


def distrust(plan: Path) -> None:
    """Have the cache build a plan again that is as it was written, and that TensorRT refuses all the same."""
    with suppress(OSError):
        (plan.parent / ENTRY_NAME).unlink()


def mapped(path: Path) -> Any:
    """A file's content as a buffer that takes no memory of its own: plans are as large as weights."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
