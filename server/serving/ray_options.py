"""How a Ray cluster shall be used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from unichunk.server.usage_error import UsageError

LOCAL: Final = "local"
"""The address of a cluster that does not exist yet: one is started on this machine, and ended with the command."""

_RANGE: Final = re.compile(r"([0-9]{1,4}):([0-9]{1,4})", re.ASCII)


@dataclass(frozen=True)
class RayOptions:
    """How a Ray cluster shall be used.

    Attributes:
        address: `local`, `auto` (the cluster that this machine belongs to) or HOST:PORT.
        replicas: How many replicas at least; each is a process with all policies loaded.
        most_replicas: How many at most; Ray starts and ends them as requests come. The same: always as many.
        busy: Requests at a replica, waiting ones included, beyond which Ray starts one more.
        cpus: CPUs that Ray sets aside for each replica.
        gpus: GPUs for each, parts allowed; Ray shows a replica no others.
        policies: Policies that a replica keeps loaded; 0: all of them. With fewer, they are loaded as they are asked
            for, what was used the longest ago goes, and a replica that has a policy is preferred.
        ingresses: Processes that take in WebSocket and HTTP clients, behind Ray's proxies.
        start_s: How long the replicas may take to start and load, [s].
        memory_mb: Of Ray's object store, which requests do not pass through, on this machine, [MiB].
    """

    address: str = LOCAL
    replicas: int = 1
    most_replicas: int = 1
    busy: float = 1.5
    cpus: float = 1.0
    gpus: float = 0.0
    policies: int = 0
    ingresses: int = 1
    start_s: float = 600.0
    memory_mb: int = 128

    def __post_init__(self) -> None:
        for option, value, least in (
            ("--ray-replicas", self.replicas, 1),
            ("--ray-policies-per-replica", self.policies, 0),
            ("--ray-gpus-per-replica", self.gpus, 0),
            ("--ray-cpus-per-replica", self.cpus, 0),
        ):
            if not value >= least:
                raise UsageError(f"{option}: expected {least} or more, got {value:g}")
        if self.most_replicas < self.replicas:
            raise UsageError(f"--ray-autoscale {self.replicas}:{self.most_replicas}: expected the smaller number first")

    @property
    def is_local(self) -> bool:
        """Whether the cluster is started for this command, and ends with it."""
        return self.address == LOCAL


def replica_range(autoscale: str) -> tuple[int, int]:
    """What `--ray-autoscale MIN:MAX` says.

    Raises:
        UsageError: Where it is something else.
    """
    match = _RANGE.fullmatch(autoscale)
    if match is None or int(match[1]) < 1:
        raise UsageError(f"--ray-autoscale {autoscale}: expected MIN:MAX, at least 1, such as 1:4")
    return int(match[1]), int(match[2])
