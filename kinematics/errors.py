"""The errors of the kinematics package."""

from __future__ import annotations


class KinematicsError(Exception):
    """Root of what can go wrong with a robot model."""


class UnknownModel(KinematicsError, LookupError):
    """A model, frame or joint that does not exist; the message lists those that do."""
