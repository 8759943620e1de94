"""What the ingresses of the test's Ray cluster serve; Ray's processes import it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.server.serving.service import Service

if TYPE_CHECKING:
    from unichunk.server.serving.backend import Backend


def make(backend: Backend) -> tuple[Service, None]:
    """A server that asks for no keys."""
    return Service(backend), None
