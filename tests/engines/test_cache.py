"""Built engines on disk: found again by their key, never trusted when they are not what was written."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.cache import ENTRY_NAME, EngineCache, default_folder, key_hash

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = {"engine": "e", "device": "d", "file g": "0"}


class Builds:
    """Writes an engine, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, folder: Path) -> None:
        assert not list(folder.iterdir())
        self.count += 1
        (folder / "engine.plan").write_bytes(b"plan" * 100)
        (folder / "timings").write_bytes(b"times")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, said: list[str]) -> EngineCache:
    return EngineCache(tmp_path / "some" / "where", said.append)


def test_an_engine_is_built_once(cache: EngineCache, said: list[str]) -> None:
    build = Builds()
    place = cache.entry(KEY, build)
    assert cache.entry(dict(reversed(KEY.items())), build) == place
    assert EngineCache(cache.folder).entry(KEY, build) == place
    assert build.count == 1
    assert sorted(path.name for path in place.iterdir()) == ["engine.plan", ENTRY_NAME, "timings"]
    document = msgspec.json.decode((place / ENTRY_NAME).read_bytes())
    assert document["key"] == KEY
    assert set(document["files"]) == {"engine.plan", "timings"}
    assert said == []
    assert [(path, entry.key) for path, entry in cache.entries() if entry is not None] == [(place, KEY)]


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.text(max_size=4), st.text(max_size=4)), st.dictionaries(st.text(max_size=4), st.text(max_size=4))
)
def test_different_keys_are_different_entries(one: dict[str, str], other: dict[str, str]) -> None:
    assert (key_hash(one) == key_hash(other)) == (one == other)


def test_keys_do_not_share_an_entry(cache: EngineCache) -> None:
    build = Builds()
    places = {cache.entry({**KEY, **change}, build) for change in ({}, {"device": "e"}, {"more": ""})}
    assert len(places) == build.count == 3


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(place: Path, change: Callable[[Any], object]) -> None:
    document = msgspec.json.decode((place / ENTRY_NAME).read_bytes())
    change(document)
    (place / ENTRY_NAME).write_bytes(msgspec.json.encode(document))


def empty(place: Path) -> None:
    shutil.rmtree(place)
    place.mkdir()


def replace_by_file(place: Path) -> None:
    shutil.rmtree(place)
    place.write_bytes(b"")


def link(place: Path) -> None:
    plan = place / "engine.plan"
    plan.rename(place.parent / "elsewhere")
    plan.symlink_to(place.parent / "elsewhere")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (lambda place: flip(place / "engine.plan"), "engine.plan was changed or damaged"),
    "cut off": (lambda place: os.truncate(place / "engine.plan", 7), "engine.plan was changed or damaged"),
    "one file missing": (lambda place: (place / "timings").unlink(), "not those that were written (timings)"),
    "one file more": (lambda place: (place / "x").touch(), "not those that were written (x)"),
    "a link": (link, "engine.plan was changed or damaged"),
    "no description": (lambda place: (place / ENTRY_NAME).unlink(), "missing or damaged"),
    "half a description": (lambda place: os.truncate(place / ENTRY_NAME, 20), "missing or damaged"),
    "another description": (lambda place: (place / ENTRY_NAME).write_bytes(b"[]"), "missing or damaged"),
    "empty": (empty, "missing or damaged"),
    "a file": (replace_by_file, "missing or damaged"),
    "of another device": (
        lambda place: edit(place, lambda d: d["key"].update(device="x")),
        "built for device x, not d",
    ),
    "of less": (lambda place: edit(place, lambda d: d["key"].pop("engine")), "built for engine unknown, not e"),
    "of more": (lambda place: edit(place, lambda d: d["key"].update(a="b")), "built for a b, not unknown"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_not_as_it_was_written_is_built_again(
    cache: EngineCache, said: list[str], damage: Callable[[Path], object], words: str
) -> None:
    build = Builds()
    place = cache.entry(KEY, build)
    damage(place)
    assert cache.entry(KEY, build) == place
    assert build.count == 2
    assert (place / "engine.plan").read_bytes() == b"plan" * 100
    (line,) = said
    assert "\n" not in line
    assert str(place) in line
    assert words in line
    assert "built again" in line
    assert cache.entry(KEY, build) == place
    assert (build.count, len(said)) == (2, 1)


def test_an_entry_of_another_device_moved_here_by_hand(cache: EngineCache, said: list[str]) -> None:
    build = Builds()
    foreign = cache.entry({**KEY, "device": "other"}, build)
    foreign.rename(cache.folder / key_hash(KEY))
    cache.entry(KEY, build)
    assert build.count == 2
    assert "built for device other, not d" in said[0]


def test_a_build_that_fails_leaves_nothing(cache: EngineCache) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise EngineError("no memory")

    with pytest.raises(EngineError, match="no memory"):
        cache.entry(KEY, fail)
    assert [path for path in cache.folder.iterdir() if path.is_dir()] == []
    build = Builds()
    cache.entry(KEY, build)
    assert build.count == 1


def test_a_build_that_fails_keeps_no_entry_that_was_not_trusted(cache: EngineCache, said: list[str]) -> None:
    place = cache.entry(KEY, Builds())
    flip(place / "engine.plan")

    def fail(folder: Path) -> None:
        raise EngineError("no memory")

    with pytest.raises(EngineError, match="no memory"):
        cache.entry(KEY, fail)
    cache.entry(KEY, Builds())
    assert len(said) == 2, "what is damaged stays so, and is said to be, until there is another"


def test_what_a_killed_build_left_is_swept_up(cache: EngineCache) -> None:
    left = cache.folder / f".{key_hash(KEY)}-killed"
    left.mkdir(parents=True)
    (left / "half").touch()
    cache.entry(KEY, Builds())
    assert not left.exists()


def test_two_that_want_the_same_wait_for_one_build(cache: EngineCache) -> None:
    build, places = Builds(), []
    begun, go_on = threading.Event(), threading.Event()

    def slowly(folder: Path) -> None:
        begun.set()
        assert go_on.wait(10)
        build(folder)

    threads = [threading.Thread(target=lambda: places.append(cache.entry(KEY, slowly))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(places) == 2
    assert build.count == 1


def test_an_entry_that_is_of_no_use_is_dropped(cache: EngineCache, said: list[str]) -> None:
    build = Builds()
    place = cache.entry(KEY, build)
    cache.drop(place, "it cannot be used")
    assert not place.exists()
    assert said == [f"{place}: it cannot be used; this engine is built again"]
    cache.entry(KEY, build)
    assert build.count == 2


def test_clearing_takes_entries_and_nothing_else(cache: EngineCache) -> None:
    cache.clear()
    cache.entry(KEY, Builds())
    mine = cache.folder / "photos"
    mine.mkdir()
    cache.clear()
    assert cache.entries() == []
    assert mine.is_dir()


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with refused(EngineError, "file", "cannot be kept there", "--engine-cache", "UNICHUNK_ENGINE_CACHE"):
        EngineCache(tmp_path / "file" / "cache").entry(KEY, Builds())


def test_where_engines_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("UNICHUNK_ENGINE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert default_folder() == Path.home() / ".cache" / "unichunk" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert EngineCache().folder == tmp_path / "unichunk" / "engines"
    monkeypatch.setenv("UNICHUNK_ENGINE_CACHE", str(tmp_path / "mine"))
    assert EngineCache().folder == tmp_path / "mine"
    assert EngineCache(tmp_path / "his").folder == tmp_path / "his"


def test_warnings_go_to_the_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = EngineCache(tmp_path)
    flip(cache.entry(KEY, Builds()) / "timings")
    cache.entry(KEY, Builds())
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("warning: ")
    assert errors.count("\n") == 1
