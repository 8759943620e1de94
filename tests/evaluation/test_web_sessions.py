"""Signed text: cookies, tickets, and the key that signs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.desk_bench import ANN
from tests.one_line import refused
from unichunk.server.evaluation.web.cookie_key import FILE, cookie_key
from unichunk.server.evaluation.web.sessions import Sessions
from unichunk.server.evaluation.web.settings import WebSettings
from unichunk.server.evaluation.web.signature import read_signed, sign
from unichunk.server.evaluation.web.tickets import Tickets
from unichunk.server.private_file import PrivateFileError
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

KEY = b"k" * 32
PURPOSES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.binary(max_size=400), PURPOSES)
def test_what_was_signed_is_known_again(content: bytes, purpose: str) -> None:
    assert read_signed(KEY, purpose, sign(KEY, purpose, content)) == content


@given(st.binary(max_size=60), PURPOSES, PURPOSES, st.binary(min_size=32, max_size=32))
def test_another_purpose_or_key_knows_nothing(content: bytes, one: str, other: str, key: bytes) -> None:
    text = sign(KEY, one, content)
    assert (read_signed(KEY, other, text) is not None) == (one == other)
    assert (read_signed(key, one, text) is not None) == (key == KEY)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_no_character_can_be_changed(content: bytes, data: st.DataObject) -> None:
    text = sign(KEY, "p", content)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHIJabcdefghij0189-_.=~ \n\0é").filter(lambda one: one != text[place]))
    assert read_signed(KEY, "p", text[:place] + letter + text[place + 1 :]) is None
    assert read_signed(KEY, "p", text + letter) is None
    assert read_signed(KEY, "p", text[:place]) is None


@given(st.text(max_size=200) | st.none())
def test_anything_may_stand_in_a_cookie(text: str | None) -> None:
    assert Sessions(KEY, lasts_s=10).read(text) is None


def test_a_text_is_looked_at_up_to_a_length() -> None:
    assert read_signed(KEY, "p", sign(KEY, "p", b"x" * 2000)) is None


def test_a_session_expires_and_ends() -> None:
    wall = [1000.0]
    sessions = Sessions(KEY, lasts_s=60, wall=lambda: wall[0])
    cookie = sessions.begin(ANN)
    session = sessions.read(cookie)
    assert session is not None
    assert session.identity == ANN
    wall[0] += 59.9
    assert sessions.read(cookie) == session
    wall[0] += 0.1
    assert sessions.read(cookie) is None
    # Whoever signs out takes away what a copy of the cookie is worth.
    fresh = sessions.begin(ANN)
    known = sessions.read(fresh)
    assert known is not None
    sessions.end(known)
    assert sessions.read(fresh) is None
    assert sessions.read(sessions.begin(ANN)) is not None


def test_ended_sessions_are_remembered_until_they_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unichunk.server.evaluation.web.sessions.MOST_ENDED", 3)
    wall = [1000.0]
    sessions = Sessions(KEY, lasts_s=60, wall=lambda: wall[0])
    cookies = []
    for _ in range(5):
        cookies.append(sessions.begin(ANN))
        known = sessions.read(cookies[-1])
        assert known is not None
        sessions.end(known)
        wall[0] += 1
    assert len(sessions._ended) == 3
    assert [sessions.read(cookie) is None for cookie in cookies[2:]] == [True] * 3
    wall[0] += 100
    known = sessions.read(sessions.begin(ANN))
    assert known is not None
    sessions.end(known)
    assert len(sessions._ended) == 1


def test_form_tokens_are_of_one_session() -> None:
    sessions = Sessions(KEY, lasts_s=60)
    one, other = (sessions.read(sessions.begin(ANN)) for _ in range(2))
    assert one is not None
    assert other is not None
    assert sessions.form_token(one) == sessions.form_token(one) != sessions.form_token(other)


def test_a_ticket_is_worth_something_for_seconds() -> None:
    clock = [50.0]
    tickets = Tickets(KEY, boot="b", lasts_s=10, clock=lambda: clock[0])
    ticket = tickets.give()
    assert tickets.is_fresh(ticket)
    clock[0] = 60.0
    assert tickets.is_fresh(ticket)
    clock[0] = 60.1
    assert not tickets.is_fresh(ticket)
    # One from the future is of another boot, whose clock counted from elsewhere.
    clock[0] = 49.9
    assert not tickets.is_fresh(ticket)
    clock[0] = 50.0
    assert not Tickets(KEY, boot="c", lasts_s=10, clock=lambda: clock[0]).is_fresh(ticket)
    assert not tickets.is_fresh(None)
    assert not tickets.is_fresh(sign(KEY, "ticket b", b"short"))
    assert not tickets.is_fresh(sign(KEY, "ticket b", b"\x7f\xf8" + b"\0" * 6))


def test_the_key_of_the_cookies_outlives_a_start(tmp_path: Path) -> None:
    key = cookie_key(tmp_path)
    assert len(key) == 32
    assert cookie_key(tmp_path) == key
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / FILE).unlink()
    assert cookie_key(tmp_path) != key


def test_a_key_that_others_read_or_that_was_cut_is_refused(tmp_path: Path) -> None:
    cookie_key(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    with refused(PrivateFileError, "others may use it"):
        cookie_key(tmp_path)
    (tmp_path / FILE).chmod(0o600)
    (tmp_path / FILE).write_bytes(b"short")
    with refused(PrivateFileError, "expected 32 bytes, got 5"):
        cookie_key(tmp_path)


def test_settings_are_checked() -> None:
    with refused(UsageError, "cookie_key: expected 32 bytes, got 3"):
        WebSettings(b"abc")
    with refused(UsageError, "ticket_s: expected more than 0, got -1"):
        WebSettings(KEY, ticket_s=-1)
