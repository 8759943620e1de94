"""How the proxy is run: what is no matter of the plan."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    sim_robots: bool = False
    robot_lost_s: float = 1.0
    policy_lost_s: float = 2.0
    fps: float = 5.0
    nice: int = 10
    load_s: float = 600.0
