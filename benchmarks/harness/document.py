"""The document that a benchmark writes: what was measured, where and when."""

from __future__ import annotations

import datetime
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from unichunk.benchmarks.machine import describe_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.benchmarks.harness.ratio import Ratio


def document(name: str, *, quick: bool, ratios: Mapping[str, Ratio] | None = None, **parts: Any) -> dict[str, Any]:
    """A benchmark's result as plain values.

    Args:
        name: The benchmark.
        quick: Whether this was its short form; only results of the same form are compared.
        ratios: What the regression watch compares from run to run, by label.
        **parts: The rest, in the order in which it shall be read.
    """
    return {
        "benchmark": name,
        "quick": quick,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": describe_machine(),
        "ratios": {label: ratio.row() for label, ratio in (ratios or {}).items()},
        **parts,
    }


def not_measured(why: str) -> dict[str, str]:
    """What stands in a document where a number could not be taken."""
    return {"not_measured": why}


def is_measured(value: Any) -> bool:
    """False for what `not_measured` gives."""
    return not (isinstance(value, dict) and "not_measured" in value)


def check_writable(path: Path | None, option: str = "--json") -> None:
    """Refuse a file that could not be written when all is measured.

    Args:
        path: The file; None: nothing is asked for.
        option: What it was given as.

    Raises:
        SystemExit: Status 2, after one line on standard error.
    """
    if path is None:
        return
    folder = path.absolute().parent
    problem = None
    if path.is_dir():
        problem = "is a folder"
    elif not folder.is_dir():
        problem = f"has no folder {folder}"
    elif not all(os.access(each, os.W_OK) for each in _touched(path)):
        problem = "may not be written"
    if problem is not None:
        print(f"{option}: {path} {problem}; name a file in a folder that exists and may be written", file=sys.stderr)
        raise SystemExit(2)


def write_json(path: Path | None, result: Mapping[str, Any]) -> None:
    """Write a document whole or not at all; nowhere for None."""
    if path is not None:
        write_whole(path, msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or an end of the process, never meets half of it.

    What is no file of its own, as `/dev/stdout` is not, is written to and stays what it is.
    """
    if _in_place(path):
        path.write_bytes(content)
        return
    with tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}-", delete=False) as file:
        beside = Path(file.name)
        try:
            file.write(content)
            file.flush()
            beside.chmod(0o666 & ~_umask())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _in_place(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not path.is_file())


def _touched(path: Path) -> list[Path]:
    """What must be writable: the file, where there is one, and the folder, where it is replaced."""
    if _in_place(path):
        return [path if path.exists() else path.resolve().parent]
    return [path, path.absolute().parent] if path.exists() else [path.absolute().parent]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
