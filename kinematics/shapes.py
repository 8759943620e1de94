"""What arrays are checked for on their way in: their shapes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.kinematics.errors import WrongShape

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def float_array(value: ArrayLike, name: str, *ending: int | None) -> NDArray[np.float64]:
    """The value as an array of float64 whose shape ends as expected.

    Args:
        value: Numbers.
        name: What to call it in a message.
        ending: The last lengths of its shape: 4, 4 for poses; None for the rows of a chunk, of which there may be any
            number.

    Raises:
        WrongShape: With both shapes, or with what numpy has against the value.
    """
    expected = f"({', '.join(['...', *('T' if length is None else str(length) for length in ending)])})"
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WrongShape(f"{name}: expected numbers of shape {expected}, got no array: {reason}") from error
    lengths = array.shape[max(0, array.ndim - len(ending)) :]
    if len(lengths) < len(ending) or any(want not in {None, got} for want, got in zip(ending, lengths, strict=True)):
        raise WrongShape(f"{name}: expected shape {expected}, got {array.shape}")
    return array


def common_leading(**leading: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that leading axes broadcast to.

    Args:
        leading: Leading shapes by the names of their arrays.

    Raises:
        WrongShape: Where they do not broadcast; with all of them.
    """
    try:
        return np.broadcast_shapes(*leading.values())
    except ValueError as error:
        listed = ", ".join(f"{shape} of {name}" for name, shape in leading.items())
        raise WrongShape(f"leading shapes do not broadcast: {listed}; expected equal lengths, or 1") from error
