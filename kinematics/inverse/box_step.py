"""One damped least-squares step of joints that must stay within a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.kinematics.inverse.symmetric import solve_symmetric

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_TURN: Final = 0.7
"""No joint moves farther in one step, [rad] (or [m]): beyond it the Jacobian says little about the error."""

ROUNDS_PER_JOINT: Final = 3
"""Joints are held and let go so many times at most; the step is within the box at any time."""


def box_step(
    jacobian: NDArray[np.float64],
    error: NDArray[np.float64],
    damping: float,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    preferred: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Step dq that reduces |error - jacobian dq|^2 + damping |dq - preferred|^2 within lower <= dq <= upper.

    The damped least-squares step (Nakamura and Hanafusa, 1986; Wampler, 1986) around a preferred one: as the damping
    goes to 0, what the task leaves open follows the preference, projected onto the Jacobian's null space. Joints whose
    step would leave the box are held at its face and the others make up for them; a held joint that would rather come
    back is let go (an active-set method for bounded least squares: Lawson and Hanson, 1974; Stark and Parker, 1995).

    Args:
        jacobian: Shape (m, n).
        error: What the step should remove, shape (m,).
        damping: Positive; in the units of the squared Jacobian.
        lower: Smallest step, shape (n,), <= 0.
        upper: Largest step, shape (n,), >= 0.
        preferred: Shape (n,); None prefers not to move.

    Returns:
        Shape (n,), within the box; no joint moves by more than `LARGEST_TURN`.
    """
    free_step = _free_step(jacobian, error, damping, preferred)
    largest = max(free_step.max(), -free_step.min())
    step = free_step * (LARGEST_TURN / largest) if largest > LARGEST_TURN else free_step
    if not ((step < lower) | (step > upper)).any():
        return step
    normal = jacobian.T @ jacobian
    normal.ravel("K")[:: len(step) + 1] += damping
    right = jacobian.T @ error
    if preferred is not None:
        right += damping * preferred
    return _on_the_faces(normal, right, free_step, np.maximum(lower, -LARGEST_TURN), np.minimum(upper, LARGEST_TURN))


def _on_the_faces(
    normal: NDArray[np.float64],
    right: NDArray[np.float64],
    step: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The step where the box matters: least x normal x / 2 - x right, with an active set of joints held at faces.

    It begins with the step without the box and is overwritten.
    """
    faces = np.zeros(len(step))
    for _ in range(ROUNDS_PER_JOINT * len(step)):
        above, below = step > upper, step < lower
        faces += above
        faces -= below
        step = np.minimum(np.maximum(step, lower), upper)
        free = np.flatnonzero(faces == 0.0)
        if len(free):
            step[free] = 0.0
            step[free] = solve_symmetric(normal[free][:, free], (right - normal @ step)[free])
            if ((step > upper) | (step < lower)).any():
                continue
        # What each held joint presses against its face with; one that presses inwards is let go, the hardest first.
        pressure = faces * (right - normal @ step)
        released = int(pressure.argmin())
        if pressure[released] >= 0.0:
            break
        faces[released] = 0.0
    return np.minimum(np.maximum(step, lower), upper)


def _free_step(
    jacobian: NDArray[np.float64], error: NDArray[np.float64], damping: float, preferred: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The step without a box; the smaller of the two equivalent normal equations is solved."""
    rows, columns = jacobian.shape
    transposed = jacobian.T
    if preferred is not None:
        error = error - jacobian @ preferred
    if rows < columns:
        normal = jacobian @ transposed
        normal.ravel("K")[:: rows + 1] += damping
        step: NDArray[np.float64] = transposed @ solve_symmetric(normal, error)
    else:
        normal = transposed @ jacobian
        normal.ravel("K")[:: columns + 1] += damping
        step = solve_symmetric(normal, transposed @ error)
    if preferred is not None:
        step += preferred
    return step
