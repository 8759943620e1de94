"""Which replica a session goes to, what is served after swaps here and there, and options: all without Ray."""

from __future__ import annotations

import importlib
import sys
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.server.serving.ray_edition import Edition, edition_of, first_editions, newest, pack, unpack
from unichunk.server.serving.ray_options import RayOptions, replica_range
from unichunk.server.serving.ray_order import by_preference, ranks
from unichunk.server.serving.source import PolicySource
from unichunk.server.usage_error import UsageError

NAMES = st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), min_size=1, max_size=12)
SESSIONS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)


@given(SESSIONS, NAMES, st.data())
def test_a_session_moves_only_when_its_own_replica_goes(session: str, replicas: set[str], data: st.DataObject) -> None:
    first, *others = by_preference(session, replicas)
    gone = data.draw(st.sets(st.sampled_from(sorted(replicas))))
    order = by_preference(session, replicas - gone)
    assert order == [name for name in [first, *others] if name not in gone]


def test_sessions_spread_over_all_replicas() -> None:
    replicas = [f"replica-{number}" for number in range(4)]
    firsts = [by_preference(f"ws-{number}", replicas)[0] for number in range(400)]
    assert all(60 < firsts.count(name) < 140 for name in replicas)


@st.composite
def situations(draw: st.DrawFn) -> tuple[str, dict[str, int], int, set[str] | None]:
    queues = {name: draw(st.integers(0, 6)) for name in sorted(draw(NAMES))}
    holders = draw(st.none() | st.sets(st.sampled_from(sorted(queues))))
    return draw(SESSIONS | st.just("")), queues, draw(st.integers(1, 4)), holders


@given(situations())
def test_every_replica_is_offered_once_and_who_would_have_to_load_comes_last(
    situation: tuple[str, dict[str, int], int, set[str] | None],
) -> None:
    session, queues, room, holders = situation
    order = ranks(session, "policy", queues, room=room, holders=holders)
    flat = [name for rank in order for name in rank]
    assert sorted(flat) == sorted(queues)
    assert all(order)
    having = len(queues) if holders is None else len(holders)
    assert set(flat[:having]) == (set(queues) if holders is None else holders)


@given(situations())
def test_a_session_has_its_replica_while_there_is_room(
    situation: tuple[str, dict[str, int], int, set[str] | None],
) -> None:
    session, queues, room, holders = situation
    having = [name for name in by_preference(session, queues) if holders is None or name in holders]
    free = [name for name in having if queues[name] < room]
    order = ranks(session, "policy", queues, room=room, holders=holders)
    if session and free:
        assert order[0] == free[:1]
    elif having:
        # Nobody's request, or all are busy: whichever is the least busy, Ray takes it from the rank.
        assert set(order[0]) == set(having)


POLICY = st.builds(PolicySource, name=st.sampled_from("ab"), source=st.sampled_from(["x", "y", "z"]))
EDITION = st.builds(Edition, source=POLICY, number=st.integers(0, 3))
TABLE = st.lists(EDITION, max_size=4).map(lambda editions: {edition.name: edition for edition in editions})


@given(st.lists(TABLE, min_size=1, max_size=4), st.randoms())
def test_all_agree_on_what_is_served_whatever_they_hear_first(tables: list[dict[str, Edition]], random: object) -> None:
    heard = reduce(newest, tables)
    assert reduce(newest, [*tables[::-1], *tables]) == heard
    for name, edition in heard.items():
        assert edition.number == max(table[name].number for table in tables if name in table)


@given(TABLE)
def test_tables_and_ids_come_back(table: dict[str, Edition]) -> None:
    assert list(unpack(pack(table)).items()) == list(table.items())
    assert all(edition_of(edition.model_id) == edition for edition in table.values())


def test_the_order_of_the_command_line_stays() -> None:
    sources = [PolicySource(name=name, source="x") for name in "cab"]
    first = first_editions(sources)
    swapped = Edition(source=PolicySource(name="a", source="y"), number=1)
    assert list(newest(first, {"a": swapped})) == ["c", "a", "b"]
    assert newest(first, {"a": swapped})["a"] == swapped


@pytest.mark.parametrize(
    ("text", "says"), [("3", "MIN:MAX"), ("0:2", "at least 1"), ("a:b", "MIN:MAX"), ("1:99999", "MIN:MAX")]
)
def test_a_range_of_another_form_is_refused(text: str, says: str) -> None:
    with refused(UsageError, says):
        replica_range(text)


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "unichunk.server.serving.ray_extra", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with refused(UsageError, "pip install 'unichunk[ray]'"):
        importlib.import_module("unichunk.server.serving.ray_extra")


def test_ranges() -> None:
    assert replica_range("1:4") == (1, 4)
    with refused(UsageError, "4:1"):
        RayOptions(replicas=4, most_replicas=1)
    with refused(UsageError, "--ray-gpus-per-replica"):
        RayOptions(gpus=-0.5)
    assert RayOptions().is_local
    assert not RayOptions(address="auto").is_local
