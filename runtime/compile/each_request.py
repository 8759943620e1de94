"""The requests of a batch: values that each of them has, in graphs that are built as if for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.weight_file import Weight


class EachRequest:
    """Moves of data inside each of B requests, whose axis is in front; shapes and axes are given as if for one.

    Where there is one request, there is no such axis: the moves are the graph's own, and `shaped`, `rows` and `same`
    are none at all. So the graph for one request pays nothing for the others.

    Rows that go through the same weights need no axis: those of all requests lie one below the other, (B n, width),
    which makes one product of B. Only what tells requests apart (attention, masks, positions, gates) has it.

    Args:
        graph: Where the nodes go.
        count: B.
    """

    def __init__(self, graph: Graph, count: int) -> None:
        self.graph = graph
        self.count = count
        self._front = (count,) if count > 1 else ()

    def input(self, name: str, shape: Sequence[int], type_name: Any) -> str:
        """Declare an input of each."""
        return self.graph.input(name, (*self._front, *shape), type_name)

    def output(self, name: str, value: str, shape: Sequence[int], type_name: Any) -> None:
        """Give out a value of each."""
        self.graph.output(name, value, (*self._front, *shape), type_name)

    def reshape(self, value: str, *shape: int) -> str:
        """The same values in another shape."""
        return self.graph.reshape(value, *self._front, *shape)

    def transpose(self, value: str, *axes: int) -> str:
        """The same values with other axes first."""
        return self.graph.transpose(value, *range(len(self._front)), *map(self._axis, axes))

    def split(self, value: str, sizes: Sequence[int], axis: int) -> tuple[str, ...]:
        """Cut along an axis."""
        return self.graph.split(value, sizes, self._axis(axis))

    def concat(self, values: Sequence[str], axis: int) -> str:
        """Several values as one."""
        return self.graph.concat(values, self._axis(axis))

    def expand(self, value: str, *shape: int) -> str:
        """Repeated along axes of length one."""
        return self.graph.op("Expand", value, self.graph.integers([*self._front, *shape]))

    def reduce(self, kind: str, value: str, axes: Sequence[int], *, keep: bool) -> str:
        """A sum or mean over axes, which are kept with length one or go."""
        return self.graph.op(kind, value, self.graph.integers([*map(self._axis, axes)]), keepdims=int(keep))

    def looked_up(self, table: Weight, ids: str) -> str:
        """Rows of a table (rows, width) by the numbers (n,) that each has, (n, width)."""
        return self.graph.looked_up(table, ids, len(self._front) + 1)

    def shaped(self, value: str, *shape: int) -> str:
        """A value of each in the shape, or with the leading ones, that it has without asking where there is one."""
        return self.reshape(value, *shape) if self._front else value

    def rows(self, value: str, count: int, width: int) -> str:
        """Rows (count, width) of each, one below the other: (B count, width)."""
        return self.graph.reshape(value, self.count * count, width) if self._front else value

    def same(self, value: str, *shape: int) -> str:
        """What is known at compile time, given to each."""
        return self.expand(value, *shape) if self._front else value

    def _axis(self, axis: int) -> int:
        return len(self._front) + axis
