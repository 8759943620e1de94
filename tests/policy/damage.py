"""Ways to damage a bundle on purpose, with or without telling its manifest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from unichunk.runtime.policy.bundle import file_hash
from unichunk.runtime.policy.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from pathlib import Path


def manifest_of(bundle: Path) -> Any:
    """The content of bundle.json, as plain dictionaries and lists."""
    return json.loads((bundle / MANIFEST_NAME).read_text())


def put_manifest(bundle: Path, document: Any) -> None:
    """Replace bundle.json."""
    (bundle / MANIFEST_NAME).write_text(json.dumps(document))


def set_value(bundle: Path, path: str, value: Any) -> None:
    """Set one value in bundle.json by its path, keys and indices joined by dots."""
    document = manifest_of(bundle)
    *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    place = document
    for word in parents:
        place = place[word]
    place[last] = value
    put_manifest(bundle, document)


def delete_value(bundle: Path, path: str) -> None:
    """Delete one key of bundle.json."""
    document = manifest_of(bundle)
    *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    place = document
    for word in parents:
        place = place[word]
    del place[last]
    put_manifest(bundle, document)


def put_file(bundle: Path, name: str, content: bytes) -> None:
    """Replace a file and its hash: the manifest vouches for the new content."""
    (bundle / name).write_bytes(content)
    document = manifest_of(bundle)
    document["files"][name] = file_hash(bundle / name)
    put_manifest(bundle, document)
