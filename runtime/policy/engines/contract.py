"""What an engine is: it runs one compiled graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Value(Protocol):
    """An array where the engine keeps it, of a type that numpy may not have."""

    def numpy(self) -> NDArray[Any]:
        """The array in numpy's hands."""
        ...


class Engine(Protocol):
    """One compiled graph, ready to run."""

    def run(self, inputs: Mapping[str, NDArray[Any] | Value]) -> Mapping[str, Value]:
        """Inputs by name, arrays or what an engine of the same kind gave -> outputs by name."""
        ...
