from __future__ import annotations

from tests.run.conftest import robot, spec, tiny

__all__ = ["robot", "spec", "tiny"]
