"""How a campaign is served: what is no matter of its plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (of a dataclass)
from typing import TYPE_CHECKING, Final

from unichunk.server.serving.exposure import is_loopback
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from unichunk.server.serving.logs import Level, LogFormat


LOAD_S: Final = 600.0
"""How long policies may take to load where no engine is built first, [s]."""


@dataclass(frozen=True)
class ServiceOptions:
    """Where people and robots come to, and how they are known.

    Attributes:
        keys: The key file; there is no campaign without: it is recorded who judged.
        host: Address to listen on.
        port: For pages and robots; 0: any free one.
        tls_cert: Certificate for https and wss; None: neither, which only this machine may use.
        tls_key: Its key.
        sim_robots: Let simulated robots wait for policies.
        engine: What `unichunk serve` is told of the engine of bundles.
        load_s: How long policies may take to load, [s].
        log_format: How events are written to the standard error.
        log_level: The least serious ones that are.
    """

    keys: Path
    host: str = "127.0.0.1"
    port: int = 0
    tls_cert: Path | None = None
    tls_key: Path | None = None
    sim_robots: bool = False
    engine: tuple[str, ...] = ()
    load_s: float = LOAD_S
    log_format: LogFormat = "text"
    log_level: Level = "info"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"--port: expected 0 to 65535, got {self.port}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("--tls-cert and --tls-key: expected both or none")
        if self.tls_cert is None and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} can be reached from other machines: add --tls-cert and --tls-key, or listen on "
                "127.0.0.1 behind a proxy that has a certificate"
            )
