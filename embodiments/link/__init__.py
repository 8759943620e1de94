"""The ZeroMQ link between the runtime and a driver process.

A driver serves four kinds of sockets. The user names the first; the driver announces the others in its welcome:

| socket | pattern | carries | newest wins |
|---|---|---|---|
| control | DEALER -> ROUTER | calls and replies (`calls.py`) | no |
| command | PUSH -> PULL | joint set-points (`messages.Command`) | yes, at the sender |
| state | PUB -> SUB | measured joint states (`messages.State`) | yes |
| one per camera | PUB -> SUB | images with the state measured closest to them (`messages.Frame`) | yes |

Every message is one msgpack map (`codec.py`); arrays travel as raw bytes (`arrays.py`). Stamps are nanoseconds of the
driver's monotonic clock (`clock.py`). The link authenticates nobody: over TCP, use a network you trust.
"""

from __future__ import annotations

from unichunk.embodiments.link.driver_link import DriverLink
from unichunk.embodiments.link.endpoints import default_endpoint

__all__ = ["DriverLink", "default_endpoint"]
