"""Bundles on disk: written beside and renamed, read with every claim checked."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from unichunk.runtime.errors import BundleError
from unichunk.runtime.key_path import with_key_path
from unichunk.runtime.policy.manifest import FORMAT_VERSION, Graph, Key, Manifest, NoNormalization
from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from unichunk.runtime.policy.manifest import Tensor

MANIFEST_NAME: Final = "bundle.json"
REMEDY: Final = "fetch or build the bundle again"


def write_bundle(directory: Path, manifest: Manifest, files: Mapping[str, Path]) -> Manifest:
    """Write a bundle: all files beside the target first, then one rename.

    Args:
        directory: Where the bundle shall be; an older bundle there is replaced.
        manifest: Its description; `files` is filled in here.
        files: Name in the bundle -> file to copy.

    Returns:
        The manifest as written, with the hashes of all files.

    Raises:
        BundleError: Where the manifest contradicts itself, something that is not a bundle is in the way, or a file
            cannot be read or written; an older bundle is untouched then.
    """
    try:
        return _write(directory, manifest, files)
    except OSError as error:
        raise BundleError(f"{directory}: the bundle was not written: {error}") from None


def _write(directory: Path, manifest: Manifest, files: Mapping[str, Path]) -> Manifest:
    if directory.exists() and not (directory / MANIFEST_NAME).is_file():
        raise BundleError(f"{directory}: exists and is not a bundle; remove it or choose another folder")
    manifest = msgspec.structs.replace(manifest, files={name: file_hash(path) for name, path in sorted(files.items())})
    for complaint in _complaints(manifest):
        raise BundleError(f"{directory}: {complaint}")
    target = directory.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, source in files.items():
            shutil.copyfile(source, staging / name)
        (staging / MANIFEST_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        staging.chmod(0o755)
        _swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _swap(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    retired = staging.with_name(f"{staging.name}-old")
    target.rename(retired)
    try:
        staging.rename(target)
    except OSError:
        retired.rename(target)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def read_manifest(directory: Path) -> Manifest:
    """Read and check a bundle: format, contradictions, presence and hash of every file.

    Raises:
        BundleError: One line that says what is wrong with which file and what to do.
    """
    try:
        return _read(directory)
    except OSError as error:
        raise BundleError(f"{directory}: cannot be read: {error}") from None


def _read(directory: Path) -> Manifest:
    path = directory / MANIFEST_NAME
    if not path.is_file():
        raise BundleError(f"{directory}: no {MANIFEST_NAME} there; expected a policy bundle folder")
    text = path.read_bytes()
    try:
        document = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON ({error}); the bundle is damaged, {REMEDY}") from None
    _check_version(path, document)
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path}: {with_key_path(error, document, Manifest, 'bundle')}; {REMEDY}") from None
    for complaint in _complaints(manifest):
        raise BundleError(f"{path}: {complaint}; {REMEDY}")
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
    if not isinstance(document, dict):
        raise BundleError(f"{path}: expected a JSON object, got {type(document).__name__}; {REMEDY}")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: format_version {version!r} is not known, expected {FORMAT_VERSION}; "
            "rebuild the bundle or use the unichunk version that wrote it"
        )


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BundleError(f"{path}: missing; the bundle is incomplete, {REMEDY}")
    actual = file_hash(path)
    if actual != expected:
        raise BundleError(
            f"{path}: SHA-256 is {actual[:12]}..., {MANIFEST_NAME} says {expected[:12]}...; "
            f"the file was changed or damaged, {REMEDY}"
        )


def _complaints(manifest: Manifest) -> Iterator[str]:
    if manifest.format_version != FORMAT_VERSION:
        yield f"format_version: expected {FORMAT_VERSION}, got {manifest.format_version}"
    if manifest.unified_width != UNIFIED_WIDTH:
        yield f"unified_width: expected {UNIFIED_WIDTH}, got {manifest.unified_width}"
    if min(manifest.image.std) <= 0:
        yield f"image.std: expected positive numbers, got {list(manifest.image.std)}"
    if manifest.max_delay >= manifest.chunk_length:
        yield f"max_delay: expected less than chunk_length ({manifest.chunk_length}), got {manifest.max_delay}"
    for section in ("state", "action"):
        taken: set[int] = set()
        for name, key in getattr(manifest, section).items():
            yield from _key_complaints(f"{section}.{name}", key, manifest.unified_width)
            if taken & set(range(*key.slots)):
                yield f"{section}.{name}.slots: {key.slots[0]}-{key.slots[1]} overlaps another key"
            taken |= set(range(*key.slots))
    yield from _file_complaints(manifest)
    yield from _signature_complaints(manifest)


def _file_complaints(manifest: Manifest) -> Iterator[str]:
    for name in (manifest.graphs.prefix.file, manifest.graphs.chunk.file):
        if name not in manifest.files:
            yield f"files: no hash for the graph {name}"
    for name in manifest.files:
        if Path(name).name != name or name in {"", "..", MANIFEST_NAME}:
            yield f"files: expected plain file names, got {name!r}"


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
    prefix, chunk = manifest.graphs.prefix, manifest.graphs.chunk
    views, rows, width = len(manifest.cameras), manifest.chunk_length, manifest.unified_width
    given = {
        "images": _Expected((views, 3, manifest.image.height, manifest.image.width), "float32"),
        "state": _Expected((1, width), "float32"),
    }
    if manifest.language is not None:
        given["tokens"] = _Expected((1, manifest.language.max_tokens), "int64")
    yield from _input_complaints(prefix, given, {"images", "state"})
    features = {tensor.name: _Expected(tensor.shape, tensor.dtype) for tensor in prefix.outputs}
    given |= features
    given["noise"] = _Expected((None, rows, width), "float32")
    given["previous_chunk"] = _Expected((rows, width), "float32")
    given["delay"] = _Expected((), "int64")
    yield from _input_complaints(chunk, given, {"noise", "previous_chunk", "delay", *features})
    actions = {tensor.name: tensor for tensor in chunk.outputs}.get("actions")
    if actions is None:
        yield f"graphs: {chunk.file} has no output `actions`"
    else:
        yield from _Expected((rows, width), "float32").complaints(actions)


def _input_complaints(graph: Graph, given: Mapping[str, _Expected], needed: set[str]) -> Iterator[str]:
    for tensor in graph.inputs:
        if tensor.name in given:
            yield from given[tensor.name].complaints(tensor)
        else:
            yield f"graphs: {graph.file} has an input `{tensor.name}` that nothing provides"
    for name in sorted(needed - {tensor.name for tensor in graph.inputs}):
        yield f"graphs: {graph.file} has no input `{name}`"


class _Expected(NamedTuple):
    """Shape (None: any size) and type that a tensor must have."""

    shape: tuple[int | None, ...]
    dtype: str

    def complaints(self, tensor: Tensor) -> Iterator[str]:
        fits = len(tensor.shape) == len(self.shape) and all(
            found > 0 if size is None else found == size for found, size in zip(tensor.shape, self.shape, strict=True)
        )
        if not fits:
            shape = ", ".join("rounds" if size is None else str(size) for size in self.shape)
            yield f"graphs: {tensor.name} has shape {list(tensor.shape)}, expected [{shape}]"
        if tensor.dtype != self.dtype:
            yield f"graphs: {tensor.name} is {tensor.dtype}, expected {self.dtype}"
