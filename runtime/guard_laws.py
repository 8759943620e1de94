"""How much may still be left to take back: stopping laws that are exact in discrete time.

Whatever is stopped falls by a constant amount a period: velocity by deceleration, acceleration by jerk. A value x that
falls by c a period h adds up to h * sum_i max(0, x - i c) until it is zero (`run_out`). `StoppingLaw` is the inverse:
the largest x whose sum fits into a room s. It is piecewise linear, and with n = floor((sqrt(1 + 8 s / (c h)) - 1) / 2)
it is (s + c h n (n + 1) / 2) / ((n + 1) h).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def run_out(value: Array, decrement: Array, period: float) -> Array:
    """The sum over all periods of a value that falls to zero: h * sum_i max(0, value - i decrement).

    Args:
        value: Where it starts, >= 0, any shape.
        decrement: What it loses a period, > 0, may be infinite, same shape.
        period: h, [s].
    """
    n = np.floor(value / decrement)
    lost = np.where(n > 0, 0.5 * n * (n + 1.0) * np.where(n > 0, decrement, 0.0), 0.0)
    return np.asarray(period * ((n + 1.0) * value - lost))


class StoppingLaw:
    """The largest value that runs out within a room, for a fixed shape of rooms; allocates nothing when called.

    Args:
        decrement: What the value loses a period, any shape. Infinite: it stops at once. Zero: no value but zero ever
            runs out.
        period: h, [s].
    """

    def __init__(self, decrement: Array, period: float) -> None:
        falls = decrement > 0
        finite = falls & np.isfinite(decrement)
        quantum = np.where(finite, decrement, 1.0) * period
        self._eight_per_quantum = np.where(finite, 8.0 / quantum, 0.0)
        self._half_quantum = np.where(finite, 0.5 * quantum, 0.0)
        self._divisor = np.where(falls, period, np.inf)
        self._n: Array = np.zeros(decrement.shape)
        self._following: Array = np.zeros(decrement.shape)

    def __call__(self, room: Array, out: Array) -> Array:
        """Evaluate.

        Args:
            room: s, the shape of the decrements; where it is negative, the result is the value that brings it to zero
                within one period: s / h.
            out: Receives the result; may be `room`.
        """
        n, following = self._n, self._following
        np.maximum(room, 0.0, out=n)
        n *= self._eight_per_quantum
        n += 1.0
        np.sqrt(n, out=n)
        n -= 1.0
        n *= 0.5
        np.floor(n, out=n)
        np.add(n, 1.0, out=following)
        n *= following
        n *= self._half_quantum
        n += room
        following *= self._divisor
        return np.divide(n, following, out=out)


class LandingLaw:
    """The velocity that leads to a target and ends there at rest: soft, because deceleration ends without a jump.

    Far away it is the law of constant deceleration; the last part falls by a constant jerk j. There, n periods before
    the end, the distance is j h^3 n (n+1) (n+2) / 6 and the velocity j h^2 n (n+1) / 2; in between it is interpolated
    linearly: 2 e / (h (n + 2)) + j h^2 n (n + 1) / 6. Without a limit of jerk only the first part is left.

    Args:
        deceleration: Largest deceleration, shape (n,), [rad/s^2].
        jerk: Jerk of the landing, shape (n,), [rad/s^3], may be infinite.
        period: h, [s].
    """

    def __init__(self, deceleration: Array, jerk: Array, period: float) -> None:
        finite = np.isfinite(jerk)
        jerk = np.where(finite, jerk, 1.0)
        most = np.where(finite, np.floor(deceleration / (jerk * period)), 0.0)
        velocity = jerk * period**2 * most * (most + 1.0) / 2.0
        self._end = jerk * period**3 * most * (most + 1.0) * (most + 2.0) / 6.0
        self.shift = self._end - run_out(velocity, deceleration * period, period)
        """What the distance is shortened by before the law of constant deceleration is asked, shape (n,), [rad]."""
        self._deceleration = deceleration
        self._step = np.where(finite, jerk * period, 0.0)
        self._scale = np.where(finite, 6.0 / (jerk * period**3), 0.0)
        self._sixth = np.where(finite, jerk * period**2 / 6.0, 0.0)
        self._two_per_period = 2.0 / period
        self._n: Array = np.zeros(len(jerk))
        self._z: Array = np.zeros(len(jerk))
        self._following: Array = np.zeros(len(jerk))
        self._near: NDArray[np.bool_] = np.zeros(len(jerk), dtype=bool)

    def __call__(self, distance: Array, velocity: Array, deceleration: Array) -> None:
        """Evaluate.

        Args:
            distance: e >= 0, shape (n,), [rad].
            velocity: Holds what constant deceleration allows at `distance - shift`; receives the next velocity.
            deceleration: Receives the deceleration that goes with it, shape (n,), [rad/s^2].
        """
        n, z, following, near = self._n, self._z, self._following, self._near
        np.multiply(distance, self._scale, out=z)
        np.cbrt(z, out=n)
        z += n
        np.cbrt(z, out=z)
        np.multiply(z, self._step, out=deceleration)
        np.minimum(deceleration, self._deceleration, out=deceleration)
        np.greater_equal(distance, self._end, out=near)
        np.copyto(deceleration, self._deceleration, where=near)
        np.logical_not(near, out=near)
        z -= 1.0
        np.maximum(z, 0.0, out=z)
        np.floor(z, out=n)
        np.add(n, 2.0, out=following)
        np.divide(distance, following, out=z)
        z *= self._two_per_period
        following -= 1.0
        n *= following
        n *= self._sixth
        z += n
        np.copyto(velocity, z, where=near)
