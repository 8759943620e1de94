"""A virtual environment for each peer, made once and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import unichunk.benchmarks

if TYPE_CHECKING:
    from collections.abc import Sequence

READY: Final = "ready"
"""Written last: an environment without it is half made."""


class EnvironmentUnavailable(RuntimeError):
    """An environment could not be made; one line says why."""


@dataclass(frozen=True)
class Environment:
    """An environment that is ready.

    Attributes:
        python: Its interpreter.
        installed: What is in it, "name==version" each.
    """

    python: Path
    installed: tuple[str, ...]


def cache_folder() -> Path:
    """Where environments are kept: `unichunk/peers` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "unichunk" / "peers"


def environment(name: str, installs: Sequence[Sequence[str]], *, limit_s: float) -> Environment:
    """A peer's environment, made where it is not there yet.

    Args:
        name: The peer.
        installs: What is installed: arguments of `pip install`, call by call.
        limit_s: How long making it may take, [s].

    Raises:
        EnvironmentUnavailable: Where it could not be made.
    """
    calls = [list(arguments) for arguments in installs]
    contents = repr((sys.version_info[:2], sys.base_prefix, calls))
    folder = cache_folder() / f"{name}-{hashlib.sha256(contents.encode()).hexdigest()[:12]}"
    ready, python = folder / READY, folder / "bin" / "python"
    if not ready.is_file():
        try:
            listed = _make(folder, python, calls, time.monotonic() + limit_s)
            ready.write_text(listed, encoding="utf-8")
        except OSError as error:
            raise EnvironmentUnavailable(f"its environment could not be made: {error}") from None
        finally:
            if not ready.is_file():
                shutil.rmtree(folder, ignore_errors=True)
    return Environment(python, tuple(ready.read_text(encoding="utf-8").split()))


def clean_variables() -> dict[str, str]:
    """The process's variables without those that would lead an interpreter to packages of others."""
    leading = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP"}
    return {name: value for name, value in os.environ.items() if name not in leading} | {"PYTHONNOUSERSITE": "1"}


def only_benchmarks(folder: Path) -> Path:
    """A folder to import from in which there is nothing of this project but its benchmarks, and no other package.

    Args:
        folder: Where it is made.
    """
    package = folder / "packages" / "unichunk"
    package.mkdir(parents=True)
    (package / "benchmarks").symlink_to(Path(*unichunk.benchmarks.__path__).absolute())
    return package.parent


def _make(folder: Path, python: Path, installs: list[list[str]], until: float) -> str:
    """Make it from nothing; what is installed in the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(folder)], until)
    # Nothing is compiled: a benchmark does not ask for a compiler.
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    for arguments in installs:
        _run([*pip, "install", "--quiet", "--only-binary", ":all:", *arguments], until)
    return _run([*pip, "list", "--format", "freeze"], until)


def _run(command: list[str], until: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=max(0.1, until - time.monotonic()),
            env=clean_variables(),
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentUnavailable("its environment was not made in time; run again, or without --quick") from None
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or [f"exit status {done.returncode}"]
        raise EnvironmentUnavailable(f"its environment could not be made: {errors[-1]}")
    return done.stdout
