"""Solving small symmetric positive definite systems, in the calling thread alone.

numpy's solver may wake a pool of threads, which on a busy machine costs a hundred times what the solving does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import eigenpy
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def solve_symmetric(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve matrix @ x = right.

    Args:
        matrix: Symmetric, positive definite, shape (n, n).
        right: Shape (n,) or (n, k).

    Returns:
        The shape of `right`.
    """
    return _solve(eigenpy.LDLT(matrix), right)


def solve_block_chain(
    blocks: NDArray[np.float64], couplings: NDArray[np.float64], right: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve a symmetric positive definite block-tridiagonal system by block elimination.

    Args:
        blocks: Diagonal blocks, shape (T, n, n).
        couplings: Diagonals of the blocks beside them, which have nothing else: block (t, t + 1) is diag(couplings[t]),
            shape (T - 1, n).
        right: Shape (T, n).

    Returns:
        Shape (T, n).
    """
    eliminated = [eigenpy.LDLT(blocks[0])]
    carried = [right[0]]
    for block, coupling, here in zip(blocks[1:], couplings, right[1:], strict=True):
        before = eliminated[-1]
        eliminated.append(eigenpy.LDLT(block - coupling[:, None] * _solve(before, np.diag(coupling))))
        carried.append(here - coupling * _solve(before, carried[-1]))
    solved = np.empty_like(right)
    solved[-1] = _solve(eliminated[-1], carried[-1])
    for row in range(len(right) - 2, -1, -1):
        solved[row] = _solve(eliminated[row], carried[row] - couplings[row] * solved[row + 1])
    return solved


def _solve(decomposition: eigenpy.LDLT, right: NDArray[np.float64]) -> NDArray[np.float64]:
    # eigenpy answers with a matrix where the vector has a single entry.
    solved: NDArray[np.float64] = decomposition.solve(right).reshape(right.shape)
    return solved
