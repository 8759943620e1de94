"""API keys: whom they identify, what is kept of them, and the file that others must not read."""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.server.private_file import MAX_BYTES, PrivateFileError, change_private, write_private
from unichunk.server.serving.api_keys import LOOK_EVERY_S, MAX_HEADER, KeyRing, key_from_header
from unichunk.server.serving.identity import RIGHTS, Right, Role
from unichunk.server.serving.key_file import read_keys, write_keys
from unichunk.server.serving.key_record import MAX_NAME, BadName, KeyRecord, check_name, new_key, split_key

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Ring(KeyRing):
    """One whose clocks stand where a test puts them."""

    def __init__(self, path: Path) -> None:
        self.now_s = NOW.timestamp()
        self.tick_s = 100.0
        super().__init__(path, wall=lambda: self.now_s, clock=lambda: self.tick_s)

    def later(self) -> Ring:
        self.tick_s += LOOK_EVERY_S
        return self


def file_with(path: Path, *keys: tuple[str, KeyRecord]) -> Path:
    write_keys(path, [record for _, record in keys])
    return path


def test_a_key_identifies_its_owner_and_no_other_key_does(tmp_path: Path) -> None:
    keys = [new_key(f"name {role.value}", role, NOW) for role in Role]
    ring = Ring(file_with(tmp_path / "keys.json", *keys))
    for text, record in keys:
        identity = ring.identify(text)
        assert identity is not None
        assert (identity.id, identity.name, identity.role) == (record.id, record.name, record.role)
    stranger, _ = new_key("stranger", Role.ADMIN, NOW)
    ids, secrets = zip(*(text.removeprefix("uck_").split("_") for text, _ in keys), strict=True)
    assert ring.identify(stranger) is None
    assert ring.identify(f"uck_{ids[0]}_{secrets[1]}") is None


def test_roles_have_the_rights_they_are_for() -> None:
    assert RIGHTS[Role.ROBOT] == {Right.INFER}
    assert RIGHTS[Role.VIEWER] == {Right.READ}
    assert RIGHTS[Role.OPERATOR] == {Right.OPERATE}
    assert RIGHTS[Role.RATER] == {Right.RATE}
    assert RIGHTS[Role.AUDITOR] == {Right.AUDIT}
    # Who can open the seal judges nothing.
    assert RIGHTS[Role.ADMIN] == set(Right) - {Right.OPERATE, Right.RATE}


KEY, RECORD = new_key("arm", Role.ROBOT, NOW)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    return Ring(file_with(tmp_path_factory.mktemp("keys") / "keys.json", (KEY, RECORD)))


@settings(deadline=None)
@given(st.integers(0, len(KEY) - 1), st.characters())
def test_no_key_with_another_character_passes(ring: Ring, place: int, character: str) -> None:
    changed = KEY[:place] + character + KEY[place + 1 :]
    assert (ring.identify(changed) is not None) == (changed == KEY)


@settings(deadline=None)
@given(st.one_of(st.none(), st.text(), st.text(alphabet="uck_a2\n\0").map(lambda rest: KEY + rest)))
def test_anything_may_come_as_a_key(ring: Ring, text: str | None) -> None:
    assert (ring.identify(text) is not None) == (text == KEY)


def test_a_key_has_256_bits_and_none_of_them_is_kept(tmp_path: Path) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    parts = split_key(KEY)
    assert parts is not None
    assert len(parts[1]) * 5 >= 256
    kept = path.read_text()
    assert parts[1] not in kept
    assert KEY not in repr(RECORD)
    assert len({new_key("arm", Role.ROBOT, NOW)[0] for _ in range(100)}) == 100


def test_two_records_of_one_secret_differ_by_their_salt() -> None:
    _, other = new_key("arm", Role.ROBOT, NOW)
    assert other.salt != RECORD.salt
    secret = KEY.rpartition("_")[2]
    assert RECORD.fits(secret)
    assert not other.fits(secret)


def test_an_expired_key_is_worth_nothing_from_its_moment_on(tmp_path: Path) -> None:
    text, record = new_key("arm", Role.ROBOT, NOW, NOW + timedelta(days=1))
    ring = Ring(file_with(tmp_path / "keys.json", (text, record)))
    identity = ring.identify(text)
    assert identity is not None
    ring.now_s += 86400 - 0.01
    assert ring.identify(text) == identity
    assert ring.is_current(identity)
    ring.now_s += 0.01
    assert ring.identify(text) is None
    assert not ring.is_current(identity)


def test_a_revoked_key_ends_without_a_restart_on_open_connections_too(tmp_path: Path) -> None:
    other = new_key("other", Role.VIEWER, NOW)
    path = file_with(tmp_path / "keys.json", (KEY, RECORD), other)
    ring = Ring(path)
    identity = ring.identify(KEY)
    assert identity is not None
    file_with(path, other)
    ring.later()
    assert not ring.is_current(identity)
    assert ring.identify(KEY) is None
    assert ring.identify(other[0]) is not None
    file_with(path, other, (KEY, RECORD))
    assert ring.later().identify(KEY) == identity


def test_a_key_whose_role_was_changed_is_another_identity(tmp_path: Path) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    ring = Ring(path)
    identity = ring.identify(KEY)
    assert identity is not None
    changed = json.loads(path.read_text())
    changed["keys"][0]["role"] = "admin"
    write_private(path, json.dumps(changed).encode(), "key file")
    assert not ring.later().is_current(identity)


def test_a_removed_file_revokes_everything(tmp_path: Path) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    ring = Ring(path)
    path.unlink()
    assert ring.later().identify(KEY) is None
    assert "removed" in ring.trouble
    file_with(path, (KEY, RECORD))
    assert ring.later().identify(KEY) is not None
    assert ring.trouble == ""


@pytest.mark.parametrize("spoil", [lambda p: p.write_text("{"), lambda p: p.chmod(0o644)], ids=["half", "open"])
def test_a_spoiled_change_keeps_the_keys_and_says_so(tmp_path: Path, spoil: object) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    ring = Ring(path)
    spoil(path)  # type: ignore[operator]
    assert ring.later().identify(KEY) is not None
    assert str(path) in ring.trouble
    assert "\n" not in ring.trouble
    file_with(path)
    path.chmod(0o600)
    assert ring.later().identify(KEY) is None
    assert ring.trouble == ""


def test_the_file_is_looked_at_once_a_second_at_most(tmp_path: Path) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    ring = Ring(path)
    path.unlink()
    ring.tick_s += LOOK_EVERY_S * 0.99
    assert ring.identify(KEY) is not None
    ring.tick_s += LOOK_EVERY_S * 0.02
    assert ring.identify(KEY) is None


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o620, 0o660, 0o666, 0o601])
def test_a_file_that_others_can_use_is_refused_in_one_line(tmp_path: Path, mode: int) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    path.chmod(mode)
    with pytest.raises(PrivateFileError, match=f"mode {mode:04o}.*chmod 600") as error:
        KeyRing(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_the_group_may_read_it(tmp_path: Path, mode: int) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    path.chmod(mode)
    assert len(KeyRing(path)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": "other", "keys": []}',
        b'{"keys": [{"id": "x"}]}',
        b"\xff",
        b"[" * 5000,
        b" " * (MAX_BYTES + 1),
    ],
)
def test_a_file_with_something_else_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.json"
    write_private(path, content, "key file")
    with pytest.raises(PrivateFileError) as error:
        KeyRing(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "two\nlines"),
        ("name", ""),
        ("id", "../../etc"),
        ("id", "aaaaaaaa\n"),
        ("role", "root"),
        ("salt", "00"),
        ("sha256", "0" * 63),
        ("sha256", "Ä" * 64),
        ("created", "2026-01-01T00:00:00"),
        ("extra", 1),
    ],
)
def test_every_field_is_checked(tmp_path: Path, field: str, value: object) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    document = json.loads(path.read_text())
    document["keys"][0][field] = value
    write_private(path, json.dumps(document).encode(), "key file")
    with pytest.raises(PrivateFileError):
        read_keys(path)


def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD), (KEY, RECORD))
    with pytest.raises(PrivateFileError, match="each id once"):
        read_keys(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "absent", Path("nul\0")):
        with pytest.raises(PrivateFileError):
            KeyRing(path)


def test_a_file_is_written_whole_for_its_owner_alone_or_not_at_all(tmp_path: Path) -> None:
    path = file_with(tmp_path / "keys.json", (KEY, RECORD))
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    tmp_path.chmod(0o500)
    try:
        if os.geteuid() != 0:
            with pytest.raises(PrivateFileError):
                write_keys(path, [])
            assert path.read_bytes() == before
    finally:
        tmp_path.chmod(0o700)
    with pytest.raises(PrivateFileError, match="already"):
        write_private(path, b"", "key file", new=True)
    with pytest.raises(PrivateFileError):
        write_private(tmp_path / "absent" / "keys.json", b"", "key file")
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


def test_two_commands_do_not_lose_each_others_changes(tmp_path: Path) -> None:
    path = file_with(tmp_path / "keys.json")

    def add() -> None:
        def change() -> None:
            keys, _ = read_keys(path)
            write_keys(path, [*keys, new_key("arm", Role.ROBOT, NOW)[1]])

        for _ in range(5):
            change_private(path, change, "key file")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_keys(path)[0]) == 20


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Api-Key K", "K"),
        ("Bearer K", "K"),
        ("bearer K", "K"),
        ("API-KEY   K ", "K"),
        (None, None),
        ("", None),
        ("K", None),
        ("Basic K", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer a b", None),
        ("Bearer " + "K" * MAX_HEADER, None),
    ],
)
def test_the_key_is_found_in_the_header(header: str | None, key: str | None) -> None:
    assert key_from_header(header) == key


@settings(deadline=None)
@given(st.text())
def test_any_header_may_come(header: str) -> None:
    key = key_from_header(header)
    assert key is None or (key in header and " " not in key)


@settings(deadline=None)
@given(st.text())
def test_a_name_is_one_printable_line_or_refused_in_one(name: str) -> None:
    if 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip():
        assert check_name(name) == name
        assert len(name.splitlines()) == 1
    else:
        with pytest.raises(BadName) as error:
            check_name(name)
        assert "\n" not in str(error.value)
