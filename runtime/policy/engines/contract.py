"""What an engine is: it runs one compiled graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Value(Protocol):
    """An array where the engine keeps it, of a type that numpy may not have."""

    def numpy(self) -> NDArray[Any]:
        """The array in numpy's hands; bfloat16 may be refused or given as float32."""
        ...


class Engine(Protocol):
    """One compiled graph, ready to run.

    An engine may have places of its own on a device that inputs are copied to and outputs are written to. What `run`
    gives is what it is until the engine's next run: who needs it longer has it `kept`. Only outputs of a graph whose
    `GraphFile` is `resident` can change then; others are their receiver's own.
    """

    def run(self, inputs: Mapping[str, NDArray[Any] | Value]) -> Mapping[str, Value]:
        """Inputs by name, arrays or what an engine of the same kind gave -> outputs by name.

        Inputs that the graph does not have are left out. An engine's own outputs may be its inputs.
        """
        ...

    def kept(self, outputs: Mapping[str, Value]) -> Mapping[str, Value]:
        """Outputs of this engine's last run, as they stay whatever it runs next; they need not be copied."""
        ...
