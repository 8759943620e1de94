"""`unichunk engines`: what can run policies here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy.engines.availability import engine_statuses
from unichunk.runtime.policy.engines.cache import EngineCache
from unichunk.runtime.policy.engines.options import EngineOptions
from unichunk.server.say import say

if TYPE_CHECKING:
    from unichunk.runtime.policy.engines.availability import EngineStatus
    from unichunk.runtime.policy.engines.cache import Entry

NAME: Final = "unichunk engines"


@dataclass
class Engines:
    """List what can run policies here, why the rest cannot and how to get it, and which built engines are kept.

    Any policy can also be run by another machine: `unichunk serve` there, and its address as --policy here.

    Exit status: 0, or 1 where built engines cannot be removed.

    Try: unichunk run --embodiment so101 --sim --engine onnxruntime-cuda
    """

    device: int = 0
    """Number of the GPU."""
    engine_cache: Path | None = None
    """Folder of built engines. Without it, UNICHUNK_ENGINE_CACHE, or ~/.cache/unichunk/engines."""
    clear: bool = False
    """Remove the built engines: they are built again when they are needed."""
    json: bool = False
    """Print JSON, for programs."""

    def __call__(self) -> int:
        """Print the list; return the exit status."""
        cache = EngineCache(self.engine_cache)
        try:
            if self.clear:
                cache.clear()
            statuses, built = engine_statuses(EngineOptions(device=self.device)), cache.entries()
        except UnichunkError as error:
            say(f"{NAME}: {error}\n", sys.stderr)
            return 1
        if self.json:
            document = {
                "engines": statuses,
                "cache": str(cache.folder),
                "built": [_entry(*one) for one in built],
            }
            say(f"{msgspec.json.format(msgspec.json.encode(document)).decode()}\n", sys.stdout)
            return 0
        say("".join(_line(status) for status in statuses), sys.stdout)
        say(f"\nbuilt engines in {cache.folder}: {'' if built else 'none'}\n", sys.stdout)
        say("".join(_built_line(*one) for one in built), sys.stdout)
        return 0


def _line(status: EngineStatus) -> str:
    return f"{status.name:<22}{'can be used' if status.available else 'not here'}: {status.detail}\n"


def _built_line(folder: Path, entry: Entry | None) -> str:
    known = {} if entry is None else entry.key
    what = f"{known.get('engine', 'damaged')} for {known.get('device', 'an unknown device')}"
    return f"  {folder.name[:12]}  {_size(folder) / 2**20:10.1f} MiB  {what}\n"


def _entry(folder: Path, entry: Entry | None) -> dict[str, Any]:
    return {"folder": str(folder), "bytes": _size(folder), "key": None if entry is None else entry.key}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
