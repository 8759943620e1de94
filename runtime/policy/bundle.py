"""Bundles on disk: written beside and renamed, read with every claim checked."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.runtime.errors import BundleError
from unichunk.runtime.key_path import with_key_path
from unichunk.runtime.policy.contradictions import contradictions, name_complaints
from unichunk.runtime.policy.manifest import MANIFEST_NAME, READABLE_VERSIONS, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REMEDY: Final = "fetch or build the bundle again"
_SHOWN: Final = 4


@contextmanager
def staged_bundle(directory: Path) -> Iterator[StagedBundle]:
    """Make a bundle in a folder beside its place, and put it there with one rename.

    What is written into `staged.folder` is the bundle; `staged.finish` completes it. Whatever happens before, nothing
    is left behind and an older bundle is untouched.

    Args:
        directory: Where the bundle shall be; an older bundle there is replaced.

    Yields:
        The bundle in the making.

    Raises:
        BundleError: At once where something that is not a bundle is in the way, or a bundle that holds more than its
            manifest lists; later where a file cannot be read or written.
    """
    try:
        with _folder_beside(directory) as folder:
            yield StagedBundle(directory, folder)
    except OSError as error:
        raise BundleError(f"{directory}: the bundle was not written: {error}") from None


class StagedBundle:
    """A bundle in the making.

    Args:
        directory: Where it shall be.
        folder: Where its files are written to; on the same disk.
    """

    def __init__(self, directory: Path, folder: Path) -> None:
        self.folder = folder
        self._directory = directory

    def finish(self, manifest: Manifest) -> Manifest:
        """Check, hash and describe what is in the folder, and put it in place.

        Args:
            manifest: The bundle's description; `files` is filled in here.

        Returns:
            The manifest as written, with the hashes of all files.

        Raises:
            BundleError: Where the manifest contradicts itself or the folder.
        """
        paths = {path.name: path for path in sorted(self.folder.iterdir())}
        for name, path in paths.items():
            if not path.is_file() or path.is_symlink():
                raise BundleError(f"{self._directory}: {name} is no plain file, and a bundle holds nothing else")
        # Contradictions show before gigabytes are hashed.
        for complaint in contradictions(msgspec.structs.replace(manifest, files=dict.fromkeys(paths, ""))):
            raise BundleError(f"{self._directory}: {complaint}")
        manifest = msgspec.structs.replace(manifest, files={name: file_hash(path) for name, path in paths.items()})
        (self.folder / MANIFEST_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        self.folder.chmod(0o755)
        _refuse_what_would_be_lost(self._directory)
        _swap(self.folder, self._directory.resolve())
        return manifest


def write_bundle(directory: Path, manifest: Manifest, files: Mapping[str, Path]) -> Manifest:
    """Write a bundle of copies: all files beside the target first, then one rename.

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
    for complaint in name_complaints(files):
        raise BundleError(f"{directory}: {complaint}")
    with staged_bundle(directory) as staged:
        for name, source in files.items():
            shutil.copyfile(source, staged.folder / name)
        return staged.finish(manifest)


@contextmanager
def _folder_beside(directory: Path) -> Iterator[Path]:
    """A new folder next to a bundle's place; what is left of it and of the way there is removed afterwards."""
    _refuse_what_would_be_lost(directory)
    target = directory.resolve()
    made = [parent for parent in target.parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        with suppress(OSError):
            for parent in made:
                parent.rmdir()


def _refuse_what_would_be_lost(directory: Path) -> None:
    if not directory.exists():
        return
    if not (directory / MANIFEST_NAME).is_file():
        raise BundleError(f"{directory}: exists and is not a bundle; remove it or choose another folder")
    names = {path.name for path in directory.iterdir()} - {MANIFEST_NAME}
    others = sorted(names - _listed_files(directory / MANIFEST_NAME))
    if others:
        shown = ", ".join(map(repr, others[:_SHOWN]))
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        raise BundleError(
            f"{directory}: holds {shown}{more}, not listed in its {MANIFEST_NAME}, which a new bundle would replace; "
            "move or remove what is yours, or choose another folder"
        )


def _listed_files(manifest: Path) -> set[str]:
    """Names of a bundle's files, in any version of the format; none where its manifest is damaged."""
    try:
        document = msgspec.json.decode(manifest.read_bytes())
    except (ValueError, RecursionError):
        return set()
    files = document.get("files") if isinstance(document, dict) else None
    return set(files) if isinstance(files, dict) else set()


def _swap(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    retired = staging.with_name(f"{staging.name}-old")
    try:
        target.rename(retired)
        staging.rename(target)
    finally:
        # However far it came: the new bundle is in place, or the older one is put back.
        if not staging.exists():
            shutil.rmtree(retired, ignore_errors=True)
        elif retired.exists():
            retired.rename(target)


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
    for complaint in contradictions(manifest):
        raise BundleError(f"{path}: {complaint}; {REMEDY}")
    for name, expected in manifest.files.items():
        _check_file(directory / name, expected)
    return manifest


def robots_of(directory: Path) -> tuple[str, ...]:
    """Names of the robots that a bundle drives, without a look at its files; none where it cannot be read."""
    try:
        document = msgspec.json.decode((directory / MANIFEST_NAME).read_bytes(), type=_Robots)
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(document.robots) if document.format_version in READABLE_VERSIONS else ()


class _Robots(msgspec.Struct):
    """What `robots_of` reads of a manifest."""

    format_version: int
    robots: dict[str, msgspec.Raw]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()


def _check_version(path: Path, document: Any) -> None:
    if not isinstance(document, dict):
        raise BundleError(f"{path}: expected a JSON object, got {type(document).__name__}; {REMEDY}")
    version = document.get("format_version")
    if isinstance(version, int) and 1 <= version < READABLE_VERSIONS[0]:
        raise BundleError(
            f"{path}: format_version {version} is older than the {READABLE_VERSIONS[0]} that is read here; "
            "compile the checkpoint again with `unichunk compile`"
        )
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        raise BundleError(
            f"{path}: format_version {version!r} is not known, expected {' or '.join(map(str, READABLE_VERSIONS))}; "
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
