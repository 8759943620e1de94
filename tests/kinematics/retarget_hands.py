"""The hands that retargeting knows, and postures that its tests share."""

from __future__ import annotations

from functools import cache

import numpy as np

from unichunk.kinematics.retarget import MANO_JOINTS, hand_joint_map, joint_rotations, robot_hand
from unichunk.kinematics.retarget.joint_angles import motions

ROBOTS = {
    "o6_right": "o6_right",
    "o6_left": "o6_left",
    "inspire_right": "inspire_right",
    "inspire_left": "inspire_left",
    "xhand_right": "xhand_right",
    "sharpa_wave_right": "sharpa_wave_right",
    "sharpa_wave_left": "sharpa_wave_left",
    "d1_right": "d1",
    "adam_u_right": "adam_u",
    "adam_u_left": "adam_u",
}
HANDS = sorted(ROBOTS)
MIRRORED = ["o6", "inspire", "sharpa_wave", "adam_u"]


def side_of(name):
    return name.rpartition("_")[2]


@cache
def hand_named(name):
    return robot_hand(ROBOTS[name], side_of(name))


@cache
def map_named(name):
    return hand_joint_map(name, hand_named(name).model)


def posture(name, rotations):
    """Configuration of the hand's model, shape (..., nq), that the joint map gives."""
    joint_map, hand = map_named(name), hand_named(name)
    positions = joint_map.to_robot(rotations)
    q = np.broadcast_to(hand.open_hand, (*positions.shape[:-1], hand.model.nq)).copy()
    q[..., joint_map.q_index] = positions
    return q


def bent(side, **angles):
    """Rotations of a hand with some joints bent: `bent("right", index1_flexion=1.0)`, [rad]."""
    values = np.zeros((len(MANO_JOINTS), 3))
    for name, angle in angles.items():
        joint, motion = name.split("_")
        component, sign = motions(joint)[motion]
        values[MANO_JOINTS.index(joint), component] = sign * angle
    return joint_rotations(values, side)


def fist(side):
    fingers = {
        f"{finger}{number}_flexion": angle
        for finger in ("index", "middle", "ring", "pinky")
        for number, angle in ((1, 1.6), (2, 1.8), (3, 1.4))
    }
    thumb = {"thumb1_opposition": 1.3, "thumb1_flexion": 0.6, "thumb2_flexion": 1.0, "thumb3_flexion": 1.4}
    return bent(side, **fingers, **thumb)
