"""How the proxy is run: what is no matter of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOCKSTEP_PATIENCE: Final = 10.0
"""How many times as patient the proxy is with simulations and their policies: their time waits."""


@dataclass(frozen=True)
class ProxyOptions:
    """All of them hold for every robot and every policy.

    Attributes:
        sim_robots: Honour robots that ask for lockstep: simulations whose time waits for policies.
        robot_lost_s: A robot that is silent for this long while a policy drives is lost, [s]; in lockstep ten times.
        policy_lost_s: A policy that answers nothing for this long is lost, [s]; in lockstep ten times.
        fps: Pictures a second that are recorded of every camera.
        nice: How much less urgent policies in processes of our own are than the proxy.
        load_s: How long policies may take to load, [s].
        engine: What `unichunk serve` is told of the engine of bundles, the same for all of them.
    """

    sim_robots: bool = False
    robot_lost_s: float = 1.0
    policy_lost_s: float = 2.0
    fps: float = 5.0
    nice: int = 10
    load_s: float = 600.0
    engine: tuple[str, ...] = ()

    def patience(self, *, lockstep: bool) -> float:
        """Factor of all times after which somebody is lost."""
        return LOCKSTEP_PATIENCE if lockstep else 1.0

    @property
    def answer_within_s(self) -> float:
        """How long the connection to a policy waits for an answer, [s]: at least until the trial is over anyway."""
        return 1.0 + self.policy_lost_s * self.patience(lockstep=self.sim_robots)
