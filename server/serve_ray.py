"""The options of `unichunk serve` that concern a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from unichunk.server.serving.ray_options import RayOptions


@dataclass(frozen=True)
class RayFlags:
    """How a Ray cluster is used."""

    ray: bool = False
    """Let a Ray cluster infer instead of processes of this machine."""
    ray_address: str = "local"
    """The cluster: local (started and ended with this command), auto (that of this machine) or HOST:PORT."""
    ray_replicas: int = 1
    """Replicas, each a process with all policies loaded."""
    ray_autoscale: str = ""
    """MIN:MAX instead of --ray-replicas: as many as the requests need."""
    ray_cpus_per_replica: float = 1.0
    """CPUs that Ray sets aside for each replica."""
    ray_gpus_per_replica: float = 0.0
    """GPUs for each replica, parts allowed."""
    ray_policies_per_replica: int = 0
    """Policies that a replica keeps loaded; 0: all of them."""
    ray_ingresses: int = 1
    """Processes that take in HTTP and WebSocket clients."""

    def options(self) -> RayOptions:
        """The same, checked.

        Raises:
            UsageError: Where something cannot be meant.
        """
        from unichunk.server.serving.ray_options import RayOptions, replica_range  # noqa: PLC0415  (one of few commands)

        least, most = (self.ray_replicas, self.ray_replicas)
        if self.ray_autoscale:
            least, most = replica_range(self.ray_autoscale)
        if self.ray_ingresses < 1:
            raise UsageError(f"--ray-ingresses: expected 1 or more, got {self.ray_ingresses}")
        return RayOptions(
            address=self.ray_address,
            replicas=least,
            most_replicas=most,
            cpus=self.ray_cpus_per_replica,
            gpus=self.ray_gpus_per_replica,
            policies=self.ray_policies_per_replica,
            ingresses=self.ray_ingresses,
        )
