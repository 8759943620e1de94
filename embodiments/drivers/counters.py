"""What a driver counts: everything it took, changed or refused."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass
class Counters:
    """Counts since the driver's start. Each has one writer: the control loop, except for calls.

    Attributes:
        accepted: Commands that were valid; the newest of each period is followed.
        malformed: Messages on the command socket that were no command.
        foreign: Commands of a session that does not hold the lease.
        suspended: Commands that came between `stop`, or a rest by the watchdog, and the next hello.
        stale: Commands whose sequence number had been reached before.
        untimely: Commands stamped further from now than the watchdog time: held up on the way, or by a wrong clock.
        wrong_shape: Commands for another number of joints, or of another type than float64.
        non_finite: Commands with a NaN or an infinity.
        clamped: Commands that were followed with a joint moved to its limit.
        watchdog_trips: Times the robot was brought to rest because commands stopped, or a stream broke off.
        conditioned: Set-points that were no command as it came: changed, made up or braking.
        skipped: Commands that were not played, because too many were waiting.
        starved: Periods of a stream without a command to play.
        not_begun: Periods in which no stream could begin, because the robot moved, or stood too far outside its limits
            or away from the first command.
        broken: Streams that broke off, because the loop left out more periods in a row than the robot can do without
            (any for a checked stream, else the watchdog's time), and those that were refused, because their first
            command was far from where the robot stood.
        missed_periods: Command periods left out because the loop was late.
        applied: Group -> set-points handed to its hardware.
        calls: Calls understood.
        malformed_calls: Messages on the control socket that were no call.
    """

    accepted: int = 0
    malformed: int = 0
    foreign: int = 0
    suspended: int = 0
    stale: int = 0
    untimely: int = 0
    wrong_shape: int = 0
    non_finite: int = 0
    clamped: int = 0
    watchdog_trips: int = 0
    conditioned: int = 0
    skipped: int = 0
    starved: int = 0
    not_begun: int = 0
    broken: int = 0
    missed_periods: int = 0
    calls: int = 0
    malformed_calls: int = 0
    applied: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, int]:
        """Name -> count; `applied.<group>` for each group."""
        counts = asdict(self)
        applied = counts.pop("applied")
        return {**counts, **{f"applied.{group}": count for group, count in applied.items()}}
