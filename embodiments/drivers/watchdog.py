"""When a robot that was being commanded must be brought to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.embodiments.drivers.lease import Grant


class Watchdog:
    """Looks at every command period. Knows no clock; used by the control loop only.

    After a rest the control loop follows no command until the session says hello again: by then the robot may stand
    elsewhere than the commands speak of, and whoever commands must start again from where it stands.

    Args:
        patience_ns: Without a command for longer than this, a commanded robot is brought to rest, [ns].
    """

    def __init__(self, patience_ns: int) -> None:
        self._patience_ns = patience_ns
        self._following: Grant | None = None
        self._tripped_by: Grant | None = None
        self._newest_ns = 0
        self.trips = 0
        """Times that commands stopped while the session still held the robot."""

    def look(self, grant: Grant | None, now_ns: int, *, commanded: bool, suspended: bool) -> bool:
        """Look at one command period.

        Args:
            grant: Who holds the robot now.
            now_ns: Now, [ns], monotonic.
            commanded: Whether a valid command of that session is followed in this period.
            suspended: Whether `stop` was called.

        Returns:
            Whether the robot must be brought to rest now. Said once for each reason.
        """
        if commanded:
            self._following, self._tripped_by, self._newest_ns = grant, None, now_ns
            return False
        if self._following is None:
            return False
        silent = now_ns - self._newest_ns > self._patience_ns
        if not (silent or suspended or grant is not self._following):
            return False
        if grant is self._following:
            self._tripped_by = grant
            self.trips += silent and not suspended
        self._following = None
        return True

    def tripped(self, grant: Grant | None) -> bool:
        """Whether the robot rests because this session's commands stopped, or because it was told to stop."""
        return grant is not None and grant is self._tripped_by
