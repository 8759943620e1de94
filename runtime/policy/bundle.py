"""Bundles on disk: written beside and renamed, read with every claim checked."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.runtime.errors import BundleError
from unichunk.runtime.policy.manifest import FORMAT_VERSION, Graph, Key, Manifest, NoNormalization
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST_NAME: Final = "bundle.json"


def write_bundle(directory: Path, manifest: Manifest, files: Mapping[str, Path]) -> Manifest:
    """Write a bundle: all files beside the target first, then one rename.

    Args:
        directory: Where the bundle shall be; an older bundle there is replaced.
        manifest: Its description; `files` is filled in here.
        files: Name in the bundle -> file to copy.

    Returns:
        The manifest as written, with the hashes of all files.

    Raises:
        BundleError: Where the manifest contradicts itself, or something that is not a bundle is in the way.
    """
    if directory.exists() and not (directory / MANIFEST_NAME).is_file():
        raise BundleError(f"{directory}: exists and is not a bundle; remove it or choose another folder")
    manifest = msgspec.structs.replace(manifest, files={name: file_hash(path) for name, path in sorted(files.items())})
    for complaint in _complaints(manifest):
        raise BundleError(f"{directory}: {complaint}")
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        for name, source in files.items():
            shutil.copyfile(source, staging / name)
        (staging / MANIFEST_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        staging.chmod(0o755)
        if directory.exists():
            shutil.rmtree(directory)
        staging.rename(directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def read_manifest(directory: Path) -> Manifest:
    """Read and check a bundle: format, contradictions, presence and hash of every file.

    Raises:
        BundleError: One line that says what is wrong with which file and what to do.
    """
    path = directory / MANIFEST_NAME
    if not path.is_file():
        raise BundleError(f"{directory}: no {MANIFEST_NAME} there; expected a policy bundle folder")
    text = path.read_bytes()
    try:
        _check_version(path, msgspec.json.decode(text))
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path}: {str(error).replace('`$.', '`bundle.')}") from None
    except msgspec.DecodeError as error:
        raise BundleError(f"{path}: not JSON ({error}); the bundle is damaged, fetch or build it again") from None
    for complaint in _complaints(manifest):
        raise BundleError(f"{path}: {complaint}")
    for name, expected in manifest.files.items():
        _check_file(directory / name, expected)
    return manifest


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_version(path: Path, document: Any) -> None:
    version = document.get("format_version") if isinstance(document, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: format_version {version!r} is not known, expected {FORMAT_VERSION}; "
            "rebuild the bundle or use the unichunk version that wrote it"
        )


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BundleError(f"{path}: missing; the bundle is incomplete, fetch or build it again")
    actual = file_hash(path)
    if actual != expected:
        raise BundleError(
            f"{path}: SHA-256 is {actual[:12]}..., {MANIFEST_NAME} says {expected[:12]}...; "
            "the file was changed or damaged, fetch or build the bundle again"
        )


def _complaints(manifest: Manifest) -> Iterator[str]:
    if manifest.unified_width != UNIFIED_WIDTH:
        yield f"unified_width: expected {UNIFIED_WIDTH}, got {manifest.unified_width}"
    if manifest.max_delay >= manifest.chunk_length:
        yield f"max_delay: expected less than chunk_length ({manifest.chunk_length}), got {manifest.max_delay}"
    for section in ("state", "action"):
        taken: set[int] = set()
        for name, key in getattr(manifest, section).items():
            yield from _key_complaints(f"{section}.{name}", key, manifest.unified_width)
            if taken & set(range(*key.slots)):
                yield f"{section}.{name}.slots: {key.slots[0]}-{key.slots[1]} overlaps another key"
            taken |= set(range(*key.slots))
    for name in (manifest.graphs.prefix.file, manifest.graphs.chunk.file):
        if name not in manifest.files:
            yield f"files: no hash for the graph {name}"
    for name in manifest.files:
        if Path(name).name != name or name == MANIFEST_NAME:
            yield f"files: expected plain file names, got {name!r}"
    yield from _signature_complaints(manifest)


def _key_complaints(label: str, key: Key, width: int) -> Iterator[str]:
    start, stop = key.slots
    if not 0 <= start < stop <= width:
        yield f"{label}.slots: expected a slice within 0-{width}, got {start}-{stop}"
    if isinstance(key.normalization, NoNormalization):
        return
    for field in key.normalization.__struct_fields__:
        values = getattr(key.normalization, field)
        if len(values) != stop - start:
            yield f"{label}.normalization.{field}: expected {stop - start} values, got {len(values)}"


def _signature_complaints(manifest: Manifest) -> Iterator[str]:
    views, rows, width = len(manifest.cameras), manifest.chunk_length, manifest.unified_width
    expected = {
        "images": (views, 3, manifest.image.height, manifest.image.width),
        "state": (1, width),
        "previous_chunk": (rows, width),
        "delay": (),
        "actions": (rows, width),
    }
    if manifest.language is not None:
        expected["tokens"] = (1, manifest.language.max_tokens)
    chunk = manifest.graphs.chunk
    tensors = [*manifest.graphs.prefix.inputs, *chunk.inputs, *chunk.outputs]
    for tensor in tensors:
        shape = expected.get(tensor.name)
        if shape is not None and tensor.shape != shape:
            yield f"graphs: {tensor.name} has shape {list(tensor.shape)}, expected {list(shape)}"
    yield from _missing(manifest.graphs.prefix, {"images", "state"})
    yield from _missing(
        chunk, {"noise", "previous_chunk", "delay", *(out.name for out in manifest.graphs.prefix.outputs)}
    )
    if "actions" not in {out.name for out in chunk.outputs}:
        yield f"graphs: {chunk.file} has no output `actions`"


def _missing(graph: Graph, names: set[str]) -> Iterator[str]:
    for name in sorted(names - {tensor.name for tensor in graph.inputs}):
        yield f"graphs: {graph.file} has no input `{name}`"
