"""Who a peer is, and what it may do: by its API key, or where no keys are asked for, by being on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.serving.identity import Identity, Right, Role
from unichunk.server.serving.refusals import KeyRefused, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Known(Protocol):
        """Somebody's list of whom to let in."""

        @property
        def trouble(self) -> str:
            """Why the list as it is now cannot be used, one line; empty where it is."""
            ...

        def is_current(self, identity: Identity) -> bool:
            """Whether somebody identified earlier would be so now."""
            ...

    class Keys(Known, Protocol):
        """The API keys, as `api_keys.KeyRing` has them."""

        def identify(self, token: str | None) -> Identity | None:
            """Whose key this is; None where it is nobody's."""
            ...


ANYONE: Final = Identity("local", "local", Role.ROBOT)
"""Everybody, where the server asks for no keys. Nobody is an administrator there: a port of the loopback interface is
open to every user of the machine."""

NO_KEY: Final = "Unauthorized: Invalid API token"
"""Exactly this, in every dialect: GR00T's clients look for it."""


class Access:
    """Answers who somebody is and what that one may do.

    Args:
        keys: The API keys; None where none are asked for.
        others: Who else knows people, such as the CURVE clients.
    """

    def __init__(self, keys: Keys | None = None, others: Sequence[Known] = ()) -> None:
        self._keys = keys
        self._known: list[Known] = [*([] if keys is None else [keys]), *others]

    @property
    def asks_for_keys(self) -> bool:
        """Whether a key is needed."""
        return self._keys is not None

    def troubles(self) -> list[str]:
        """Why lists that have changed are not used, one line each."""
        return [known.trouble for known in self._known if known.trouble]

    def identify(self, token: str | None) -> Identity:
        """Whose token this is.

        Args:
            token: What the client sent; None where nothing came.

        Raises:
            KeyRefused: Where keys are asked for and this is none.
        """
        if self._keys is None:
            return ANYONE
        identity = self._keys.identify(token)
        if identity is None:
            raise KeyRefused(NO_KEY)
        return identity

    def check(self, identity: Identity, right: Right) -> None:
        """May this one do that, still?

        Raises:
            KeyRefused: Where its key was revoked meanwhile.
            NotAllowed: Where it may not.
        """
        if identity is ANYONE:
            if right is Right.ADMINISTER:
                raise NotAllowed(
                    "this needs an administrator's key, and the server asks for none: make one with `unichunk keys add "
                    "--role admin` and start the server with --keys"
                )
            return
        if not any(known.is_current(identity) for known in self._known):
            raise KeyRefused(NO_KEY)
        if not identity.may(right):
            raise NotAllowed(f"a key of the role {identity.role.value} may not {right.value}")

    def tenant(self, identity: Identity, address: str) -> str:
        """Whose turn it is: the key's, or without keys the address's.

        Args:
            identity: Who it is.
            address: Where it is, without the port.
        """
        return (address or identity.id) if identity is ANYONE else identity.id
