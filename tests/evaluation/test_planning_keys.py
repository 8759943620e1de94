"""Keys of a seed: each its own; ids that tell nothing."""

from __future__ import annotations

import hashlib
import hmac
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.server.evaluation.planning.keys import (
    campaign_id,
    derive_keys,
    opaque_id,
    service_secrets,
    trial_id,
)

SEED = bytes(range(32))
seeds = st.binary(min_size=32, max_size=32)


def hkdf(seed: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block, without a salt."""
    key = hmac.digest(bytes(32), seed, "sha256")
    return hmac.digest(key, info + b"\1", "sha256")


def test_keys_are_hkdf_sha256_of_the_seed_and_their_purpose() -> None:
    keys = derive_keys(SEED)
    for name, purpose in (("schedule", b"schedule"), ("map_key", b"map"), ("id_key", b"ids"), ("redo_key", b"redo")):
        assert getattr(keys, name) == hkdf(SEED, b"unichunk evaluation 1: " + purpose)


@given(seeds)
def test_all_keys_differ_and_the_service_gets_neither_seed_nor_schedule(seed: bytes) -> None:
    keys = derive_keys(seed)
    assert len({seed, keys.schedule, keys.map_key, keys.id_key, keys.redo_key}) == 5
    secrets = service_secrets(keys, b"s" * 32)
    given_away = {getattr(secrets, name) for name in secrets.__struct_fields__}
    assert given_away == {keys.map_key, keys.id_key, keys.redo_key, b"s" * 32}


def test_ids_are_the_first_80_bits_of_an_hmac() -> None:
    message = b"\0\0\0\5trial\0\0\0\0023" + b"4" + b"\0\0\0\0011"
    digest = hmac.digest(SEED, message, hashlib.sha256)
    found = trial_id(SEED, 34, 1)
    assert int.from_bytes(digest[:10], "big") == sum(
        "abcdefghijklmnopqrstuvwxyz234567".index(letter) << (5 * place) for place, letter in enumerate(reversed(found))
    )


def test_ten_thousand_ids_are_different_and_look_alike() -> None:
    key = derive_keys(SEED).id_key
    ids = [trial_id(key, slot, attempt) for slot in range(2500) for attempt in range(4)]
    ids += [campaign_id(key), *(opaque_id(key, "video", trial) for trial in ids[:100])]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z2-7]{16}", each) for each in ids)
    # Neither does the beginning tell the slot.
    assert len({each[:2] for each in ids}) == 32**2


@given(st.text(), st.text(), st.text(), st.text())
def test_parts_of_an_id_do_not_run_together(a: str, b: str, c: str, d: str) -> None:
    same = opaque_id(SEED, a, b) == opaque_id(SEED, c, d)
    assert same == ((a, b) == (c, d))
    assert opaque_id(SEED, a + b) != opaque_id(SEED, a, b)


def test_a_seed_of_another_length_is_refused() -> None:
    with refused(ValueError, "32 bytes", "16"):
        derive_keys(bytes(16))
