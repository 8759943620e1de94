"""What compiling a checkpoint of the published size costs: time, memory, disk.

    python -m unichunk.benchmarks.compile_checkpoint [--json FILE] [--quick] [--precision fp32 fp16 bf16]

Writes a random checkpoint with the sizes of the 2B model (5 GB, kept while the benchmark runs only), compiles it in a
process of its own, once for each precision, and has the CPU think once about an observation where it can (fp32).
Needs the extra `compile`, about 20 GB of disk and, for the thinking, about 16 GB of memory.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import tyro

from unichunk.benchmarks.harness.document import check_writable, document, write_json
from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.runtime.compile.sizes import BEING_H_2B, Sizes
from unichunk.runtime.policy import EngineOptions, Policy

Precision = Literal["fp32", "fp16", "bf16"]

NAME: Final = "compile_checkpoint"
_FOLLOW_S: Final = 0.05


@dataclass
class Options:
    """Compile a random checkpoint and print a table."""

    json: Path | None = None
    """Where to write the numbers as JSON."""
    quick: bool = False
    """A small model, to see that the benchmark works."""
    precision: tuple[Precision, ...] = ("fp32", "fp16", "bf16")
    """Precisions to compile for."""
    folder: Path | None = None
    """Where to put checkpoint and bundles meanwhile; a temporary folder otherwise."""


def main() -> None:
    """Run the benchmark."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "compile")
    from unichunk.runtime.compile.checkpoint_writer import random_checkpoint  # noqa: PLC0415  (the extra)

    with ended_by_signals(NAME), tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        checkpoint = folder / "checkpoint"
        begin = time.monotonic()
        random_checkpoint(checkpoint, Sizes() if options.quick else BEING_H_2B)
        rows = [_compiled(checkpoint, folder / precision, precision) for precision in options.precision]
        print(f"checkpoint: {_gigabytes(checkpoint):.2f} GB, made in {time.monotonic() - begin:.0f} s with the rest")
    print(
        "| precision | time [s] | largest resident, without file pages [GB] | weights [GB] | graphs [MB] | "
        "load, first and second `infer` [s] |"
    )
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['precision']} | {row['seconds']:.0f} | {row['largest_resident_gb']:.2f}, "
            f"{row['largest_anonymous_gb']:.2f} | {row['weights_gb']:.2f} | {row['graphs_mb']:.2f} | "
            f"{', '.join(f'{value:.1f}' for value in row['infer_s']) or '-'} |"
        )
    write_json(options.json, document(NAME, quick=options.quick, rows=rows))


def _compiled(checkpoint: Path, out: Path, precision: Precision) -> dict[str, Any]:
    command = [sys.executable, "-m", "unichunk.server.command_line", "compile", str(checkpoint)]
    command += ["--data-config", "libero_nonorm", "--dataset", "uni_posttrain", "--stats", "merged"]
    command += ["--out", str(out), "--precision", precision]
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603  our own module
    anonymous = 0.0
    try:
        while True:
            # `wait4` and not `poll`: the kernel's own peak of the resident memory comes with it.
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            anonymous = max(anonymous, _anonymous_gb(process.pid))
            time.sleep(_FOLLOW_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"compiling for {precision} ended with status {process.returncode}")
    seconds = time.monotonic() - begin
    graphs = [path for path in out.iterdir() if path.suffix == ".onnx"]
    row = {
        "precision": precision,
        "seconds": seconds,
        "largest_resident_gb": usage.ru_maxrss * 1024 / 1e9,
        "largest_anonymous_gb": anonymous,
        "weights_gb": _gigabytes(out) - sum(path.stat().st_size for path in graphs) / 1e9,
        "graphs_mb": sum(path.stat().st_size for path in graphs) / 1e6,
        "infer_s": _thought(out) if precision == "fp32" else [],
    }
    shutil.rmtree(out)
    return row


def _thought(bundle: Path) -> list[float]:
    """Seconds that loading and two inferences take, in a process of their own; nothing where it did not survive."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_think, args=(bundle, sender))
    process.start()
    sender.close()
    process.join()
    return receiver.recv() if process.exitcode == 0 else []


def _think(bundle: Path, sender: Any) -> None:
    moments = [time.monotonic()]
    policy = Policy.load(bundle, engine=EngineOptions(threads=2))
    moments.append(time.monotonic())
    for _ in range(2):
        assert np.isfinite(policy.infer(policy.example_observation()).unified).all()
        moments.append(time.monotonic())
    sender.send(np.diff(moments).tolist())


def _anonymous_gb(pid: int) -> float:
    """Resident memory that is no page of a file, [GB]; Linux."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("RssAnon:")), 0.0)


def _gigabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e9


if __name__ == "__main__":
    main()
