"""Optional packages that a benchmark needs: where one is missing, one line says which extra brings it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

from unichunk.runtime.outcome import EXIT_STATUS, ExitReason

MODULES: Final = {
    "compile": ("ml_dtypes", "onnx", "safetensors"),
    "evaluation": (
        "alembic",
        "cryptography",
        "jinja2",
        "pyarrow",
        "reportlab",
        "scipy",
        "sqlalchemy",
        "statsmodels",
    ),
    "server": ("fastapi", "httptools", "prometheus_client", "uvicorn", "uvloop", "websockets"),
    "sim": ("mujoco",),
}
"""Extra -> what it brings, by import name. The modules of a benchmark import none of it before `need_extras`."""


def missing_extras(*extras: str) -> str:
    """Which of the extras is not installed, as the end of a sentence; empty where all are."""
    for extra in extras:
        missing = [module for module in MODULES[extra] if find_spec(module) is None]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            return (
                f"needs the extra {extra} ({', '.join(missing)} {verb} not installed): pip install 'unichunk[{extra}]'"
            )
    return ""


def need_extras(benchmark: str, *extras: str) -> None:
    """Refuse to begin where something is not installed.

    Args:
        benchmark: Its name.
        *extras: What it needs, by the names of `MODULES`.

    Raises:
        SystemExit: Status 3, after one line on standard error.
    """
    missing = missing_extras(*extras)
    if missing:
        print(f"unichunk bench {benchmark}: {missing}", file=sys.stderr)
        raise SystemExit(EXIT_STATUS[ExitReason.REFUSED])
