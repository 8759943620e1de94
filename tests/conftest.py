"""What this machine lacks: tests of engines that need it are skipped, and say why."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unichunk.runtime.policy.engines.options import EngineName

ENGINE_OF_MARKER: dict[str, EngineName] = {"cuda": "onnxruntime-cuda", "tensorrt": "tensorrt"}


@cache
def _missing(engine: EngineName) -> str:
    """Why an engine cannot be used here; empty where it can."""
    from unichunk.runtime.policy.engines.availability import engine_statuses

    return next("" if status.available else status.detail for status in engine_statuses() if status.name == engine)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked `cuda` or `tensorrt` where that engine, or the one that the marker names, is not here."""
    for name, engine in ENGINE_OF_MARKER.items():
        marker = item.get_closest_marker(name)
        if marker is not None and (why := _missing(*marker.args or (engine,))):
            pytest.skip(why)
