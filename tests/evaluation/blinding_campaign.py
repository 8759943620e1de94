"""A frozen campaign on the SO-101 for tests of the proxy: plan and places, no database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from unichunk.server.evaluation.planning import folder as names
from unichunk.server.evaluation.planning.campaign import Blinding, Campaign, Layout, PolicyEntry, Task
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.planning.digest import policy_digest, robot_digest
from unichunk.server.evaluation.planning.places import Places
from unichunk.server.evaluation.planning.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

ROBOT = "so101"
POLICIES = "python:tests.evaluation.blinding_policies:"


def frozen(folder: Path, sources: Sequence[str], **blinding: Any) -> Plan:
    """Write the plan of a campaign of these policies; `blinding` as in `Blinding`."""
    entries = [PolicyEntry(name=f"p{number}", source=source) for number, source in enumerate(sources)]
    policies = tuple(
        PolicyEntry(name=entry.name, source=entry.source, sha256=policy_digest(entry, Path(), ROBOT))
        for entry in entries
    )
    campaign = Campaign(
        name="blinding",
        robot=ROBOT,
        robot_sha256=robot_digest(ROBOT, Path()),
        policies=policies,
        tasks=(Task(name="wave", instruction="wave", success="it waved"),),
        layouts=(Layout(name="empty", task="wave"),),
        trials_per_cell=1,
        blinding=Blinding(**blinding),
    )
    plan = Plan(
        campaign=campaign,
        campaign_id="a" * 16,
        slots=(),
        commitment="0" * 64,
        signing_key="0" * 64,
        admin_key="0" * 64,
        frozen_at="2026-01-01T00:00:00Z",
    )
    # As it is read again: 10 is 10.0 where a number is a float.
    plan = msgspec.json.decode(canonical_json(plan), type=Plan)
    (folder / names.PRIVATE).mkdir(parents=True)
    (folder / names.PLAN).write_bytes(canonical_json(plan) + b"\n")
    (folder / names.PLACES).write_bytes(canonical_json(Places(campaign_folder=str(Path.cwd()))) + b"\n")
    return plan
