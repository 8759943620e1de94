"""Between which accelerations a joint's next one must lie, so that no limit is ever exceeded.

The state of a joint is its command q, velocity v and acceleration a, all backward differences; what is chosen is the
next acceleration x, then v' = v + x h and q' = q + v' h. With S the stopping law of jerk J (`guard_laws`):

- jerk and acceleration: a - J h <= x <= a + J h, |x| <= A;
- velocity: x <= S(V - v), so that the acceleration can be taken back before V is exceeded;
- the upper end: W(s) is the largest next velocity that stops within s = upper - q with a deceleration D. Along any
  motion with v' <= W(s), W falls by at most D h a period. So y = x + D, the acceleration towards that falling bound,
  must be taken back before the bound is reached: x <= S(W(s) - v + D h) - D.

Whoever obeys the last for one D can go on obeying it for that D: x = -D is reached in time and kept. A large D is what
allows speed; near the end at low speed it asks for more deceleration than a soft stop has, and a small D is what lets a
joint creep up to its end and rest there. So a family D, D/2, D/4, ... is evaluated, down to a D that one period of jerk
can change to zero, and D = 0, which allows what never moves towards the end (x <= S(-v)); the most permissive counts.
The lower end and negative velocities are mirror images.

Both ends together leave an acceleration to choose where the range is not tiny against what it takes to build up D:
W(range) + D h >= T(2 D) + T(D), with T the inverse of S, and V + D h >= T(D). D is made smaller until both hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.guard_laws import StoppingLaw, run_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.limits import JointLimits

    Array = NDArray[np.float64]

_MOST_LEVELS: Final = 12
_HALVINGS: Final = 60


class AccelerationBounds:
    """The viable interval of the next acceleration, and the stopping laws that it shares with the guard.

    One evaluation serves all conditions and the guard's own laws: a call costs more than the arithmetic. Rows of the
    stacked arrays: L upper levels, L lower levels, one that the guard may use, and the two velocity bounds.

    Args:
        limits: The joints' limits.
        period: h, [s].
        catch_up: Deceleration of the guard's own row in the law of velocity, shape (n,), [rad/s^2].
        catch_up_jerk: Its jerk in the law of acceleration, shape (n,), [rad/s^3].
    """

    def __init__(self, limits: JointLimits, period: float, catch_up: Array, catch_up_jerk: Array) -> None:
        self._limits = limits
        n = limits.size
        self.reach = limits.jerk * period
        """Change of acceleration in a period, shape (n,), [rad/s^2]."""
        levels = _levels(end_deceleration(limits, period), self.reach)
        count = len(levels)
        self._period = period
        self._count = count
        self._levels = levels
        self._approach = levels * period
        self.distance_stop = StoppingLaw(np.concatenate([levels, levels, catch_up[None]]) * period, period)
        jerks = np.broadcast_to(limits.jerk, (2 * count, n))
        rows = np.concatenate([jerks, catch_up_jerk[None], np.broadcast_to(limits.jerk, (2, n))])
        self.speed_stop = StoppingLaw(rows * period, period)
        self._rooms: Array = np.zeros((2 * count + 3, n))
        self._upper: Array = self._rooms[:count]
        self._lower: Array = self._rooms[count : 2 * count]
        self.own: Array = self._rooms[2 * count]
        """The guard's row: a distance before `distances`, then a velocity; a difference before `evaluate`, then an
        acceleration."""
        self._distances: Array = self._rooms[: 2 * count + 1]
        self.low: Array = np.zeros(n)
        """Least next acceleration, shape (n,), [rad/s^2]."""
        self.high: Array = np.zeros(n)
        """Greatest next acceleration, shape (n,), [rad/s^2]."""

    def distances(self, q: Array) -> None:
        """First half: what velocities stop in time. The guard's row holds its distance before, its velocity after."""
        np.subtract(self._limits.upper, q, out=self._upper)
        np.subtract(q, self._limits.lower, out=self._lower)
        self.distance_stop(self._distances, self._distances)

    def evaluate(self, velocity: Array, acceleration: Array) -> None:
        """Second half: `low` and `high`. The guard's row holds its difference before, its acceleration after.

        Args:
            velocity: v, shape (n,), [rad/s].
            acceleration: a, shape (n,), [rad/s^2].
        """
        limits, rooms, upper, lower, low, high = (
            self._limits,
            self._rooms,
            self._upper,
            self._lower,
            self.low,
            self.high,
        )
        upper += self._approach
        upper -= velocity
        lower += self._approach
        lower += velocity
        np.subtract(limits.velocity, velocity, out=rooms[-2])
        np.add(limits.velocity, velocity, out=rooms[-1])
        self.speed_stop(rooms, rooms)
        upper -= self._levels
        lower -= self._levels
        np.maximum.reduce(upper, axis=0, out=high)
        np.maximum.reduce(lower, axis=0, out=low)
        np.minimum(high, rooms[-2], out=high)
        np.minimum(high, limits.acceleration, out=high)
        np.minimum(low, rooms[-1], out=low)
        np.minimum(low, limits.acceleration, out=low)
        np.negative(low, out=low)
        # Jerk comes last: where rounding leaves nothing to choose, it is what holds.
        np.subtract(acceleration, self.reach, out=upper[0])
        np.add(acceleration, self.reach, out=lower[0])
        for bound in (low, high):
            np.maximum(bound, upper[0], out=bound)
            np.minimum(bound, lower[0], out=bound)


def end_deceleration(limits: JointLimits, period: float) -> Array:
    """The largest deceleration, up to `limits.braking`, that leaves something to choose anywhere, shape (n,)."""
    reach = limits.jerk * period
    span = limits.upper - limits.lower

    def fits(deceleration: Array) -> Array:
        step = deceleration * period
        velocity = StoppingLaw(step, period)(span, np.zeros(limits.size))
        build_up = run_out(deceleration, reach, period)
        wide = velocity + step >= run_out(2.0 * deceleration, reach, period) + build_up
        return np.asarray(wide & (limits.velocity + step >= build_up))

    most = np.minimum(limits.braking, limits.acceleration)
    low, high = 1e-9 * most, most.copy()
    for _ in range(_HALVINGS):
        middle = np.sqrt(low * high)
        good = fits(middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return np.where(np.isinf(limits.jerk) | fits(most), most, low)


def _levels(deceleration: Array, reach: Array) -> Array:
    """The family D, D/2, ..., down to what a period of jerk can change, then 0; shape (L, n)."""
    levels = [deceleration]
    while len(levels) < _MOST_LEVELS and (levels[-1] > reach).any():
        levels.append(np.where(levels[-1] > reach, 0.5 * levels[-1], levels[-1]))
    return np.array([*levels, np.zeros_like(deceleration)])
