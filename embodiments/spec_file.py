"""From a spec's file to a checked spec."""

from __future__ import annotations

import msgspec

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.spec import SPEC_FORMAT, EmbodimentSpec
from unichunk.embodiments.spec_checks import complaints
from unichunk.runtime.key_path import with_key_path


def parse_spec(text: bytes, origin: str) -> EmbodimentSpec:
    """Parse and check one spec.

    Args:
        text: The JSON file's content.
        origin: What to call it in error messages.

    Raises:
        SpecError: With the path of the key, the value and what was expected.
    """
    try:
        document = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{origin}: not JSON ({error})") from None
    if isinstance(document, dict) and document.get("format", SPEC_FORMAT) != SPEC_FORMAT:
        raise SpecError(f"{origin}: embodiment.format: expected {SPEC_FORMAT}, got {document['format']!r}")
    try:
        spec = msgspec.json.decode(text, type=EmbodimentSpec)
    except msgspec.ValidationError as error:
        raise SpecError(f"{origin}: {with_key_path(error, document, EmbodimentSpec, 'embodiment')}") from None
    for complaint in complaints(spec):
        raise SpecError(f"{origin}: embodiment.{complaint}")
    return spec
