"""Which links of a robot can come to touch: the rule behind `self_collision` in the robots' descriptions.

    python -m unichunk.kinematics.collision_pairs NAME [--urdf FILE] [--samples N]

prints the pairs as they stand in `kinematics/robots/NAME.json`, and why others were left out. The rule, after that of
MoveIt's setup assistant:

- links on the same moving body, or on neighbouring ones (one joint between them), are left out;
- of a finger only the last link counts, and not against its own hand; the two fingers of a gripper are left out;
- of the rest, the shapes are measured at random configurations within the limits, and the closest of these are
  improved by a random descent. Pairs that do not come to overlap are left out, and so are those that are close to each
  other nearly always (`CLOSE`, `ALWAYS`): they are neighbours whatever the joints say.

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

CLOSE: Final = 0.02
ALWAYS: Final = 0.9
"""Pairs that are closer than CLOSE, [m], in more than this share of the samples would tell the same of every pose."""

WIDTH: Final = 120
"""Columns of a description file."""

DESCENTS: Final = 3
PROPOSALS: Final = 32
SCALES: Final = tuple(0.2 * 0.6**i for i in range(14))
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
    samples: int = 20_000


@dataclass(frozen=True)
class PairReport:
    """How close two links come.

    Attributes:
        links: Their names.
        closest: Smallest distance found, [m].
        close: Share of the samples in which they are closer than `CLOSE`.
        overlapping: Share of the samples in which they overlap.
    """

    links: tuple[str, str]
    closest: float
    close: float
    overlapping: float

    @property
    def verdict(self) -> str:
        """`never` where they do not come to overlap, `always` where they are close all the time, or else `kept`."""
        if self.closest >= 0:
            return "never"
        return "always" if self.close > ALWAYS else "kept"


def candidate_pairs(
    model: pin.Model, links: Sequence[str], hands: Sequence[HandDescription] = ()
) -> list[tuple[str, str]]:
    """Pairs of links that the joints let come to touch, in the model's order.

    Args:
        model: The robot.
        links: Links that have collision shapes.
        hands: Its hands.
    """
    body = {link: int(model.frames[frame_index(model, link)].parentJoint) for link in links}
    fingers = [_finger_bodies(model, hand) for hand in hands]
    inner = {joint for finger in fingers for joints in finger.values() for joint in joints[:-1]}
    palms = [int(model.frames[frame_index(model, hand.palm)].parentJoint) for hand in hands]
    same_hand = [
        {palm, *(joint for joints in finger.values() for joint in joints)}
        for palm, finger in zip(palms, fingers, strict=True)
    ]
    return [
        (one, other)
        for one, other in combinations(sorted(body, key=lambda link: frame_index(model, link)), 2)
        if body[one] != body[other]
        and body[one] != model.parents[body[other]]
        and body[other] != model.parents[body[one]]
        and not {body[one], body[other]} & inner
        and not any({body[one], body[other]} <= hand for hand in same_hand)
        and not _gripper_fingers(model, body[one], body[other])
    ]


def measure_pairs(
    name: str, pairs: Sequence[tuple[str, str]], samples: int, urdf: Path | None = None
) -> list[PairReport]:
    """How close pairs of links come within the joint limits (at the same configurations every time)."""
    every = SelfCollision(name, urdf, pairs=pairs)
    lower, upper = _limits(every.model)
    random = np.random.default_rng(0)
    configurations = random.uniform(lower, upper, (samples, every.model.nq))
    distances = every.all_distances(configurations)
    reports = []
    for pair, column in zip(pairs, distances.T, strict=True):
        alone = SelfCollision(name, urdf, pairs=[pair])
        starts = configurations[np.argsort(column)[:DESCENTS]]
        closest = min(_descend(alone, start, lower, upper, random) for start in starts)
        reports.append(PairReport(pair, closest, float((column < CLOSE).mean()), float((column < 0).mean())))
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
            f"close {100 * report.close:5.1f} %, overlapping {100 * report.overlapping:5.1f} %\n"
        )
    sys.stdout.write(_as_json([report.links for report in reports if report.verdict == "kept"]))


def _as_json(pairs: Sequence[tuple[str, str]]) -> str:
    """The entry of a description, in lines of the length of all others."""
    # Pairs are not broken over lines: their own spaces come back afterwards.
    words = ", ".join(f'["{one}",\0"{other}"]' for one, other in pairs)
    lines = textwrap.wrap(words, WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(['  "self_collision": [', *lines, "  ],"]).replace("\0", " ") + "\n"


def _finger_bodies(model: pin.Model, hand: HandDescription) -> dict[str, list[int]]:
    """The joints of each finger, from the palm to the tip."""
    palm = int(model.frames[frame_index(model, hand.palm)].parentJoint)
    fingers: dict[str, list[int]] = {}
    for finger, tip in hand.fingertips.items():
        joints: list[int] = []
        joint = int(model.frames[frame_index(model, tip)].parentJoint)
        while joint not in {palm, 0}:
            joints.insert(0, joint)
            joint = int(model.parents[joint])
        fingers[finger] = joints
    return fingers


def _gripper_fingers(model: pin.Model, one: int, other: int) -> bool:
    """Whether two bodies hang on the same one and carry nothing."""
    parents = list(model.parents)
    return parents[one] == parents[other] and one not in parents and other not in parents


def _descend(
    pair: SelfCollision,
    start: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    random: np.random.Generator,
) -> float:
    """The smallest distance found by going from a configuration to ever nearer ones that are closer, [m]."""
    best, closest = start, float(pair.distances(start[None]).distance[0])
    for scale in SCALES:
        steps = scale * (upper - lower) * random.normal(size=(PROPOSALS, len(start)))
        proposals = np.clip(best + steps, lower, upper)
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
