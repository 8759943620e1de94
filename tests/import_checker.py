"""Finds every import of a source file, wherever it hides, and says which of them break the rules.

The rules are the table of packages in the design: who may import whom, and where optional packages are at home.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAY_IMPORT: Final = {
    "kinematics": set[str](),
    "runtime": set[str](),
    "embodiments": {"runtime", "kinematics"},
    "server": {"runtime", "embodiments", "kinematics"},
    "benchmarks": {"runtime", "embodiments", "kinematics", "server"},
}
"""Package -> packages of this project it may import, besides itself."""

BASE: Final = {
    "PIL": "pillow",
    "eigenpy": "eigenpy",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "pinocchio": "pin",
    "rich": "rich",
    "tokenizers": "tokenizers",
    "tyro": "tyro",
    "zmq": "pyzmq",
}
"""Import name -> distribution of what every installation has."""

TRAINING: Final = ("runtime/train/", "runtime/compile/", "server/train_", "benchmarks/")
AT_HOME: Final = {
    "torch": TRAINING,
    "onnx": ("runtime/compile/", "benchmarks/"),
    "ml_dtypes": ("runtime/compile/", "benchmarks/"),
    "safetensors": ("runtime/train/", "runtime/compile/", "benchmarks/"),
    "mujoco": ("embodiments/sim/", "benchmarks/"),
    "matplotlib": ("benchmarks/harness/", "server/evaluation/report/"),
    "mink": ("benchmarks/",),
    "pink": ("benchmarks/",),
    "alembic": ("server/evaluation/store/",),
    "cryptography": ("server/evaluation/planning/", "server/evaluation/store/", "benchmarks/"),
    "fastapi": ("server/serving/", "server/evaluation/web/", "server/evaluation/blinding/"),
    "jinja2": ("server/evaluation/web/", "server/evaluation/report/"),
    "pyarrow": ("server/evaluation/report/",),
    "reportlab": ("server/evaluation/report/",),
    "scipy": ("server/evaluation/statistics/", "benchmarks/"),
    "sqlalchemy": ("server/evaluation/store/",),
    "statsmodels": ("server/evaluation/statistics/", "benchmarks/"),
    "tomli": ("server/evaluation/planning/",),
    "prometheus_client": ("server/serving/",),
    "ray": ("server/serving/",),
    "starlette": ("server/serving/", "server/evaluation/web/", "server/evaluation/blinding/"),
    "uvicorn": ("server/serving/", "server/evaluation/"),
    "uvloop": ("server/serving/", "server/serve_command.py", "benchmarks/"),
    "websockets": ("server/evaluation/", "server/remote/", "server/serving/", "benchmarks/"),
    "cuda": ("runtime/policy/engines/native_tensorrt/",),
    "tensorrt": ("runtime/policy/",),
    "serial": ("embodiments/drivers/",),
    "pyrealsense2": ("embodiments/drivers/",),
    "franky": ("embodiments/drivers/",),
}
"""Import name of an optional package -> beginnings of the paths that may import it."""


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name, and the line it is on."""

    module: str
    line: int


def imports_of(source: str, path: str) -> Iterator[Import]:
    """All modules that a file imports: at its top, in functions, under TYPE_CHECKING, relative and by `import_module`.

    Args:
        source: The file's content.
        path: Its path in the repository, which relative imports start from.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = ".".join([*_origin(path, node.level), *filter(None, [node.module])])
            # `from unichunk import server` imports unichunk.server.
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "unichunk" else [module]
            yield from (Import(name, node.lineno) for name in names)
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"} and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield Import(name.value, node.lineno)


def violations(source: str, path: str) -> list[str]:
    """Every import of a file that the rules forbid, one line each.

    Args:
        source: The file's content.
        path: Its path in the repository, such as `runtime/guard.py`.
    """
    return [
        f"{path}:{found.line}: imports {found.module}: {reason}"
        for found in imports_of(source, path)
        if (reason := _objection(found.module, path)) is not None
    ]


def _objection(module: str, path: str) -> str | None:
    package = path.partition("/")[0]
    top, _, rest = module.partition(".")
    if top == "unichunk":
        target = rest.partition(".")[0]
        if target == package or target in MAY_IMPORT[package]:
            return None
        return f"{package} may import {', '.join(sorted(MAY_IMPORT[package])) or 'nothing of ours'}"
    if top in MAY_IMPORT or top == "tests":
        return f"{top} is no import name, ours begin with unichunk"
    if top in sys.stdlib_module_names or top in BASE:
        return None
    homes = AT_HOME.get(top)
    if homes is None:
        return "it is neither a dependency nor an optional one"
    return None if path.startswith(homes) else f"only {', '.join(homes)} may"


def _origin(path: str, level: int) -> list[str]:
    """The package that a relative import of this level starts from; nothing for an absolute one."""
    return ["unichunk", *path.split("/")][:-level] if level else []


def _called(node: ast.Call) -> str | None:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
