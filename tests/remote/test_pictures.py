"""Pictures as JPEG and through shared memory: what comes out, and what is never opened or decoded."""

from __future__ import annotations

import io
import os
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.one_line import refused, refused_at_most
from unichunk.embodiments.errors import MessageError
from unichunk.server.wire import shared_memory
from unichunk.server.wire.jpeg import decode_jpeg, encode_jpeg
from unichunk.server.wire.pictures import read_picture
from unichunk.server.wire.shared_memory import FOLDER, Segment, host_mark, read_shared, remove_orphans


def picture(size: int = 32, width: int | None = None) -> np.ndarray:
    across, down = np.meshgrid(np.linspace(0, 255, width or size), np.linspace(0, 255, size))
    return np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("quality", "most"), [(75, 20), (90, 8), (100, 4)])
def test_a_jpeg_is_near_its_picture(quality: int, most: int) -> None:
    image = picture(64)
    back = read_picture("video.a", {"jpeg": encode_jpeg(image, quality)}, 64)
    assert back.shape == image.shape
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - image).max() <= most


def jpeg_header(width: int, height: int) -> bytes:
    """A small JPEG that claims to be large."""
    data = bytearray(encode_jpeg(picture(8), 75))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


def test_a_bomb_is_not_decoded() -> None:
    with refused(MessageError, "65000 x 65000", "expected 32 x 32"):
        decode_jpeg(jpeg_header(65000, 65000), 32)
    with refused(MessageError, "32 x 16"):
        decode_jpeg(encode_jpeg(picture(16, 32), 75), 32)
    with refused(MessageError, "bytes: expected at most"):
        decode_jpeg(encode_jpeg(picture(32), 75) + bytes(200_000), 32)
    with refused(MessageError, "scans: expected at most 64"):
        decode_jpeg(encode_jpeg(picture(32), 75) + b"\xff\xda" * 100, 32)
    grey = io.BytesIO()
    Image.fromarray(picture(32)[:, :, 0]).save(grey, "JPEG")
    with refused(MessageError, "32 x 32 pixels, L"):
        decode_jpeg(grey.getvalue(), 32)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "BMP"])
def test_other_formats_are_not_read(kind: str) -> None:
    out = io.BytesIO()
    Image.fromarray(picture(8)).save(out, kind)
    with refused(MessageError, "not a JPEG"):
        decode_jpeg(out.getvalue(), 8)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 900), st.binary(max_size=12), st.booleans())
def test_a_damaged_jpeg_ends_in_one_line(at: int, junk: bytes, cut: bool) -> None:
    data = encode_jpeg(picture(16), 80)
    at %= len(data)
    with refused_at_most(MessageError):
        decode_jpeg(data[:at] + junk + (b"" if cut else data[at + len(junk) :]), 16)


def test_a_picture_through_shared_memory() -> None:
    image = picture(24, 40)
    segment = Segment(3 * 40 * 24 * 2, slots=2)
    try:
        path = FOLDER / segment.name
        assert path.stat().st_mode & 0o777 == 0o600
        one, two = 0, 1
        starts = [
            segment.write(one, 0, image),
            segment.write(one, image.nbytes, image[::-1]),
            segment.write(two, 0, image),
        ]
        for start, expected in zip(starts, (image, image[::-1], image), strict=True):
            value = {"segment": segment.name, "offset": start, "shape": (24, 40, 3)}
            np.testing.assert_array_equal(read_picture("video.a", value, 24), expected)
        with pytest.raises(ValueError, match="expected room for"):
            segment.write(two, image.nbytes + 4096, image)
        size = path.stat().st_size
        with refused(MessageError, f"has {size} bytes"):
            read_shared(segment.name, size - 10, (24, 40, 3))
        # Cut off under the reader's hands: an error, and no fault of the machine.
        os.truncate(path, 100)
        with refused(MessageError, "has 100 bytes"):
            read_shared(segment.name, 0, (24, 40, 3))
        path.chmod(0o644)
        with refused(MessageError, "no file of this server's user alone"):
            read_shared(segment.name, 0, (2, 2, 3))
    finally:
        segment.close()
    assert not path.exists()
    with refused(MessageError, "No such file"):
        read_shared(segment.name, 0, (2, 2, 3))


@pytest.mark.parametrize(
    "name",
    ["", "..", "unichunk-", "/etc/passwd", "../../etc/passwd", "unichunk-" + "0" * 31, "unichunk-" + "G" * 32]
    + ["unichunk-" + "0" * 32 + end for end in ("0", "/x", "\n", "\0", "/../../etc/passwd")],
)
def test_a_name_is_never_a_path(name: str) -> None:
    with refused(MessageError, "no name of a segment"):
        read_shared(name, 0, (1, 1, 3))


def test_links_folders_and_pipes_are_not_read() -> None:
    name = f"unichunk-{os.getpid():032x}"
    path = FOLDER / name
    other = FOLDER / f"other-{os.getpid()}"
    other.write_bytes(bytes(1000))
    try:
        for kind in ("link", "folder", "pipe"):
            if kind == "link":
                path.symlink_to(other)
            elif kind == "folder":
                path.mkdir()
            else:
                os.mkfifo(path, 0o600)
            try:
                with refused(MessageError, "shared memory: "):
                    read_shared(name, 0, (2, 2, 3))
            finally:
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                else:
                    path.unlink()
    finally:
        other.unlink()


def test_the_host_has_a_mark() -> None:
    assert len(host_mark()) == 32
    assert host_mark() == host_mark()
    assert zlib.crc32(host_mark().encode())  # text


def test_what_killed_processes_left_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = FOLDER / f"unichunk-{os.getpid():032x}"
    orphan.write_bytes(bytes(100))
    held = Segment(100, slots=1)
    try:
        remove_orphans()
        assert orphan.exists()  # it is young
        monkeypatch.setattr(shared_memory, "_YOUNG_S", -1.0)
        remove_orphans()
        assert not orphan.exists()
        assert (FOLDER / held.name).exists()
    finally:
        held.close()
        orphan.unlink(missing_ok=True)
