"""Seals: what opens them, what does not, and that they tell nothing."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.small_campaign import small
from tests.one_line import refused
from unichunk.server.evaluation.errors import Sealed, Tampered
from unichunk.server.evaluation.planning.plan import PlannedSlot
from unichunk.server.evaluation.planning.seal import close_box, open_box, open_policy, public_half, seal_policy

keys = st.binary(min_size=32, max_size=32)
ADMIN, OTHER, FRESH = (bytes([n]) * 32 for n in (1, 2, 3))


@given(st.binary(max_size=300), keys, keys, st.text(max_size=20))
def test_a_box_opens_with_its_key(content: bytes, private: bytes, ephemeral: bytes, context: str) -> None:
    box = close_box(content, public_half(private), context, ephemeral)
    assert len(box) == 32 + len(content) + 16
    assert open_box(box, private, context) == content


@given(st.data())
def test_a_box_opens_with_nothing_else_and_not_once_it_was_changed(data: st.DataObject) -> None:
    box = bytearray(close_box(b"the seed", public_half(ADMIN), "opening of x", FRESH))
    at = data.draw(st.integers(0, len(box) - 1))
    box[at] ^= 1 << data.draw(st.integers(0, 7))
    # X25519 ignores the highest bit of a public key; here the key is part of what is hashed.
    with refused(Sealed, "does not open"):
        open_box(bytes(box), ADMIN, "opening of x")


def test_a_box_for_others_is_refused_in_one_line() -> None:
    box = close_box(b"the seed", public_half(ADMIN), "opening of x", FRESH)
    with refused(Sealed, public_half(OTHER).hex()):
        open_box(box, OTHER, "opening of x")
    with refused(Sealed, "does not open"):
        open_box(box, ADMIN, "opening of y")
    for cut in (0, 10, 31, 32, 40, len(box) - 1):
        with refused(Sealed, "does not open"):
            open_box(box[:cut], ADMIN, "opening of x")


def test_a_public_key_that_keeps_no_secret_is_refused() -> None:
    for key in (bytes(32), (1).to_bytes(32, "little")):
        with refused(Sealed, "make another one"):
            close_box(b"the seed", key, "x", FRESH)
        with refused(Sealed, "does not open"):
            open_box(key + bytes(40), ADMIN, "x")


def test_the_box_does_not_show_what_is_in_it() -> None:
    content = bytes(64)
    one = close_box(content, public_half(ADMIN), "x", FRESH)
    other = close_box(content, public_half(ADMIN), "x", OTHER)
    assert content[:8] not in one
    assert one[32:] != other[32:]
    assert one[:32] == X25519PrivateKey.from_private_bytes(FRESH).public_key().public_bytes_raw()


@given(keys, st.integers(0, 2**20), st.integers(0, 15))
def test_a_slot_opens_with_the_map_key(map_key: bytes, slot: int, policy: int) -> None:
    sealed = seal_policy(map_key, "c" * 16, slot, "t" * 16, "left", policy)
    assert len(sealed) == 34
    assert (
        open_policy(map_key, "c" * 16, PlannedSlot(slot=slot, trial="t" * 16, layout="left", sealed_policy=sealed))
        == policy
    )


@pytest.mark.parametrize(
    "change",
    [{"slot": 8}, {"trial": "u" * 16}, {"layout": "right"}, {"sealed_policy": "00" * 17}, {"sealed_policy": "0"}],
)
def test_a_seal_belongs_to_its_slot(change: dict[str, object]) -> None:
    sealed = seal_policy(ADMIN, "c" * 16, 7, "t" * 16, "left", 1)
    slot = PlannedSlot(slot=7, trial="t" * 16, layout="left", sealed_policy=sealed)
    with refused(Tampered, f"slot {change.get('slot', 7)}"):
        open_policy(ADMIN, "c" * 16, msgspec.structs.replace(slot, **change))
    with refused(Tampered, "slot 7"):
        open_policy(OTHER, "c" * 16, slot)
    with refused(Tampered, "slot 7"):
        open_policy(ADMIN, "d" * 16, slot)


def test_nothing_public_of_a_slot_goes_with_its_policy() -> None:
    """Whoever has the plan and guesses by any digit of a slot's seal or id is right as often as by chance."""
    campaign = small(trials_per_cell=500)
    slots = campaign.plan.slots
    map_key = campaign.secrets.map_key
    policies = [open_policy(map_key, campaign.plan.campaign_id, slot) for slot in slots]
    assert len({slot.sealed_policy for slot in slots}) == len(slots)
    for public in ([slot.sealed_policy for slot in slots], [slot.trial for slot in slots]):
        for place in range(len(public[0])):
            both = Counter(zip((text[place] for text in public), policies, strict=True))
            digits = {digit for digit, _ in both}
            # The best rule for this digit, found with the answers in hand: 16 to 32 digits of 2000 slots.
            right = sum(max(both[digit, 0], both[digit, 1]) for digit in digits)
            assert right / len(slots) < 0.58
