"""The log: each event is bound to the one before by its hash, and signed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from unichunk.server.evaluation.errors import Tampered
from unichunk.server.evaluation.ledger.entry import Entry
from unichunk.server.evaluation.planning.canonical import canonical_json

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.plan import Plan

_START: Final = "unichunk evaluation log 1"
_EVENT: Final = "unichunk evaluation event 1"
_HEAD: Final = "unichunk evaluation head 1"


@dataclass(frozen=True)
class Head:
    """The end of the log: who has noted it down can tell later whether anything before it was changed or cut off.

    Attributes:
        seq: Number of the last event; 0 before the first.
        hash: Its hash, hexadecimal; before the first, that of the plan.
    """

    seq: int
    hash: str

    def __str__(self) -> str:
        """As it is noted down: `123:abcdef...`."""
        return f"{self.seq}:{self.hash}"


@dataclass(frozen=True)
class Event:
    """One event as it is stored.

    Attributes:
        seq: Its number, from 1.
        body: The entry, canonical JSON.
        previous: Hash of the event before.
        hash: SHA-256 of `previous` and `body`, hexadecimal.
        signature: Ed25519, of the campaign's id and the hash, hexadecimal.
    """

    seq: int
    body: str
    previous: str
    hash: str
    signature: str

    @property
    def entry(self) -> Entry:
        """What it says.

        Raises:
            Tampered: Where it says nothing that this version understands.
        """
        try:
            return msgspec.json.decode(self.body, type=Entry)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeEncodeError) as error:
            raise Tampered(f"event {self.seq}: its body is none: {error}") from None

    @property
    def head(self) -> Head:
        """Of a log that ends here."""
        return Head(self.seq, self.hash)


def beginning(plan: Plan) -> Head:
    """The head of an empty log: bound to the whole plan, so that no signature fits another one."""
    return Head(0, _sha256(_START, canonical_json(plan).decode()))


def body_of(entry: Entry) -> str:
    """An entry as canonical JSON: sorted keys, no spaces."""
    return canonical_json(entry).decode()


class Signer:
    """Appends to the log of one campaign."""

    def __init__(self, plan: Plan, signing_key: bytes) -> None:
        self._campaign = plan.campaign_id
        self._key = Ed25519PrivateKey.from_private_bytes(signing_key)
        self.public = self._key.public_key().public_bytes_raw().hex()

    def event(self, previous: Head, entry: Entry) -> Event:
        """The event after `previous` that says `entry`."""
        body = body_of(entry)
        digest = _event_hash(previous.hash, body)
        signature = self._key.sign(_signed(_EVENT, self._campaign, digest))
        return Event(entry.seq, body, previous.hash, digest, signature.hex())

    def head(self, head: Head) -> str:
        """Signature of a head, hexadecimal."""
        return self._key.sign(_signed(_HEAD, self._campaign, str(head))).hex()


class Verifier:
    """Checks the log of one campaign with what the plan says publicly."""

    def __init__(self, plan: Plan) -> None:
        self._campaign = plan.campaign_id
        self._key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(plan.signing_key))

    def check(self, previous: Head, event: Event) -> None:
        """Refuse an event that is not the next one, is not what was hashed, or was signed by somebody else.

        Raises:
            Tampered: With what is wrong.
        """
        if event.seq != previous.seq + 1:
            raise Tampered(f"event {event.seq}: expected event {previous.seq + 1}: one was moved, added or removed")
        if event.previous != previous.hash:
            raise Tampered(f"event {event.seq}: is not bound to the one before it: one was changed, moved or removed")
        if event.hash != _event_hash(previous.hash, event.body):
            raise Tampered(f"event {event.seq}: its hash is not that of its content: it was changed")
        if not self._signed_here(event.signature, _signed(_EVENT, self._campaign, event.hash)):
            raise Tampered(f"event {event.seq}: its signature is not the campaign's")

    def check_head(self, head: Head, signature: str) -> None:
        """Refuse a head that was not signed with the campaign's key.

        Raises:
            Tampered: With what is wrong.
        """
        if not self._signed_here(signature, _signed(_HEAD, self._campaign, str(head))):
            raise Tampered(f"head.json: the signature of head {head.seq} is not the campaign's")

    def _signed_here(self, signature: str, content: bytes) -> bool:
        try:
            self._key.verify(bytes.fromhex(signature), content)
        except (InvalidSignature, ValueError):
            return False
        # `fromhex` takes capitals and spaces too: one signature, one way to write it.
        return signature == bytes.fromhex(signature).hex()


def _event_hash(previous: str, body: str) -> str:
    return _sha256(_EVENT, previous, body)


def _signed(what: str, campaign: str, content: str) -> bytes:
    return f"{what}\n{campaign}\n{content}".encode()


def _sha256(*parts: str) -> str:
    # None of the parts but the last can hold a line's end.
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
