"""The arms of a comparison, what is run of them, and what a run gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from unichunk.runtime.errors import BundleError, UnichunkError
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.graph_choice import chunk_graph
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from unichunk.embodiments.sim.block_paths import Block

Mode: TypeAlias = Literal["naive", "locked", "stale", "guided"]
MODES: Final[dict[str, Mode]] = {mode: mode for mode in get_args(Mode)}


@dataclass(frozen=True)
class Arm:
    """A policy and how it is executed.

    Attributes:
        label: What it is called.
        mode: Whether the policy plans alone, is told what is committed (`stale`: but the state of the observation
            whatever its bundle asks for), or is steered towards the running plan.
        bundle: The policy's folder.
    """

    label: str
    mode: Mode
    bundle: Path


@dataclass(frozen=True)
class Job:
    """One path: all arms, all delays, both blocks.

    Attributes:
        robot: Its name.
        arms: What to run.
        seed: Of the path and of the policies' noise.
        duration_s: Length of a run, [s].
        delays: d, [ticks].
        rounds: Refinement rounds.
    """

    robot: str
    arms: tuple[Arm, ...]
    seed: int
    duration_s: float
    delays: tuple[int, ...]
    rounds: int


@dataclass(frozen=True)
class Episode:
    """One run.

    Attributes:
        arm: Its label.
        delay: d, [ticks].
        block: That the instruction named.
        seed: Of the path and of the noise.
        success: Whether the hands were on target for long enough.
        on_target: Share of the time.
        error_mm: Mean distance to the named block, [mm].
        seam_kink_rad: Mean change of the change of a joint where a chunk took over, [rad].
        inside_kink_rad: The same inside chunks, [rad].
        chunks: How many took over.
        violations: How many of them had been inferred for other rows than those that ran before them.
    """

    arm: str
    delay: int
    block: Block
    seed: int
    success: bool
    on_target: float
    error_mm: float
    seam_kink_rad: float
    inside_kink_rad: float
    chunks: int
    violations: int


def parse_arm(text: str) -> Arm:
    """An arm as the command line gives it, LABEL=MODE:BUNDLE.

    Raises:
        UnichunkError: In one line, what is wrong with it.
    """
    label, _, rest = text.partition("=")
    mode, _, bundle = rest.partition(":")
    if not label or mode not in MODES or not bundle:
        raise UnichunkError(f"arm {text!r}: expected LABEL=MODE:BUNDLE, MODE one of {', '.join(MODES)}")
    return Arm(label, MODES[mode], Path(bundle))


def shipped_arms(robot: str) -> tuple[Arm, ...]:
    """The shipped policy, executed naively and locked.

    Raises:
        UnichunkError: Where none drives the robot.
    """
    for bundle in shipped_bundles(robot):
        return Arm("naive", "naive", bundle), Arm("locked", "locked", bundle)
    raise UnichunkError(f"no policy ships for {robot}; give some with --arms LABEL=MODE:BUNDLE")


def check_arm(arm: Arm, robot: str, rounds: int, longest: int) -> str:
    """Refuse what could not be run.

    Args:
        arm: The arm.
        robot: The robot.
        rounds: Refinement rounds.
        longest: The largest d.

    Returns:
        The policy's name.

    Raises:
        BundleError: It does not drive the robot, has no such graph, or its chunks are too short.
    """
    manifest = read_manifest(arm.bundle)
    if robot not in manifest.robots:
        raise BundleError(f"{arm.bundle}: policy {manifest.name!r} drives {', '.join(manifest.robots)}, not {robot}")
    views = len(manifest.robots[robot].cameras)
    chunk_graph(manifest, views, rounds=rounds, guided=arm.mode == "guided", origin=f"{arm.bundle}: ")
    if longest > manifest.chunk_length // 2:
        most = manifest.chunk_length // 2
        raise BundleError(f"{arm.bundle}: a delay of {longest} ticks, expected at most {most}, half a chunk of it")
    return manifest.name
