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
        """Times that commands stopped, or a stream was interrupted, while the session still held the robot."""

    def look(self, grant: Grant | None, now_ns: int, *, commanded: bool, suspended: bool, broken: bool = False) -> bool:
        """Look at one command period, before anything is handed to the robot in it.

        Args:
            grant: Who holds the robot now.
            now_ns: Now, [ns], monotonic.
            commanded: Whether a valid command of that session arrived in this period.
            suspended: Whether `stop` was called.
            broken: Whether the stream that the robot follows was interrupted.

        Returns:
            Whether the robot must be brought to rest now, and no command that arrived in this period be followed. Said
            once for each reason.
        """
        following = self._following
        if following is not None:
            silent = not commanded and now_ns - self._newest_ns > self._patience_ns
            if silent or suspended or broken or grant is not following:
                self._following = None
                if grant is following:
                    self._tripped_by = grant
                    self.trips += not suspended
                return True
        if commanded:
            self._following, self._tripped_by, self._newest_ns = grant, None, now_ns
        return False

    def tripped(self, grant: Grant | None) -> bool:
        """Whether the robot rests because this session's commands stopped, or because it was told to stop."""
        return grant is not None and grant is self._tripped_by
