"""Which policy is served under a name, and how."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

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
        guided: Whether chunks are steered towards the running plan.
        threads: Threads inside one operator.
        max_batch: Most requests inferred together; the bundle's graphs may allow fewer.
        replicas: Workers, each with the policy loaded.
    """

    name: str
    source: str
    robot: str = ""
    mapping: str = ""
    refinement_rounds: Annotated[int, Meta(ge=0)] = 0
    guided: bool = False
    threads: Annotated[int, Meta(ge=1)] = 1
    max_batch: Annotated[int, Meta(ge=1)] = 8
    replicas: Annotated[int, Meta(ge=1)] = 1

    @property
    def is_python(self) -> bool:
        """Whether a Python factory makes it."""
        return self.source.startswith(PYTHON)
