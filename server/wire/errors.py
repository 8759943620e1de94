"""The errors of the wire package."""

from __future__ import annotations

from unichunk.embodiments.errors import MessageError
from unichunk.runtime.errors import UnichunkError


class WireError(MessageError):
    """Bytes that are no message of the protocol, or a value that no message of the protocol can carry."""


class MappingError(UnichunkError, ValueError):
    """An observation mapping that does not parse, or does not fit a policy's robot."""
