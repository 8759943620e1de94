"""Lean sessions: what a robot's runtime said, kept across its connections; bounded. Time is passed in."""

from __future__ import annotations

import secrets
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.server.wire.lean_fields import SessionFields
from unichunk.server.wire.lean_work import work_seed

if TYPE_CHECKING:
    from unichunk.server.serving.limits import ClientLimits
    from unichunk.server.wire.lean import Hello, Infer


@dataclass(eq=False)
class Session:
    """One robot's.

    Attributes:
        id: What its client resumes with; a secret.
        tenant: Whose it is: nobody else can resume it.
        policy: Name under which its policy is served.
        robot: The embodiment; empty for a policy that knows none.
        hello: How it began.
        fields: Its last observation.
        heard_s: When something was heard of it, [s].
    """

    id: str
    tenant: str
    policy: str
    robot: str
    hello: Hello
    fields: SessionFields
    heard_s: float

    def seed(self, infer: Infer) -> tuple[int, ...]:
        """What the noise of a chunk is drawn from."""
        return work_seed(self.hello, infer)


class Sessions:
    """The sessions that are kept: a bounded number of bounded size, each for a while after it was heard of last.

    The tenant that has most makes room, with the session of it that was silent for the longest time. A client whose
    session is gone gets a new one, and one whose connection is still there its own again; it is asked for its whole
    observation: that costs one round trip, no more. What is not kept holds nothing.

    Args:
        limits: How many, how large, how long.
    """

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def held_bytes(self) -> int:
        """What their observations take."""
        return self._bytes

    def open(self, tenant: str, policy: str, robot: str, hello: Hello, now: float) -> tuple[Session, bool]:
        """The session that a client goes on with, or a new one.

        Args:
            tenant: Whose it is.
            policy: Name under which its policy is served.
            robot: The embodiment.
            hello: What the client asks for.
            now: [s].

        Returns:
            The session, and whether it is the one that was asked for.
        """
        self._forget_old(now)
        known = self._sessions.get(hello.session) if hello.session is not None else None
        if known is not None and (known.tenant, known.policy, known.robot) == (tenant, policy, robot):
            known.hello = hello
            self.heard(known, now)
            return known, True
        session = Session(
            secrets.token_hex(16), tenant, policy, robot, hello, SessionFields(self._limits.message_bytes), now
        )
        self._keep(session)
        return session, False

    def take(self, session: Session, infer: Infer, message: bytes, now: float) -> bytes | None:
        """Take in what changed, see `SessionFields.take`.

        Args:
            session: Whose request it is.
            infer: The request.
            message: Its bytes.
            now: [s].

        Raises:
            MessageError: Where the observation is larger than a session may hold.
        """
        self._keep(session)
        before = session.fields.held_bytes
        payload = session.fields.take(infer, message)
        self.heard(session, now)
        self._bytes += session.fields.held_bytes - before
        self._make_room(session)
        return payload

    def heard(self, session: Session, now: float) -> None:
        """Something came from its client."""
        session.heard_s = now
        if session.id in self._sessions:
            self._sessions.move_to_end(session.id)

    def close(self, session: Session) -> None:
        """Forget it; again does nothing."""
        if self._sessions.pop(session.id, None) is not None:
            self._bytes -= session.fields.held_bytes
            session.fields.clear()

    def _keep(self, session: Session) -> None:
        """Keep it among the others, where it is new or was pushed out while its connection stayed."""
        if session.id in self._sessions:
            return
        self._sessions[session.id] = session
        if len(self._sessions) > self._limits.sessions:
            have = Counter(one.tenant for one in self._sessions.values())
            most = max(have.values())
            self.close(next(one for one in self._sessions.values() if have[one.tenant] == most))

    def _forget_old(self, now: float) -> None:
        for session in list(self._sessions.values()):
            if now - session.heard_s <= self._limits.keep_alive_s:
                return
            self.close(session)

    def _make_room(self, but: Session) -> None:
        """Drop observations; their sessions stay."""
        while self._bytes > self._limits.session_bytes:
            have: Counter[str] = Counter()
            for one in self._sessions.values():
                have[one.tenant] += one.fields.held_bytes
            others = [one for one in self._sessions.values() if one is not but and one.fields.held_bytes]
            if not others:
                return
            most = max(have[one.tenant] for one in others)
            session = next(one for one in others if have[one.tenant] == most)
            self._bytes -= session.fields.held_bytes
            session.fields.clear()
