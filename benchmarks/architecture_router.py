"""Whom a mixture's router chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.instruction import INSTRUCTIONS
from unichunk.runtime.observation import Observation, RobotState
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from unichunk.benchmarks.past_locking_plan import Arm

TOLD: Final = ("parameters", "embodiment_adapters", "mixture_of_flow")
"""Of a bundle's provenance."""


def described(arm: Arm) -> dict[str, Any]:
    """What an arm's policy is, without the place where it lies."""
    manifest = read_manifest(arm.bundle)
    known = {name: value for name, value in manifest.provenance.items() if name in TOLD}
    return {"label": arm.label, "policy": manifest.name, **known}


def chosen(arm: Arm, robot: str) -> list[dict[str, Any]]:
    """Experts and their shares with the robot at rest, for each instruction; nothing for a policy without a router."""
    if not any(tensor.name == "experts" for tensor in read_manifest(arm.bundle).graphs.prefix.outputs):
        return []
    policy, spec = Policy.load(arm.bundle, embodiment=robot), load_spec(robot)
    state = RobotState(stamp_ns=0, sequence=0, q=spec.rest, dq=np.zeros_like(spec.rest), watchdog=False)
    found = []
    for posture, text in INSTRUCTIONS.items():
        for block in BLOCKS:
            told = EmbodimentAdapter(spec, policy.robot, str(arm.bundle)).policy_input(
                Observation(stamp_ns=0, state=state, frames={}), text.format(block=block)
            )
            # The router does not look; any picture will do.
            outputs = policy.prefix(policy.preprocess({**policy.example_observation(), **told}))
            found.append(
                {
                    "arm": arm.label,
                    "block": block,
                    "posture": posture,
                    "experts": outputs["experts"].numpy().tolist(),
                    "shares": [round(float(share), 4) for share in outputs["expert_gates"].numpy()],
                }
            )
    return found
