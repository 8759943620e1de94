"""What TensorRT says: kept for error texts instead of printed."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import ModuleType

_KEPT: Final = 8
"""Messages; the first ones name the cause, so the oldest are not dropped before they are read."""


@lru_cache
def messages_of(tensorrt: ModuleType) -> Any:
    """The logger of this process; TensorRT takes one only. It has `take()`."""

    class Messages(tensorrt.ILogger):  # type: ignore[misc,name-defined]
        """Keeps errors, in one line each; warnings and the rest are dropped."""

        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self._lines: deque[str] = deque(maxlen=_KEPT)

        def log(self, severity: Any, msg: str) -> None:
            """Called by TensorRT, from any thread."""
            if severity in {tensorrt.ILogger.Severity.INTERNAL_ERROR, tensorrt.ILogger.Severity.ERROR}:
                self._lines.append(" ".join(msg.split()))

        def take(self) -> str:
            """The errors since the last call, as one line; they are forgotten."""
            lines = list(self._lines)
            self._lines.clear()
            return "; ".join(dict.fromkeys(lines)) or "it does not say why"

    return Messages()
