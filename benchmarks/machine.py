"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

MODEL_FILES: Final = ("/proc/device-tree/model", "/sys/class/dmi/id/product_name")
TOLD_BY_SOME: Final = {
    "fastest_khz": "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
    "jetson_linux": "/etc/nv_tegra_release",
    "power_mode": "/var/lib/nvpmodel/status",
}
"""What only some machines tell: the first core's highest clock [kHz]; a Jetson's release, and its chosen power mode."""

LOAD_AT_START: Final = os.getloadavg()[0]
"""Mean number of busy processes over the minute before a benchmark began, read as it imports this: later, the number
tells of the benchmark itself. In a series of benchmarks it tells of the one before."""

GPU_QUERY: Final = ("--query-gpu=name,driver_version", "--format=csv,noheader")
GPU_PATIENCE_S: Final = 10.0
"""How long `nvidia-smi` may take; it loads the driver where nothing else uses it."""

PACKAGES: Final = ("unichunk", "numpy", "onnxruntime", "onnxruntime-gpu", "pin", "mujoco", "pyzmq")


def describe_machine() -> dict[str, str | int | float]:
    """Board, processor, cores that this process may use, memory, load before it, clock governor, GPUs, and versions."""
    described: dict[str, str | int | float] = {
        "board": _first_line(*MODEL_FILES) or "unknown",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not told",
        "load_average": round(LOAD_AT_START, 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }
    described |= {name: line for name, file in TOLD_BY_SOME.items() if (line := _first_line(file))}
    if gpus := _gpus():
        described["gpu"] = gpus
    for name in PACKAGES:
        try:
            described[name] = version(name)
        except PackageNotFoundError:
            continue
    return described


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gpus() -> str:
    """Name and driver of each NVIDIA card; empty where there is none, or nobody tells."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        told = subprocess.run(  # noqa: S603  the program we looked up
            [program, *GPU_QUERY], capture_output=True, text=True, errors="replace", check=True, timeout=GPU_PATIENCE_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    cards = [line.rpartition(",") for line in told.stdout.splitlines() if "," in line]
    return "; ".join(f"{name.strip()}, driver {driver.strip()}" for name, _, driver in cards)


def _first_line(*names: str) -> str:
    """The first line of the first of these files that can be read; empty where none can."""
    for name in names:
        try:
            return Path(name).read_text(encoding="utf-8", errors="replace").splitlines()[0].strip("\0 ")
        except (OSError, IndexError):
            continue
    return ""
