"""Ray, quietly: without what it would say at its import, tell its makers, or write to the terminal."""

from __future__ import annotations

import logging
import os
import warnings

from unichunk.server.usage_error import UsageError

# A robot's server reports to nobody. Ray looks at this when a cluster is started.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# What Ray's processes say belongs into their logs, not into the output of a command. Looked at once, at the import.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")

try:
    with warnings.catch_warnings():
        # Its own use of its dependencies is deprecated in places; nobody here can do anything about it.
        warnings.simplefilter("ignore")
        import ray
        import ray.exceptions
        import ray.serve.exceptions
        from ray import serve
        from ray.serve.request_router import RequestRouter
        from ray.serve.schema import LoggingConfig
except ModuleNotFoundError as error:
    raise UsageError(f"a Ray cluster needs Ray Serve ({error}): pip install 'unichunk[ray]'") from None

__all__ = ["QUIET", "RequestRouter", "hush", "ray", "serve"]

QUIET = LoggingConfig(log_level="WARNING", enable_access_log=False)
"""What Ray's processes write to the cluster's log folder."""


def hush() -> None:
    """Let Ray say only what is wrong; its full logs are in the folder that it keeps for each cluster."""
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)
