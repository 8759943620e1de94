"""The errors of the embodiments package."""

from __future__ import annotations

from unichunk.runtime.errors import UnichunkError


class EmbodimentError(UnichunkError):
    """Root of what can go wrong with a robot's description or its driver."""


class UnknownEmbodiment(EmbodimentError, LookupError):
    """A name no embodiment goes by."""


class SpecError(EmbodimentError, ValueError):
    """An embodiment spec that does not parse; the message carries the path of the key."""


class LinkError(EmbodimentError):
    """A driver that answered something that cannot be used."""


class LinkTimeout(LinkError, TimeoutError):
    """A driver that did not answer in time."""


class MessageError(LinkError, ValueError):
    """A message that is not what the link's protocol says."""
