"""The process that a loop is measured in: `python -m unichunk.benchmarks.pacing.worker LOOP LOAD BUNDLE MODULE FILE`.

It says that it is ready, then measures whatever it is asked for, one line of JSON each way, until its input ends. It
runs in the environments of others, too: only what its loop and load need is imported, and of this project only the
runtime for our own loop.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from contextlib import nullcontext
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unichunk.benchmarks.pacing.loops import UNPRIVILEGED
from unichunk.benchmarks.pacing.pacers import Pacer, peers_pacer
from unichunk.benchmarks.pacing.stamps import Stamps

if TYPE_CHECKING:
    from unichunk.benchmarks.pacing.inference_load import InferenceLoad


def main() -> None:
    """Answer until the input ends."""
    loop, load, bundle, module, file = sys.argv[1:]
    # What libraries print must not come between the lines.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    package = _package(module, file)
    pacer = _pacer(loop, package)
    beside = _load(load, Path(bundle))
    # As in a run: everything is loaded before, and the inference thread is started within.
    with pacer.surroundings as missing:
        if beside is not None:
            beside.start(pacer.between_inferences)
        ready = {"missing_permissions": missing, "python": platform.python_version(), "imported": _origin(package)}
        answers.write(json.dumps(ready) + "\n")
        for line in sys.stdin:
            answers.write(json.dumps(_measure(pacer, beside, **json.loads(line))) + "\n")


def _pacer(loop: str, package: Any) -> Pacer:
    if package is not None or loop == "sleep":
        return peers_pacer(loop, package)
    from unichunk.benchmarks.pacing.own_pacer import own_pacer, unprivileged_pacer  # noqa: PLC0415

    return unprivileged_pacer() if loop == UNPRIVILEGED else own_pacer()


def _load(load: str, bundle: Path) -> InferenceLoad | None:
    if not load.startswith("inference"):
        return None
    from unichunk.benchmarks.pacing.inference_load import InferenceLoad  # noqa: PLC0415

    return InferenceLoad(bundle, python=load == "inference_python")


def _measure(
    pacer: Pacer, beside: InferenceLoad | None, *, rate_hz: int, warm_up_s: float, seconds: float
) -> dict[str, Any]:
    """Times of the steps that count, the grid they are due on where the loop keeps one, and inferences meanwhile."""
    before = 0 if beside is None else beside.inferences
    with nullcontext() if beside is None else beside:
        begun = time.monotonic()
        stamps = Stamps(rate_hz, warm_up_s, seconds)
        epoch_ns = pacer.pace(stamps, rate_hz)
        elapsed_s = time.monotonic() - begun
    inferences = 0 if beside is None else beside.inferences - before
    return {"stamps_ns": stamps.taken_ns(), "epoch_ns": epoch_ns, "elapsed_s": elapsed_s, "inferences": inferences}


def _package(module: str, file: str) -> Any:
    """A peer's module: imported by name, or only its file, where its package would import half the world."""
    if not file:
        return import_module(module) if module else None
    spec = spec_from_file_location(module.rpartition(".")[2], _installed(file))
    assert spec is not None
    assert spec.loader is not None
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def _installed(file: str) -> Path:
    for folder in map(Path, sys.path):
        if (folder / file).is_file():
            return folder / file
    raise FileNotFoundError(f"{file} is not installed")


def _origin(package: Any) -> str:
    """Where a module came from, below the folder that packages are installed in."""
    return str(package.__file__).rpartition("site-packages/")[2] if package else ""


if __name__ == "__main__":
    main()
