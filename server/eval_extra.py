"""The extra that everything under `unichunk eval` needs, found missing before anything is begun."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

from unichunk.server.usage_error import UsageError

NEEDS: Final = (
    "alembic",
    "cryptography",
    "fastapi",
    "httptools",
    "jinja2",
    "matplotlib",
    "pyarrow",
    "reportlab",
    "scipy",
    "sqlalchemy",
    "statsmodels",
    "uvicorn",
    "websockets",
    *(() if sys.version_info >= (3, 11) else ("tomli",)),
)
"""Import names of what the extra brings."""


def need_evaluation() -> None:
    """Refuse to begin where something is not installed.

    Raises:
        UsageError: One line that says what, and how to get it.
    """
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        raise UsageError(f"evaluation needs {', '.join(missing)}: pip install 'unichunk[evaluation]'")
