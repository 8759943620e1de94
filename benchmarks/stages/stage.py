"""The stages of a chunk, from the camera to the first command, and what each of them is."""

from __future__ import annotations

from typing import Final

CAPTURE: Final = "capture"
COMMIT: Final = "commit"
PREPROCESS: Final = "preprocess"
HOST_TO_DEVICE: Final = "host to device"
PREFIX: Final = "prefix"
DENOISE: Final = "denoise"
DECODE: Final = "decode and IK"
PUBLISH: Final = "publish"
CHUNK: Final = "whole chunk"
WAIT: Final = "wait for the tick"
SEND: Final = "send"
FIRST_COMMAND: Final = "first command"
REACTION: Final = "capture to first command"

MEANING: Final = {
    CAPTURE: "from the camera's stamp until the observation lies in the runtime, over the link from the driver's "
    "process; with several cameras the oldest frame's stamp counts, as it does for the runtime",
    COMMIT: "rows of the ring buffer committed before the inference (Producer.begin)",
    PREPROCESS: "from the observation to the graphs' inputs (EmbodimentAdapter.policy_input, Policy.preprocess)",
    HOST_TO_DEVICE: "inputs to where the engine computes",
    PREFIX: "the prefix graph: images, instruction and state to keys and values (Policy.prefix)",
    DENOISE: "the chunk graph: all Euler steps of all rounds (Policy.denoise)",
    DECODE: "from the graph's rows to physical units and joint rows, with inverse kinematics where the policy's "
    "actions are displacements of end effectors (Policy.decode, EmbodimentAdapter.joints)",
    PUBLISH: "checked and stitched into the ring buffer (Producer.finish)",
    CHUNK: "from the start of the inference until its rows can be read: commit to publish",
    WAIT: "of the first command: from publication until the tick of the chunk's first row begins",
    SEND: "of the first command: from there until the control thread has sent it",
    FIRST_COMMAND: "from publication until the control thread has sent the first command of that chunk's rows; chunks "
    "that a newer one overtook before their first tick are counted apart",
    REACTION: "from the camera's stamp until that command is sent: the spline between rows begins to follow the new "
    "row there, and how long it takes to reach it (half a tick, and the smoothing of the jerk) is not in it",
}
"""What each stage is, in the order of time."""

PARTS: Final = (CAPTURE, COMMIT, PREPROCESS, PREFIX, DENOISE, DECODE, PUBLISH, WAIT, SEND)
"""Stages that follow each other from the stamp to the first command, for a picture of the whole."""
