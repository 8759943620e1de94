"""The links of a robot's model as a tree: what moves a link, and what moves along with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.kinematics.urdf_document import child_of, driver_of, joint_name, parent_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from xml.etree.ElementTree import Element


class ModelTree:
    """Links and joints of a checked `<robot>`.

    Args:
        robot: The description.

    Attributes:
        links: By name.
        joints: All of them by name, fixed ones too.
    """

    def __init__(self, robot: Element) -> None:
        self.links = {link.get("name", ""): link for link in robot.findall("link")}
        self.joints = {joint_name(joint): joint for joint in robot.findall("joint")}
        self._movers = {child_of(joint): joint for joint in self.joints.values()}
        self._hung: dict[str, list[Element]] = {name: [] for name in self.links}
        for joint in self.joints.values():
            self._hung[parent_of(joint)].append(joint)

    def moving(self) -> dict[str, Element]:
        """The joints that are not fixed, by name."""
        return {name: joint for name, joint in self.joints.items() if joint.get("type") != "fixed"}

    def chain(self, link: str) -> list[str]:
        """Joints that move a link, from the base outwards; one that mimics another is named as that one."""
        names = []
        while (joint := self._movers.get(link)) is not None:
            if joint.get("type") != "fixed":
                names.append(moved_by(joint))
            link = parent_of(joint)
        return names[::-1]

    def rigid(self, link: str, moved: Collection[str]) -> list[Element]:
        """A link and what hangs on it without a joint that moves.

        Args:
            link: Its name.
            moved: The joints that move; all others stand still.
        """
        found, waiting = [], [link]
        while waiting:
            name = waiting.pop()
            found.append(self.links[name])
            waiting += [child_of(joint) for joint in self._hung[name] if not moves(joint, moved)]
        return found


def moved_by(joint: Element) -> str:
    """The joint that a `<joint>` moves with: itself, or the one that it mimics."""
    return driver_of(joint) or joint_name(joint)


def moves(joint: Element, moved: Collection[str]) -> bool:
    """Whether a `<joint>` moves where those do, and no others."""
    return joint.get("type") != "fixed" and moved_by(joint) in moved
