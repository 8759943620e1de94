"""Writing bundles: all or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.one_line import refused
from tests.policy.damage import manifest_of, put_file, put_manifest
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.bundle import read_manifest, staged_bundle, write_bundle
from unichunk.runtime.policy.manifest import MeanStd

FILES = ("chunk.onnx", "chunk_1.onnx", "prefix.onnx", "tokenizer.json")


def files_of(bundle: Path) -> dict[str, Path]:
    return {name: bundle / name for name in FILES}


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """All files below a folder with their content, and all folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_what_is_written_is_read(bundle: Path, tmp_path: Path) -> None:
    written = write_bundle(tmp_path / "deep" / "copy", read_manifest(bundle), files_of(bundle))
    assert read_manifest(tmp_path / "deep" / "copy") == written == read_manifest(bundle)
    assert sorted(everything_in(tmp_path / "deep")) == [
        "copy",
        "copy/bundle.json",
        *(f"copy/{name}" for name in FILES),
    ]


def test_an_older_bundle_is_replaced(bundle: Path, tmp_path: Path) -> None:
    newer = write_tiny_bundle(tmp_path / "newer", chunk_length=10)
    # A file of the older bundle that the newer one does not have.
    put_file(bundle, "stale.txt", b"left from before")
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
        ({"chunk_length": 6}, "robots.so101.max_delay: expected less than chunk_length (6), got 6"),
        ({"unified_width": 7}, "unified_width: expected 200, got 7"),
        ({"format_version": 1}, "format_version: expected 3 or 4, got 1"),
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


def test_what_is_staged_is_moved_and_not_copied(bundle: Path, tmp_path: Path) -> None:
    with staged_bundle(tmp_path / "deep" / "staged") as staged:
        for name, path in files_of(bundle).items():
            shutil.copyfile(path, staged.folder / name)
        inode = (staged.folder / "chunk.onnx").stat().st_ino
        written = staged.finish(msgspec.structs.replace(read_manifest(bundle), name="staged"))
    assert (tmp_path / "deep" / "staged" / "chunk.onnx").stat().st_ino == inode
    assert read_manifest(tmp_path / "deep" / "staged") == written
    assert written.name == "staged"
    assert sorted(everything_in(tmp_path / "deep")) == ["staged", "staged/bundle.json", *(f"staged/{n}" for n in FILES)]
    assert (tmp_path / "deep" / "staged").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("error", [None, RuntimeError("no"), KeyboardInterrupt(), BundleError("nothing to write")])
def test_what_is_not_finished_leaves_nothing(
    bundle: Path, tmp_path: Path, existing: bool, error: BaseException | None
) -> None:
    target = bundle if existing else tmp_path / "new" / "deep" / "bundle"
    before = everything_in(tmp_path)

    def write() -> None:
        with staged_bundle(target) as staged:
            (staged.folder / "weights.bin").write_bytes(bytes(1000))
            assert everything_in(tmp_path) != before
            if error is not None:
                raise error

    if error is None:
        write()
    else:
        with pytest.raises(type(error)):
            write()
    assert everything_in(tmp_path) == before


def test_a_disk_that_is_full_while_staging(tmp_path: Path) -> None:
    with (
        refused(BundleError, str(tmp_path / "new"), "was not written", "No space left"),
        staged_bundle(tmp_path / "new"),
    ):
        raise OSError(28, "No space left on device")
    assert everything_in(tmp_path) == {}


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_else_in_the_way_is_refused_before_the_work(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "photos"
    (target.mkdir if kind == "folder" else target.touch)()
    begun = False
    with refused(BundleError, str(target), "exists and is not a bundle"), staged_bundle(target):
        begun = True
    assert not begun


def test_a_place_below_a_file_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    begun = False
    target = tmp_path / "file" / "bundle"
    with refused(BundleError, str(target), "was not written"), staged_bundle(target):
        begun = True
    assert not begun


def test_something_that_gets_in_the_way_meanwhile_is_not_touched(bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    with refused(BundleError, str(target), "exists and is not a bundle"), staged_bundle(target) as staged:
        for name, path in files_of(bundle).items():
            shutil.copyfile(path, staged.folder / name)
        target.mkdir()
        (target / "holiday.png").write_bytes(b"sun")
        staged.finish(read_manifest(bundle))
    assert everything_in(target) == {"holiday.png": b"sun"}


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_bundle_holds_plain_files_only(bundle: Path, tmp_path: Path, kind: str) -> None:
    before = everything_in(tmp_path)
    with refused(BundleError, str(bundle), "extra is no plain file"), staged_bundle(bundle) as staged:
        extra = staged.folder / "extra"
        extra.symlink_to(bundle / "chunk.onnx") if kind == "link" else extra.mkdir()
        staged.finish(read_manifest(bundle))
    assert everything_in(tmp_path) == before


def test_a_contradiction_shows_before_anything_is_hashed(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(bundle)
    monkeypatch.setattr("unichunk.runtime.policy.bundle.file_hash", lambda path: pytest.fail("hashed"))
    words = "files: no hash for the graph prefix.onnx"
    with refused(BundleError, str(tmp_path / "new"), words), staged_bundle(tmp_path / "new") as staged:
        (staged.folder / "weights.bin").write_bytes(bytes(10))
        staged.finish(manifest)


def test_an_interrupt_between_the_two_renames_keeps_the_older_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, calls, original = everything_in(tmp_path), 0, Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return original(self, target)

    manifest, files = read_manifest(bundle), files_of(bundle)
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(bundle, manifest, files)
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("call", [1, 2])
def test_an_interrupt_right_behind_a_rename_leaves_one_whole_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    older, calls, original = everything_in(tmp_path), 0, Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        moved = original(self, target)
        if calls == call:
            raise KeyboardInterrupt
        return moved

    newer, files = msgspec.structs.replace(read_manifest(bundle), name="newer"), files_of(bundle)
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(bundle, newer, files)
    assert everything_in(tmp_path).keys() == older.keys()
    assert read_manifest(bundle).name == ("tiny" if call == 1 else "newer")


def test_a_folder_that_takes_the_place_costs_no_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, files, original = read_manifest(bundle), files_of(bundle), Path.rename
    content = files["chunk.onnx"].read_bytes()

    def overtaken(self: Path, target: Path) -> Path:
        moved = original(self, target)
        if self == bundle:
            bundle.mkdir()
            (bundle / "holiday.png").write_bytes(b"sun")
        return moved

    monkeypatch.setattr(Path, "rename", overtaken)
    with refused(BundleError, str(bundle), "was not written"):
        write_bundle(bundle, manifest, files)
    assert everything_in(bundle) == {"holiday.png": b"sun"}
    assert [path.read_bytes() for path in tmp_path.glob(".tiny-*-old/chunk.onnx")] == [content]


@pytest.mark.parametrize("version", [1, 2, 3, 7])
def test_what_the_older_bundle_does_not_list_is_not_deleted(bundle: Path, tmp_path: Path, version: int) -> None:
    put_manifest(bundle, {**manifest_of(bundle), "format_version": version})
    (bundle / "notes.txt").write_text("works best with the lamp on")
    (bundle / "pictures").mkdir()
    before, begun = everything_in(tmp_path), False
    words = ("holds 'notes.txt', 'pictures', not listed in its bundle.json", "move or remove")
    with refused(BundleError, str(bundle), *words), staged_bundle(bundle):
        begun = True
    assert not begun
    assert everything_in(tmp_path) == before


def test_notes_that_come_while_the_new_bundle_is_made_are_not_deleted(bundle: Path) -> None:
    manifest, files = read_manifest(bundle), files_of(bundle)
    with refused(BundleError, str(bundle), "holds 'notes.txt'"), staged_bundle(bundle) as staged:
        for name, path in files.items():
            shutil.copyfile(path, staged.folder / name)
        (bundle / "notes.txt").write_text("works best with the lamp on")
        staged.finish(manifest)
    assert (bundle / "notes.txt").exists()
    assert read_manifest(bundle) == manifest


@pytest.mark.parametrize("content", ["", "[" * 9000, "[]", "{}", '{"files": 3}'])
def test_where_the_older_manifest_says_nothing_no_file_is_deleted(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "bundle.json").write_text(content)
    for i in range(6):
        (folder / f"{i}\n.js").touch()
    before = everything_in(tmp_path)
    words = r"holds '0\n.js', '1\n.js', '2\n.js', '3\n.js' and 2 more, not listed"
    with refused(BundleError, words), staged_bundle(folder):
        pytest.fail("begun")
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_statistics_that_json_cannot_hold_are_not_written(bundle: Path, tmp_path: Path, value: float) -> None:
    manifest = read_manifest(bundle)
    robot = manifest.robots["so101"]
    key = msgspec.structs.replace(robot.state["gripper"], normalization=MeanStd(mean=(value,), std=(1.0,)))
    robot = msgspec.structs.replace(robot, state={**robot.state, "gripper": key})
    broken = msgspec.structs.replace(manifest, robots={"so101": robot})
    with refused(BundleError, "robots.so101.state.gripper.normalization.mean: expected finite numbers"):
        write_bundle(tmp_path / "new", broken, files_of(bundle))
