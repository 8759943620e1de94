"""Messages to bytes and back; whatever is wrong with the bytes ends as a `MessageError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from unichunk.embodiments.errors import MessageError
from unichunk.embodiments.link.arrays import pack_array, unpack_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

_LONGEST: Final = 300
"""Characters of what was wrong with a message."""

_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=pack_array)


def encode(message: msgspec.Struct) -> bytes:
    """Encode a message.

    Raises:
        MessageError: Where it holds something that cannot travel, say an array of objects.
    """
    return _ENCODER.encode(message)


class Decoder(Generic[T]):
    """Decodes one kind of message (a struct, or a tagged union of structs).

    Args:
        kind: The type expected.
        name: What to call it in errors, say "a call".
    """

    def __init__(self, kind: Any, name: str) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind, ext_hook=unpack_array)
        self._name = name

    def decode(self, data: bytes | memoryview) -> T:
        """Decode and check a message.

        Raises:
            MessageError: Says what was expected and where in the message it was not found.
        """
        try:
            return self._decoder.decode(data)
        except (MessageError, msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MessageError(f"malformed message, expected {self._name}: {_one_line(error)}") from None
        except RecursionError:
            raise MessageError(f"malformed message, expected {self._name}: nested too deeply") from None


def _one_line(error: Exception) -> str:
    """What an error says, which may quote whatever was sent, as something short that can be printed."""
    said = "".join(sign if sign.isprintable() else " " for sign in str(error)[:_LONGEST])
    return " ".join(said.split())


def check_array(name: str, array: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> None:
    """Check what a message's type alone does not say.

    Raises:
        MessageError: Where type or shape differ.
    """
    if array.dtype != dtype or array.shape != shape:
        raise MessageError(
            f"{name}: expected {dtype.__name__} of shape {shape}, got {array.dtype} of shape {array.shape}"
        )
