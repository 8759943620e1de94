"""What one should know who runs a policy guided."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.runtime.policy.manifest import Manifest


def guided_note(manifest: Manifest) -> str:
    """One line: what guidance is for, and what the bundle says of its training."""
    trained = manifest.provenance.get("locked_prefixes", "of unknown training with locked prefixes")
    return (
        f"chunks are steered towards the running plan, for policies that were not trained with locked prefixes; "
        f"{manifest.name} says: {trained}"
    )
