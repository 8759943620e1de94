"""The errors of the kinematics package."""

from __future__ import annotations


class KinematicsError(Exception):
    """Root of what can go wrong with a robot model."""


class UnknownModel(KinematicsError, LookupError):
    """A model, frame or joint that does not exist; the message lists those that do."""


class WrongShape(KinematicsError, ValueError):
    """An array of a shape that the function has no use for; the message has both shapes."""


class DescriptionError(KinematicsError, ValueError):
    """A robot's description that does not parse, or does not fit its parts; the message has the path of the key."""


class UrdfError(KinematicsError, ValueError):
    """A URDF that cannot be used; the message has the file, the joint or link, and what was expected."""
