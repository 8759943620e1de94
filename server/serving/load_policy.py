"""From a policy's source to something that a worker can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unichunk.server.serving.served_policy import ServedPolicy
    from unichunk.server.serving.source import PolicySource


def load_policy(source: PolicySource) -> ServedPolicy[Any, Any]:
    """Load a policy and warm it up.

    Raises:
        UnichunkError: Where it cannot be loaded; one line.
    """
    # Only what is asked for is imported: a Python policy needs no engine.
    if source.is_python:
        from unichunk.server.serving.python_policy import PythonPolicy  # noqa: PLC0415

        return PythonPolicy.load(source)
    from unichunk.server.serving.bundle_policy import BundlePolicy  # noqa: PLC0415

    return BundlePolicy.load(source)
