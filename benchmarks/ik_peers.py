"""The solvers that ours is measured next to, as far as they are installed, and their settings."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.ik_plain import PlainStepper
from unichunk.benchmarks.ik_solver import Ours
from unichunk.benchmarks.ik_stepping import Settings, SteppingSolver

if TYPE_CHECKING:
    from unichunk.benchmarks.ik_problem import Problem, Tolerance
    from unichunk.benchmarks.ik_solver import Solver

PEERS: Final = {"pink": "pin-pink", "mink": "mink"}
"""Import name and distribution of each."""

QP_SETTINGS: Final = Settings(
    attempts=1000,
    steps=12,
    row_steps=10,
    seconds=0.05,
    orientation_cost=0.15,
    gain=1.0,
    lm_damping=0.03,
    damping=1e-6,
)
"""Of Pink and mink: what found most targets soonest among orientation costs 0.15 to 1, damping 0 to 0.1 of the squared
error, and 10 to 50 steps before a new random start."""

PLAIN_SETTINGS: Final = replace(QP_SETTINGS, attempts=1, steps=100, damping=1e-4)
"""Of plain damped least squares."""


def missing_peers() -> list[str]:
    """Import names of the peers that are not installed; DAQP solves their quadratic programs."""
    return [name for name in PEERS if find_spec(name) is None or find_spec("daqp") is None]


def solvers(
    problem: Problem,
    tolerance: Tolerance,
    *,
    attempts: int,
    seconds: float,
    peers: bool = True,
    peer_attempts: int = QP_SETTINGS.attempts,
) -> list[Solver]:
    """Ours and the peers that are installed.

    Args:
        problem: The case.
        tolerance: What counts as reached.
        attempts: Starts of ours at most.
        seconds: Time that the others have for a target at most, [s].
        peers: Whether to take anyone but us.
        peer_attempts: Starts of Pink and mink at most; plain least squares has one.
    """
    ours = Ours(problem, tolerance, attempts)
    if not peers:
        return [ours]
    plain = replace(PLAIN_SETTINGS, seconds=seconds)
    settings = replace(QP_SETTINGS, seconds=seconds, attempts=peer_attempts)
    found: list[Solver] = [ours, SteppingSolver("plain", PlainStepper(problem, plain), problem, tolerance, plain)]
    missing = missing_peers()
    if "pink" not in missing:
        from unichunk.benchmarks.ik_pink import PinkStepper  # noqa: PLC0415  (an extra)

        found.append(SteppingSolver("pink", PinkStepper(problem, settings), problem, tolerance, settings))
    if "mink" not in missing:
        from unichunk.benchmarks.ik_mink import MinkStepper  # noqa: PLC0415  (an extra)

        found.append(SteppingSolver("mink", MinkStepper(problem, settings), problem, tolerance, settings))
    return found


def versions() -> dict[str, str]:
    """Versions of what the solvers are made of, as far as it is installed."""
    found = {}
    for name in ("pin", *PEERS.values(), "mujoco", "daqp", "qpsolvers"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
