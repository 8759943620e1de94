"""Which links of a robot can come to touch: the rule behind `self_collision` in the robots' descriptions.

    python -m unichunk.kinematics.collision_pairs NAME [--urdf FILE] [--samples N]

prints the pairs as they stand in `kinematics/robots/NAME.json`, and why others were left out. The rule, after that of
MoveIt's setup assistant:

- links on the same moving body, or on neighbouring ones (one joint between them), are left out;
- links of the same hand are left out, and the two fingers of a gripper: they are made to touch;
- of the rest, the shapes are measured at random configurations within the limits. Where none of these overlap, the
  closest are improved by a random descent. Pairs that do not come closer than `MARGIN` are left out, and so are those
  that overlap at rest or nearly always (`ALWAYS`): their shapes say nothing of a pose, and ought to be made smaller.

What it prints is a proposal to be read by somebody who knows the robot.
"""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import tyro

from unichunk.kinematics.description import robot_description
from unichunk.kinematics.robot_geometry import robot_geometry
from unichunk.kinematics.robot_model import frame_index, robot_model
from unichunk.kinematics.self_collision import SelfCollision, shapes_by_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pinocchio as pin
    from numpy.typing import NDArray

    from unichunk.kinematics.description import HandDescription

MARGIN: Final = 0.01
"""Pairs that never come closer than this, [m], are left out: keeping a smaller distance than this is left to others."""

ALWAYS: Final = 0.9
"""Pairs that overlap in more than this share of the samples would tell the same of every pose."""

WIDTH: Final = 120
"""Columns of a description file."""

DESCENTS: Final = 6
PROPOSALS: Final = 64
SCALES: Final = tuple(0.3 * 0.7**i for i in range(16))
"""The random descent: from how many of the closest samples, configurations tried at each scale, and the scales as
shares of the joints' ranges."""


@dataclass
class Options:
    """Finds the pairs of links that can come to touch.

    Attributes:
        name: Robot or hand.
        urdf: A calibrated URDF instead of the shipped one.
        samples: Number of random configurations.
    """

    name: tyro.conf.Positional[str]
    urdf: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    samples: int = 10_000


@dataclass(frozen=True)
class PairReport:
    """How close two links come.

    Attributes:
        links: Their names.
        closest: Smallest distance found, [m].
        at_rest: Distance at the rest configuration (zero, or the limit nearest to it), [m].
        overlapping: Share of the samples in which they overlap.
    """

    links: tuple[str, str]
    closest: float
    at_rest: float
    overlapping: float

    @property
    def verdict(self) -> str:
        """`always` where they overlap whatever the pose, `never` where they stay clear, or else `kept`."""
        if self.at_rest < 0 or self.overlapping > ALWAYS:
            return "always"
        return "kept" if self.closest < MARGIN else "never"


def candidate_pairs(
    model: pin.Model, links: Sequence[str], hands: Sequence[HandDescription] = ()
) -> list[tuple[str, str]]:
    """Pairs of links that the joints let come to touch, in the model's order.

    Args:
        model: The robot.
        links: Links that have collision shapes.
        hands: Its hands.
    """
    body = {link: _body(model, link) for link in links}
    bodies_of_hands = [_bodies_of_hand(model, hand) for hand in hands]
    return [
        (one, other)
        for one, other in combinations(sorted(body, key=lambda link: frame_index(model, link)), 2)
        if body[one] != body[other]
        and body[one] != model.parents[body[other]]
        and body[other] != model.parents[body[one]]
        and not any({body[one], body[other]} <= bodies for bodies in bodies_of_hands)
        and not _gripper_fingers(model, body[one], body[other])
    ]


def measure_pairs(
    name: str, pairs: Sequence[tuple[str, str]], samples: int, urdf: Path | None = None
) -> list[PairReport]:
    """How close pairs of links come within the joint limits (at the same configurations every time)."""
    every = SelfCollision(name, urdf, pairs=pairs)
    lower, upper = _limits(every.model)
    at_rest = every.all_distances(np.clip(0, lower, upper)[None])[0]
    configurations = np.random.default_rng(0).uniform(lower, upper, (samples, every.model.nq))
    distances = every.all_distances(configurations)
    reports = []
    for pair, rest, column in zip(pairs, at_rest, distances.T, strict=True):
        closest = float(column.min())
        if closest >= 0:
            alone, joints = SelfCollision(name, urdf, pairs=[pair]), _joints_between(every.model, *pair)
            starts = configurations[np.argsort(column)[:DESCENTS]]
            closest = min(_descend(alone, start, joints, lower, upper) for start in starts)
        reports.append(PairReport(pair, closest, float(rest), float((column < 0).mean())))
    return reports


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, description=__doc__)
    model, geometry = robot_model(options.name, options.urdf), robot_geometry(options.name, options.urdf)
    hands = list(robot_description(options.name).hands.values())
    pairs = candidate_pairs(model, list(shapes_by_link(model, geometry)), hands)
    reports = measure_pairs(options.name, pairs, options.samples, options.urdf)
    for report in reports:
        sys.stderr.write(
            f"{report.verdict:7} {report.links[0]:28} {report.links[1]:28} closest {1000 * report.closest:6.1f} mm, "
            f"at rest {1000 * report.at_rest:6.1f} mm, overlapping {100 * report.overlapping:5.1f} %\n"
        )
    sys.stdout.write(_as_json([report.links for report in reports if report.verdict == "kept"]))


def _as_json(pairs: Sequence[tuple[str, str]]) -> str:
    """The entry of a description, in lines of the length of all others."""
    # Pairs are not broken over lines: their own spaces come back afterwards.
    words = ", ".join(f'["{one}",\0"{other}"]' for one, other in pairs)
    lines = textwrap.wrap(words, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(['  "self_collision": [', *lines, "  ],"]).replace("\0", " ") + "\n"


def _body(model: pin.Model, frame: str) -> int:
    """The moving body that a frame is on: the index of the joint that moves it."""
    return int(model.frames[frame_index(model, frame)].parentJoint)


def _bodies_of_hand(model: pin.Model, hand: HandDescription) -> set[int]:
    """The body of the palm and all those of the fingers."""
    palm = _body(model, hand.palm)
    tips = {_body(model, tip) for tip in hand.fingertips.values()}
    return {palm}.union(*({joint for joint in model.supports[tip] if joint > palm} for tip in tips))


def _gripper_fingers(model: pin.Model, one: int, other: int) -> bool:
    """Whether two bodies hang on the same one and carry nothing."""
    parents = list(model.parents)
    return parents[one] == parents[other] and one not in parents and other not in parents


def _joints_between(model: pin.Model, one: str, other: str) -> list[int]:
    """Places in q of the joints that move one link against the other."""
    between = set(model.supports[_body(model, one)]) ^ set(model.supports[_body(model, other)])
    return sorted({int(model.idx_qs[joint]) for joint in between})


def _descend(
    pair: SelfCollision,
    start: NDArray[np.float64],
    joints: Sequence[int],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> float:
    """The smallest distance found by going from a configuration to ever nearer ones that are closer, [m]."""
    random = np.random.default_rng(0)
    best, closest = start, float(pair.distances(start[None]).distance[0])
    for scale in SCALES:
        proposals = np.repeat(best[None], PROPOSALS, axis=0)
        proposals[:, joints] += scale * (upper - lower)[joints] * random.normal(size=(PROPOSALS, len(joints)))
        proposals = np.clip(proposals, lower, upper)
        distances = pair.distances(proposals).distance
        if distances.min() < closest:
            best, closest = proposals[distances.argmin()], float(distances.min())
    return closest


def _limits(model: pin.Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where configurations are drawn from: a full turn for joints that have no limits."""
    unlimited = np.pi
    return np.maximum(model.lowerPositionLimit, -unlimited), np.minimum(model.upperPositionLimit, unlimited)


if __name__ == "__main__":
    main()
