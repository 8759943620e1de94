"""From rows at the action rate to commands at the robot's rate.

Inside tick k the command follows the uniform quadratic B-spline of rows k-2, k-1 and k (de Boor, A Practical Guide to
Splines, 1978). It needs no row of the future, its velocity is continuous across rows and seams, and it never leaves
the convex hull of its three rows, so limits that hold for the rows hold for the command. The price is a lag of half a
tick against straight lines between rows, and rows are approached, not passed through; a row that repeats is reached
exactly.
"""

from __future__ import annotations


def weights(phase: float) -> tuple[float, float, float]:
    """Weights of rows k-2, k-1 and k at a point inside tick k.

    Args:
        phase: 0 at the start of the tick, 1 at its end.

    Returns:
        Three non-negative weights that sum to 1.
    """
    rest = 1.0 - phase
    return 0.5 * rest * rest, 0.5 + phase * rest, 0.5 * phase * phase
