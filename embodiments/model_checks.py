"""Complaints about a spec that its model cannot serve, beside those about single joints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.model_tree import moves
from unichunk.kinematics.urdf_attributes import numbers
from unichunk.kinematics.urdf_document import child_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from unichunk.embodiments.model_tree import ModelTree
    from unichunk.embodiments.spec import EmbodimentSpec

_SHAPES: Final = ("box", "cylinder", "sphere")
_LEAST_MASS: Final = 1e-15
"""What MuJoCo takes for no mass (mjMINVAL), [kg]."""
_BLOCKS: Final = {"red", "blue"}
_SURROUNDINGS: Final = {"table", "floor"}
"""Shapes in the twin's world."""


def model_complaints(spec: EmbodimentSpec, tree: ModelTree) -> Iterator[str]:
    """What is wrong with a spec or its model, each with the path of the key in the spec.

    Args:
        spec: The robot; its joints and the links that it names are in the model.
        tree: Its model.
    """
    model = Path(spec.model).name
    for name, joint in tree.joints.items():
        if joint.get("type") == "continuous":
            yield (
                f"model: {model}: joint {name} is continuous, expected joints with limits: make it revolute with a "
                "<limit>, or fixed where nothing moves it"
            )
    yield from _end_effector_complaints(spec, tree, model)
    if spec.twin is not None:
        yield from _hand_complaints(spec, tree, model)
        yield from _name_complaints(spec, tree, model)
        yield from _mass_complaints(spec, tree, model)


def _end_effector_complaints(spec: EmbodimentSpec, tree: ModelTree, model: str) -> Iterator[str]:
    for side, end in spec.end_effectors.items():
        own = {name for group in end.groups for name in spec.groups[group].joint_names}
        chain = tree.chain(end.frame)
        first = next((i for i, name in enumerate(chain) if name in own), None)
        where, groups = f"end_effectors.{side}.frame", ", ".join(end.groups)
        if first is None:
            yield f"{where}: expected a link of {model} that joints of its groups ({groups}) move, got {end.frame!r}"
            continue
        behind = [name for name in chain[first:] if name not in own and name in spec.joint_names]
        if behind:
            yield (
                f"{where}: expected a link of {model} that its groups ({groups}) carry, got {end.frame!r}, which hangs "
                f"on {', '.join(dict.fromkeys(behind))} as well"
            )


def _hand_complaints(spec: EmbodimentSpec, tree: ModelTree, model: str) -> Iterator[str]:
    task = None if spec.twin is None else spec.twin.task
    for side, hover in {} if task is None else task.hands.items():
        arms = [group for group in spec.groups.values() if group.kind == "arm" and group.side == side]
        if not {name for arm in arms for name in arm.joint_names}.intersection(tree.chain(hover.frame)):
            yield (
                f"twin.task.hands.{side}.frame: expected a link of {model} that the {side} arm moves, got "
                f"{hover.frame!r}"
            )


def _name_complaints(spec: EmbodimentSpec, tree: ModelTree, model: str) -> Iterator[str]:
    """In the twin's world, blocks and loose objects stand beside the robot's links, and each has a name of its own."""
    twin = spec.twin
    if twin is None:
        return
    shapes = {element.get("name", "") for link in tree.links.values() for element in link}
    blocks = set() if twin.task is None else _BLOCKS
    for name in sorted((blocks & tree.links.keys()) | ((blocks | _SURROUNDINGS) & shapes)):
        yield f"model: {model}: expected no link or shape called {name!r}: that is what the twin's own is called"
    for i, thing in enumerate(twin.objects):
        if thing.name in tree.links or thing.name in tree.joints or thing.name in shapes:
            yield (
                f"twin.objects[{i}].name: expected a name that nothing else has, got {thing.name!r}, as a link, joint "
                f"or shape of {model} is called"
            )


def _mass_complaints(spec: EmbodimentSpec, tree: ModelTree, model: str) -> Iterator[str]:
    """What moves by forces weighs something."""
    for joint in tree.joints.values():
        link = child_of(joint)
        if moves(joint, spec.joint_names) and not any(map(_weighs, tree.rigid(link, spec.joint_names))):
            yield (
                f"twin: link {link} of {model} moves and has no mass, expected an <inertial> with mass and inertia in "
                "every link that a joint moves"
            )


def _weighs(link: Element) -> bool:
    """Whether the simulator finds a mass: in the inertial, or where there is none in shapes to collide with."""
    if link.find("inertial") is not None:
        return numbers(link, "inertial/mass", "value", "0")[0] > _LEAST_MASS
    return any(link.find(f"collision/geometry/{shape}") is not None for shape in _SHAPES)
