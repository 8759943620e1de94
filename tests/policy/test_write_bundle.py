"""Writing bundles: all or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.bundle import read_manifest, write_bundle


def files_of(bundle: Path) -> dict[str, Path]:
    return {name: bundle / name for name in ("prefix.onnx", "chunk.onnx")}


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """All files below a folder with their content, and all folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_what_is_written_is_read(bundle: Path, tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "deep" / "copy", read_manifest(bundle), files_of(bundle))
    assert read_manifest(tmp_path / "deep" / "copy") == written == read_manifest(bundle)
    assert sorted(everything_in(tmp_path / "deep")) == [
        "copy",
        "copy/bundle.json",
        "copy/chunk.onnx",
        "copy/prefix.onnx",
    ]


def test_an_older_bundle_is_replaced(bundle: Path, tmp_path: Path) -> None:
    newer = write_tiny_bundle(tmp_path / "newer", chunk_length=10)
    (bundle / "stale.txt").write_text("left from before")
    write_bundle(bundle, read_manifest(newer), files_of(newer))
    assert everything_in(bundle) == everything_in(newer)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newer", "tiny"]


def test_a_bundle_can_be_rewritten_from_its_own_files(bundle: Path) -> None:
    manifest = msgspec.structs.replace(read_manifest(bundle), name="renamed")
    write_bundle(bundle, manifest, files_of(bundle))
    assert read_manifest(bundle).name == "renamed"


def test_a_link_to_a_bundle_goes_on_pointing_at_it(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(bundle)
    manifest = msgspec.structs.replace(read_manifest(bundle), name="renamed")
    write_bundle(tmp_path / "current", manifest, files_of(bundle))
    assert (tmp_path / "current").is_symlink()
    assert read_manifest(bundle).name == "renamed"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_else_in_the_way_is_not_touched(bundle: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "photos"
    (target.mkdir if kind == "folder" else target.touch)()
    before = everything_in(tmp_path)
    with refused(BundleError, str(target), "exists and is not a bundle", "choose another folder"):
        write_bundle(target, read_manifest(bundle), files_of(bundle))
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("name", ["missing.onnx", "folder"])
def test_a_source_that_cannot_be_read(bundle: Path, tmp_path: Path, name: str, existing: bool) -> None:
    (tmp_path / "folder").mkdir()
    target = bundle if existing else tmp_path / "new" / "bundle"
    before = everything_in(tmp_path)
    with refused(BundleError, str(target), "was not written", str(tmp_path / name)):
        write_bundle(target, read_manifest(bundle), {**files_of(bundle), "chunk.onnx": tmp_path / name})
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("operation", ["copyfile", "write", "rename"])
def test_a_disk_that_fails_midway(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, existing: bool
) -> None:
    target = bundle if existing else tmp_path / "new"
    manifest, files = read_manifest(bundle), files_of(bundle)
    before = everything_in(tmp_path)
    calls = 0

    def full(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        # The second copy, the only manifest, the rename that puts the new folder in place.
        if calls < 2 and (operation == "copyfile" or (operation == "rename" and existing)):
            return original(*args, **options)
        if calls > 2:
            return original(*args, **options)
        raise OSError(28, "No space left on device")

    owner: Any = shutil if operation == "copyfile" else Path
    attribute = {"copyfile": "copyfile", "write": "write_bytes", "rename": "rename"}[operation]
    original = getattr(owner, attribute)
    monkeypatch.setattr(owner, attribute, full)
    with refused(BundleError, str(target), "was not written", "No space left on device"):
        write_bundle(target, manifest, files)
    monkeypatch.undo()
    assert calls > 0
    assert everything_in(tmp_path) == before


def test_an_interrupt_midway_leaves_the_older_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything_in(tmp_path)

    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    manifest = read_manifest(bundle)
    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(bundle, manifest, files_of(bundle))
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_delay": 8}, "max_delay: expected less than chunk_length (8), got 8"),
        ({"unified_width": 7}, "unified_width: expected 200, got 7"),
        ({"format_version": 2}, "format_version: expected 1, got 2"),
    ],
)
def test_a_manifest_that_could_not_be_read_back_is_not_written(
    bundle: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    before = everything_in(tmp_path)
    manifest = msgspec.structs.replace(read_manifest(bundle), **changes)
    with refused(BundleError, str(tmp_path / "new"), words):
        write_bundle(tmp_path / "new", manifest, files_of(bundle))
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("name", ["../escaped.onnx", "..", "", "bundle.json", "sub/chunk.onnx"])
def test_nothing_is_written_outside_the_folder(bundle: Path, tmp_path: Path, name: str) -> None:
    before = everything_in(tmp_path)
    with refused(BundleError, str(tmp_path / "new"), "files: expected plain file names", repr(name)):
        write_bundle(tmp_path / "new", read_manifest(bundle), {**files_of(bundle), name: bundle / "chunk.onnx"})
    assert everything_in(tmp_path) == before
