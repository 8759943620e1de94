"""Bundles and observations for tests of the lean protocol."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.policy import Policy


@cache
def tiny_policy(noise: str = "all", rounds: int = 0) -> Policy:
    """A loaded tiny policy for so101; one for all tests of a process."""
    with tempfile.TemporaryDirectory(prefix="unichunk-") as folder:
        own = "own" if noise == "own" else "all"
        return Policy.load(write_tiny_bundle(Path(folder) / "tiny", noise=own), refinement_rounds=rounds)  # type: ignore[arg-type]
