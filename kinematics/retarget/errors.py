"""What can go wrong with a hand."""

from __future__ import annotations

from unichunk.kinematics.errors import KinematicsError


class RetargetError(KinematicsError, ValueError):
    """Hand data or a file about a hand that cannot be used; the message says which value, and what was expected."""
