"""Who may command the robot: one session at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Grant:
    """One session's hold on the robot; compared by identity.

    Attributes:
        session: The session's random name.
        since_ns: When it was granted, [ns], monotonic.
    """

    session: str
    since_ns: int


class Lease:
    """Grants the robot to one session, until it says goodbye or falls silent.

    The control service claims and releases; the control loop reads `grant` and `suspended` and reports what it heard.
    Each attribute is replaced as a whole, so no lock is needed. What is suspended is a grant: a rest that the loop
    orders while another session takes over does not concern that session.

    Args:
        patience_ns: A holder silent for longer may be replaced, [ns].
    """

    def __init__(self, patience_ns: int) -> None:
        self._patience_ns = patience_ns
        self._heard_ns = 0
        self.grant: Grant | None = None
        """Who holds it now."""
        self._suspended: Grant | None = None
        self._told_to_stop = ""
        self.stopped = False
        """True from `stop` until another session takes over."""

    @property
    def suspended(self) -> bool:
        """True from `stop`, or a rest by the watchdog, to the next hello: nobody's commands are followed."""
        grant = self.grant
        return self.stopped or (grant is not None and grant is self._suspended)

    @property
    def holder(self) -> str:
        """The session that holds it, empty for none."""
        grant = self.grant
        return "" if grant is None else grant.session

    def was_stopped(self, session: str) -> bool:
        """Whether this is the session that was told to stop: it does not get the robot any more."""
        return session != "" and session == self._told_to_stop

    def claim(self, session: str, now_ns: int) -> bool:
        """Ask for it.

        Args:
            session: Who asks. The holder gets it again, and keeps its grant.
            now_ns: Now, [ns], monotonic.

        Returns:
            False where another session holds it and was heard within the patience, or where this one was stopped.
        """
        if self.was_stopped(session):
            return False
        if session != self.holder:
            if self.grant is not None and self.silence_ns(now_ns) <= self._patience_ns:
                return False
            self.grant = Grant(session, now_ns)
            self.stopped = False
        self._suspended = None
        self.heard(session, now_ns)
        return True

    def release(self, session: str) -> None:
        """Give it back; nothing happens where another session holds it."""
        if session == self.holder:
            self.grant = None

    def suspend(self, grant: Grant | None) -> None:
        """Follow a grant no more until its session claims again."""
        self._suspended = grant

    def stop(self) -> None:
        """Follow nobody until another session takes over: who was told to stop may not go on by himself.

        Not after giving the robot back either, and not after another session had it.
        """
        self._told_to_stop = self.holder or self._told_to_stop
        self.stopped = True

    def heard(self, session: str, now_ns: int) -> None:
        """Note a sign of life, [ns]."""
        if session == self.holder:
            self._heard_ns = now_ns

    def silence_ns(self, now_ns: int) -> int:
        """For how long the holder has not been heard, [ns]."""
        return now_ns - self._heard_ns
