"""What graphs may ask for beside images, text and state: it is given where they declare it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Graphs, Key, Manifest, RobotEntry

STATE_MASK: Final = "state_mask"
ACTION_MASK: Final = "action_mask"
FIELDS_OF_VIEW: Final = "fields_of_view"
OVERLAP: Final = "overlap"

MASKS: Final = (STATE_MASK, ACTION_MASK)
"""Inputs (1, 200) float32 that both kinds of graphs may have: 1 in the slots of the robot's own states or actions, 0
elsewhere."""


def declared_inputs(graphs: Graphs) -> frozenset[str]:
    """Names of all inputs that any of the graphs for one request has."""
    return frozenset(
        tensor.name for graph in (graphs.prefix, *graphs.other_prefixes, *graphs.chunks) for tensor in graph.inputs
    )


def robot_inputs(manifest: Manifest, robot: RobotEntry) -> dict[str, NDArray[np.float32]]:
    """Of the inputs that the graphs declare, those that the robot alone decides; not to be written to.

    Args:
        manifest: The bundle's description.
        robot: One of its robots.

    Returns:
        `state_mask` and `action_mask` (1, 200), `fields_of_view` (V, 2) [rad].
    """
    width = manifest.unified_width
    values = {
        STATE_MASK: slot_mask(robot.state, width),
        ACTION_MASK: slot_mask(robot.action, width),
        FIELDS_OF_VIEW: np.array(robot.fields_of_view, np.float32),
    }
    declared = declared_inputs(manifest.graphs)
    given = {name: value for name, value in values.items() if name in declared}
    for value in given.values():
        value.flags.writeable = False
    return given


def slot_mask(keys: Mapping[str, Key], width: int) -> NDArray[Any]:
    """1 in the slots of keys, 0 elsewhere, (1, width) float32."""
    mask = np.zeros((1, width), np.float32)
    for key in keys.values():
        mask[0, slice(*key.slots)] = 1.0
    return mask
