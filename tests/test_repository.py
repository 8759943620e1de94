"""The repository itself: nothing of the place it was written in, nothing unsafe, nothing promised and not there."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.pyproject import ROOT, pyproject

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 8 * 2**20

NOT_OURS = {"build", "dist", "runs", "data", "__pycache__"}

# Put together here, so that this file does not hold what it looks for.
PLACES = [f"/{name}/".encode() for name in ("work", "root", "home")]
REGISTRIES = [
    ".".join(words).encode()
    for words in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("conda", "anaconda", "org"),
        ("pypi", "nvidia", "com"),
        ("registry", "npmjs", "org"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("ghcr", "io"),
    )
]
OPTIONS = [b"--" + option for option in (b"index-url", b"extra-index-url", b"find-links", b"trusted-host")]

PICKLING = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
PICKLING_CALLS = {"send_pyobj", "recv_pyobj"}
MENTIONED = re.compile("|".join((*sorted(PICKLING), *sorted(PICKLING_CALLS), "torch")))
"""What a source has to mention before it is worth parsing."""


def _tracked() -> list[Path] | None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return None
    listing = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0 or not listing.stdout:
        return None
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name]


def _tree() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in {".ci", ".gitignore", ".github"} for part in parts)
        if not hidden and not NOT_OURS & set(parts) and not any(part.endswith(".egg-info") for part in parts):
            yield path


@cache
def files() -> list[Path]:
    """Files under version control; everything but build products and caches where there is no git to ask."""
    listed = _tracked()
    return [path for path in (listed or _tree()) if path.is_file() and not path.is_symlink()]


def containing(words: list[bytes]) -> list[str]:
    """Where in the repository any of these words stands."""
    pattern = re.compile(b"|".join(map(re.escape, words)))
    found = []
    for path in files():
        content = path.read_bytes()
        for match in pattern.finditer(content):
            line = content.count(b"\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}: {match.group().decode()}")
    return found


def test_there_are_files_to_look_at() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in files()}
    assert {"pyproject.toml", "runtime/guard.py", "embodiments/specs/so101.json"} <= names
    assert not any(name.startswith(".venv") or "__pycache__" in name for name in names)


def test_no_paths_of_the_machine_it_was_written_on() -> None:
    """In graphs too: exporters like to leave the paths of their sources in them."""
    assert containing(PLACES) == []


def test_no_package_registry_is_named() -> None:
    assert containing(REGISTRIES) == []
    assert containing(OPTIONS) == []


def test_no_file_is_too_large() -> None:
    large = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in files()}
    assert {name: size for name, size in large.items() if size > LARGEST} == {}


def pickling(source: str) -> list[str]:
    """Every way in which a source would read or write pickles."""
    found: list[str] = []
    if MENTIONED.search(source) is None:
        return found
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in PICKLING]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PICKLING:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += [*_unsafe_arguments(node)]
    return found


def _unsafe_arguments(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    constants = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    if constants.get("allow_pickle", False) is not False:
        yield f"{name}(allow_pickle=...)"
    if name == "torch.load" and constants.get("weights_only") is not True:
        yield "torch.load without weights_only=True"
    if name.rpartition(".")[2] in PICKLING_CALLS:
        yield name


def test_no_pickle_anywhere() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): uses
        for path in files()
        if path.suffix == ".py" and (uses := pickling(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from cloudpickle import dumps",
        "np.load('x.npy', allow_pickle=True)",
        "np.save('x.npy', x, allow_pickle=flag)",
        "torch.load('x.pt')",
        "torch.load('x.pt', weights_only=False)",
        "socket.send_pyobj(x)",
    ],
)
def test_pickle_would_be_found(source: str) -> None:
    assert len(pickling(source)) == 1


def test_what_only_looks_like_pickle_is_not_found() -> None:
    assert pickling("'no pickle'\nnp.load('x', allow_pickle=False)\ntorch.load('x', weights_only=True)") == []


def packages() -> dict[str, Path]:
    """Packages that the distribution declares, and the folders they come from."""
    setuptools: Any = pyproject()["tool"]["setuptools"]
    folders = setuptools["package-dir"]
    found = {}
    for package in setuptools["packages"]:
        top = ".".join(package.split(".")[:2])
        found[package] = ROOT / folders[top] / Path(*package.split(".")[2:])
    return found


def test_every_declared_package_is_there() -> None:
    assert {name: str(folder) for name, folder in packages().items() if not folder.is_dir()} == {}


def test_every_folder_with_code_is_declared() -> None:
    """What is not declared is missing from the wheel, and no test of an editable installation would notice."""
    tops = pyproject()["tool"]["setuptools"]["package-dir"].values()
    with_code = {path.parent for top in tops for path in (ROOT / top).rglob("*.py")}
    assert sorted(str(folder) for folder in with_code - set(packages().values())) == []


def test_typed_packages_say_so() -> None:
    for top in pyproject()["tool"]["setuptools"]["package-dir"].values():
        assert (ROOT / top / "py.typed").is_file()


@pytest.mark.parametrize(
    ("package", "pattern"),
    [
        (package, pattern)
        for package, patterns in pyproject()["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
    ],
)
def test_promised_data_is_there(package: str, pattern: str) -> None:
    assert any(path.is_file() for path in packages()[package].glob(pattern))


def test_all_data_ships() -> None:
    """Every file beside the code is in some pattern of package-data; measurements and pages stay in the repository."""
    data = pyproject()["tool"]["setuptools"]["package-data"]
    shipped = {path for package, patterns in data.items() for p in patterns for path in packages()[package].glob(p)}
    tops = [ROOT / top for top in pyproject()["tool"]["setuptools"]["package-dir"].values()]
    beside = {path for path in files() if path.suffix != ".py" and any(top in path.parents for top in tops)}
    kept = {path for path in beside if ROOT / "benchmarks" / "results" in path.parents or path.suffix == ".md"}
    assert sorted(str(path) for path in beside - shipped - kept) == []


def test_the_command_exists() -> None:
    for target in pyproject()["project"]["scripts"].values():
        module, _, function = target.partition(":")
        package, _, name = module.rpartition(".")
        source = (packages()[package] / f"{name}.py").read_text(encoding="utf-8")
        assert function in {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}


def test_readme_and_license_are_there() -> None:
    project = pyproject()["project"]
    for name in [project["readme"], *project["license-files"]]:
        assert (ROOT / name).stat().st_size > 0


def test_shipped_bundles_load_and_fit_the_robots_they_name() -> None:
    from unichunk.embodiments.adapter import EmbodimentAdapter
    from unichunk.embodiments.catalogue import embodiment_names, load_spec
    from unichunk.runtime.policy import Policy
    from unichunk.runtime.policy.bundle import robots_of

    folders = [path.parent for path in sorted((ROOT / "embodiments" / "bundles").glob("*/bundle.json"))]
    assert folders
    for folder in folders:
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 8 * 2**20
        policy = Policy.load(folder, embodiment=robots_of(folder)[0])
        assert {path.name for path in folder.iterdir()} == {"bundle.json", *policy.manifest.files}
        assert set(policy.manifest.embodiments) <= set(embodiment_names())
        for name in policy.manifest.embodiments:
            EmbodimentAdapter(load_spec(name), policy.manifest.robots[name], str(folder))
