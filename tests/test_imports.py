"""The direction of imports: who may import whom, and what the base packages can do without."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.import_checker import AT_HOME, BASE, MAY_IMPORT, Import, imports_of, violations
from tests.pyproject import ROOT, pyproject

if TYPE_CHECKING:
    from pathlib import Path


def sources() -> list[Path]:
    return [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def test_all_imports_point_the_right_way() -> None:
    assert len(sources()) > 50
    found = [
        line
        for path in sources()
        for line in violations(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert not found, "\n".join(found)


def test_the_rules_cover_all_top_level_packages() -> None:
    assert set(pyproject()["tool"]["setuptools"]["package-dir"]) == {f"unichunk.{package}" for package in MAY_IMPORT}


def test_the_rules_know_the_declared_dependencies() -> None:
    project = pyproject()["project"]
    base = {re.split(r"[<>=!~\[ ]", line)[0] for line in project["dependencies"]}
    assert base == set(BASE.values())
    assert not base & set(AT_HOME)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("kinematics/urdf_files.py", "import unichunk.runtime.guard"),
        ("kinematics/urdf_files.py", "from unichunk.embodiments.spec import load_spec"),
        ("runtime/guard.py", "from unichunk.embodiments.spec import load_spec"),
        ("runtime/guard.py", "from unichunk.kinematics import model"),
        ("runtime/guard.py", "from unichunk import kinematics"),
        ("runtime/guard.py", "from unichunk import runtime, server"),
        ("runtime/guard.py", "import numpy, unichunk.server"),
        ("runtime/guard.py", "import unichunk.embodiments as robots"),
        ("runtime/guard.py", "import unichunk"),
        ("runtime/guard.py", "def late():\n    from unichunk.server import command_line"),
        ("runtime/guard.py", "if TYPE_CHECKING:\n    from unichunk.embodiments.spec import EmbodimentSpec"),
        ("runtime/guard.py", "try:\n    import torch\nexcept ImportError:\n    torch = None"),
        ("runtime/guard.py", "import importlib\nimportlib.import_module('unichunk.server')"),
        ("runtime/guard.py", "torch = __import__('torch')"),
        ("runtime/guard.py", "from ..embodiments import spec"),
        ("runtime/policy/policy.py", "from ...embodiments.spec import load_spec"),
        ("runtime/policy/policy.py", "from ... import server"),
        ("runtime/policy/policy.py", "import torch.nn"),
        ("runtime/policy/policy.py", "from onnx import helper"),
        ("runtime/training.py", "import torch"),
        ("runtime/guard.py", "from embodiments.spec import load_spec"),
        ("runtime/guard.py", "from tests.one_line import refused"),
        ("runtime/guard.py", "import scipy"),
        ("embodiments/adapter.py", "from unichunk.server import command_line"),
        ("embodiments/adapter.py", "from unichunk.benchmarks import control_tick"),
        ("embodiments/drivers/simulated.py", "import mujoco"),
        ("embodiments/drivers/simulated.py", "def late():\n    import mujoco.viewer"),
        ("embodiments/sim/twin.py", "import torch"),
        ("server/command_line.py", "from unichunk.benchmarks import control_tick"),
        ("server/command_line.py", "import torch"),
        ("server/train_follow.py", "import onnx"),
        ("benchmarks/control_tick.py", "import pandas"),
    ],
)
def test_a_violation_is_found(path: str, source: str) -> None:
    found = violations(f"import math\n{source}\n", path)
    assert len(found) == 1
    assert re.match(rf"{re.escape(path)}:\d: imports \S+: ", found[0])


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("kinematics/urdf_files.py", "import numpy as np\nfrom unichunk.kinematics.errors import UnknownModel"),
        (
            "runtime/guard.py",
            "from . import limits\nfrom .policy import Policy\nfrom ..runtime.limits import JointLimits",
        ),
        ("runtime/policy/policy.py", "from ..errors import BundleError\nfrom . import manifest"),
        (
            "embodiments/adapter.py",
            "from unichunk.runtime.errors import BundleError\nimport unichunk.kinematics.urdf_files",
        ),
        ("embodiments/sim/twin.py", "import mujoco"),
        ("embodiments/drivers/simulated.py", "def late():\n    from unichunk.embodiments.sim.twin import Twin"),
        ("server/command_line.py", "import tyro\nfrom unichunk import runtime, embodiments, kinematics"),
        ("server/train_follow.py", "import torch"),
        ("benchmarks/control_tick.py", "from unichunk.server import command_line\nimport torch"),
        ("runtime/guard.py", "'import torch'  # import torch"),
    ],
)
def test_what_is_allowed_is_no_violation(path: str, source: str) -> None:
    assert violations(source, path) == []


def test_imports_are_found_with_their_full_names() -> None:
    source = "from . import a\nfrom .b import c\nfrom ..d.e import f\nimport g.h, i\n"
    assert list(imports_of(source, "runtime/policy/policy.py")) == [
        Import("unichunk.runtime.policy", 1),
        Import("unichunk.runtime.policy.b", 2),
        Import("unichunk.runtime.d.e", 3),
        Import("g.h", 4),
        Import("i", 4),
    ]


BLOCKED = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError("No module named " + repr(name) + " (blocked by the test)", name=name)

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(name)
"""


def base_modules() -> list[str]:
    """Every module that must work in a base installation."""
    optional = ("runtime/train/", "runtime/compile/", "embodiments/sim/", "embodiments/drivers/", "server/train_")
    optional += ("server/evaluation/",)
    optional += tuple(f"server/serving/{name}" for name in ("app.py", "http_", "prometheus_", "ray_", "websocket_"))
    paths = [path.relative_to(ROOT).as_posix() for path in sources()]
    return [
        "unichunk." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in paths
        if not path.startswith((*optional, "benchmarks/")) and not path.endswith("__main__.py")
    ]


def import_without(blocked: set[str], modules: list[str]) -> subprocess.CompletedProcess[str]:
    script = BLOCKED.replace("{blocked}", repr(sorted(blocked)))
    return subprocess.run(
        [sys.executable, "-c", script, *modules], capture_output=True, text=True, check=False, timeout=60
    )


def test_base_packages_need_base_dependencies_only() -> None:
    modules = base_modules()
    assert {"unichunk.runtime.policy.policy", "unichunk.embodiments.link.driver_link"} < set(modules)
    if (ROOT / "server" / "command_line.py").exists():
        assert "unichunk.server.command_line" in modules
    result = import_without(set(AT_HOME) | {"hypothesis", "pytest"}, modules)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == modules


def test_the_blocked_packages_are_blocked() -> None:
    result = import_without({"numpy"}, ["unichunk.runtime.ticks", "unichunk.runtime.limits"])
    assert result.returncode == 1
    assert "No module named 'numpy' (blocked by the test)" in result.stderr
