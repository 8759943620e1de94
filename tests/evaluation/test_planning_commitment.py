"""The commitment: every change of what was frozen shows, and so does an order that was not the seed's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.evaluation.small_campaign import Small, small
from tests.one_line import refused
from unichunk.server.evaluation.errors import Tampered
from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.planning.canonical import canonical_json
from unichunk.server.evaluation.planning.commitment import (
    Opening,
    check_opening,
    check_published,
    commitment_of,
    draw_slots,
    published,
    schedule_of,
)
from unichunk.server.evaluation.planning.keys import derive_keys
from unichunk.server.evaluation.planning.plan import Plan
from unichunk.server.evaluation.planning.seal import seal_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = small(trials_per_cell=2)


def leaves(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Paths of everything in a document that is no list or map."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path
    else:
        for key, inner in items:
            yield from leaves(inner, *path, key)


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if value is None:
        return 12
    return f"{value[:-1]}{'a' if value[-1:] != 'a' else 'b'}"


def with_leaf(path: tuple[str | int, ...]) -> Plan | None:
    """The plan with one value changed; None where that is no plan any more."""
    document = msgspec.json.decode(canonical_json(SMALL.plan))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = changed(place[path[-1]])
    try:
        return msgspec.convert(document, Plan)
    except msgspec.ValidationError:
        return None


def recommitted(campaign: Small, plan: Plan) -> Plan:
    """As somebody would who knows the seed before anything was published."""
    opening = campaign.opening
    commitment = commitment_of(plan, bytes.fromhex(opening.seed), bytes.fromhex(opening.salt))
    return msgspec.structs.replace(plan, commitment=commitment)


@pytest.mark.parametrize("method", Randomization)
def test_what_was_drawn_opens(method: Randomization) -> None:
    campaign = small(trials_per_cell=3, policies=3, randomization=method)
    keys = check_opening(campaign.plan, campaign.opening)
    assert (keys.id_key, keys.redo_key) == (campaign.secrets.id_key, campaign.secrets.redo_key)
    schedule = schedule_of(campaign.plan, campaign.opening)
    layouts = [slot.layout for slot in campaign.plan.slots]
    cells = list(zip(layouts, schedule, strict=True))
    assert {cell: cells.count(cell) for cell in cells} == {
        (layout, policy): 3 for layout in ("left", "right") for policy in range(3)
    }


def test_every_value_of_the_plan_is_bound() -> None:
    document = msgspec.json.decode(canonical_json(SMALL.plan))
    paths = list(leaves(document))
    assert len(paths) > 60
    tried = 0
    for path in paths:
        plan = with_leaf(path)
        if plan is not None:
            tried += 1
            with refused(Tampered, "plan.commitment"):
                check_opening(plan, SMALL.opening)
    assert tried > 50


def test_slots_cannot_be_cut_moved_or_added() -> None:
    slots = SMALL.plan.slots
    for other in (slots[:-1], slots[1:], (slots[1], slots[0], *slots[2:]), (*slots, slots[-1])):
        with refused(Tampered, "plan.commitment"):
            check_opening(msgspec.structs.replace(SMALL.plan, slots=other), SMALL.opening)


@pytest.mark.parametrize("name", ["seed", "salt"])
def test_seed_and_salt_are_bound(name: str) -> None:
    opening = msgspec.structs.replace(SMALL.opening, **{name: changed(getattr(SMALL.opening, name))})
    with refused(Tampered, "plan.commitment"):
        check_opening(SMALL.plan, opening)


def test_the_map_key_has_to_be_the_seeds() -> None:
    with refused(Tampered, "opening.map_key"):
        check_opening(SMALL.plan, msgspec.structs.replace(SMALL.opening, map_key="0" * 64))


def test_an_order_that_was_made_by_hand_shows_even_where_it_was_committed_to() -> None:
    plan = SMALL.plan
    first = plan.slots[0]
    policy = 1 - schedule_of(plan, SMALL.opening)[0]
    sealed = seal_policy(SMALL.secrets.map_key, plan.campaign_id, 0, first.trial, first.layout, policy)
    mine = msgspec.structs.replace(first, sealed_policy=sealed)
    with refused(Tampered, "plan.slots[0]", "by hand"):
        check_opening(recommitted(SMALL, msgspec.structs.replace(plan, slots=(mine, *plan.slots[1:]))), SMALL.opening)
    with refused(Tampered, "plan.slots", "expected 8", "got 7"):
        check_opening(recommitted(SMALL, msgspec.structs.replace(plan, slots=plan.slots[:-1])), SMALL.opening)
    with refused(Tampered, "plan.campaign_id"):
        check_opening(recommitted(SMALL, msgspec.structs.replace(plan, campaign_id="a" * 16)), SMALL.opening)


def test_another_salt_is_another_commitment_so_that_nobody_can_try_plans_out() -> None:
    seed, salt = bytes.fromhex(SMALL.opening.seed), bytes.fromhex(SMALL.opening.salt)
    assert commitment_of(SMALL.plan, seed, salt) == SMALL.plan.commitment
    assert commitment_of(SMALL.plan, seed, salt[::-1]) != SMALL.plan.commitment
    assert commitment_of(SMALL.plan, salt, seed) != SMALL.plan.commitment


def test_slots_follow_from_the_seed_alone() -> None:
    seed = bytes.fromhex(SMALL.opening.seed)
    assert draw_slots(SMALL.plan.campaign, derive_keys(seed)) == SMALL.plan.slots
    other = draw_slots(SMALL.plan.campaign, derive_keys(seed[::-1]))
    assert not {slot.trial for slot in other} & {slot.trial for slot in SMALL.plan.slots}


def test_what_was_published_is_compared_value_by_value() -> None:
    check_published(SMALL.plan, published(SMALL.plan))
    for name in ("campaign_id", "commitment", "signing_key", "admin_key", "frozen_at"):
        value = getattr(SMALL.plan, name)
        with refused(Tampered, f"commitment.{name}", value):
            check_published(SMALL.plan, msgspec.structs.replace(published(SMALL.plan), **{name: changed(value)}))


def test_nothing_that_is_published_opens_anything() -> None:
    public = canonical_json(SMALL.plan) + canonical_json(published(SMALL.plan))
    for name in Opening.__struct_fields__:
        assert getattr(SMALL.opening, name).encode() not in public
    for name in SMALL.secrets.__struct_fields__:
        assert getattr(SMALL.secrets, name).hex().encode() not in public


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert (
        canonical_json({"b": 1, "a": [1.0, {"d": None, "c": "é"}]}) == '{"a":[1.0,{"c":"é","d":null}],"b":1}'.encode()
    )
    document = msgspec.json.decode(canonical_json(SMALL.plan))
    backwards = dict(reversed(document.items()))
    assert canonical_json(backwards) == canonical_json(SMALL.plan)
    assert canonical_json(msgspec.convert(document, Plan)) == canonical_json(SMALL.plan)
