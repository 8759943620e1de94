"""Which replica a session belongs to: a pure function, so that all fronts agree without a word."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def by_preference(key: str, replicas: Iterable[str]) -> list[str]:
    """Replicas in the order in which a session wants them (rendezvous hashing).

    While its first one lives, a session stays with it, however many others come and go; when one goes, only its own
    sessions move, each to its own next one; and sessions spread evenly.

    Args:
        key: The session.
        replicas: Names of the replicas, in any order.
    """
    prefix = key.encode() + b"\0"
    return sorted(replicas, key=lambda name: (blake2b(prefix + name.encode(), digest_size=8).digest(), name))


def ranks(
    session: str, policy: str, queues: Mapping[str, int], *, room: int, holders: Collection[str] | None = None
) -> list[list[str]]:
    """Replicas to try, best rank first; within a rank the least busy one is taken.

    Args:
        session: Whose request it is; empty: nobody's, any replica will do.
        policy: What it asks for.
        queues: Replica -> requests that it has; all replicas that are up.
        room: With fewer requests than this, a replica answers about as soon as one that has none.
        holders: Those that have the policy loaded; None: all have.
    """
    having = [name for name in queues if holders is None or name in holders]
    # Who has to load it: the same ones for the same policy, so that not every replica loads everything in turn.
    others = by_preference(policy, (name for name in queues if name not in having))
    # A session is not worth waiting for its replica while another one has nothing to do: nothing is kept there.
    free = [name for name in by_preference(session, having) if queues[name] < room] if session else []
    rest = [name for name in having if name not in free[:1]]
    return [rank for rank in (free[:1], rest, others[:1], others[1:]) if rank]
