"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
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

PACKAGES: Final = ("unichunk", "numpy", "onnxruntime", "onnxruntime-gpu", "pin", "mujoco", "pyzmq")


def describe_machine() -> dict[str, str | int | float]:
    """Board, processor, cores that this process may use, memory, load, clock governor, and versions."""
    described: dict[str, str | int | float] = {
        "board": _first_line(*MODEL_FILES) or "unknown",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not told",
        "load_average": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }
    described |= {name: line for name, file in TOLD_BY_SOME.items() if (line := _first_line(file))}
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


def _first_line(*names: str) -> str:
    """The first line of the first of these files that can be read; empty where none can."""
    for name in names:
        try:
            return Path(name).read_text(encoding="utf-8", errors="replace").splitlines()[0].strip("\0 ")
        except (OSError, IndexError):
            continue
    return ""
