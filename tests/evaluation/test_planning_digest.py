"""Hashes of policies, robots and photos: what they vouch for, and every change refused."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from tests.evaluation.small_campaign import small
from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.remote.model_server import ModelServer
from tests.remote.virtual import VirtualClock, VirtualNetwork
from unichunk.embodiments.errors import UnknownEmbodiment
from unichunk.runtime.errors import BundleError, PolicyError, PolicyLate
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.evaluation.errors import BadCampaign, BundleChanged
from unichunk.server.evaluation.planning.campaign import Campaign, PolicyEntry
from unichunk.server.evaluation.planning.digest import check_policies, check_robot, policy_digest, robot_digest
from unichunk.server.evaluation.planning.photo import MAX_BYTES, MAX_PIXELS, read_photo
from unichunk.server.evaluation.planning.served_digest import served_digest
from unichunk.server.evaluation.planning.source_kind import SourceKind, source_kind
from unichunk.server.wire.lean import Hello, Refused

ROBOT = "so101"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "ours")


def entry(source: str, sha256: str = "") -> PolicyEntry:
    return PolicyEntry(name="ours", source=source, sha256=sha256)


def with_policies(*policies: PolicyEntry) -> Campaign:
    return msgspec.structs.replace(small().plan.campaign, policies=policies)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("bundles/ours", SourceKind.BUNDLE),
        ("/abs/ours", SourceKind.BUNDLE),
        ("~/ours", SourceKind.BUNDLE),
        ("python:a.b:c", SourceKind.PYTHON),
        ("ws://h:1/p", SourceKind.LEAN_SERVER),
        ("wss://h", SourceKind.LEAN_SERVER),
        ("zmq://h:5", SourceKind.LEAN_SERVER),
        ("ipc:///run/x", SourceKind.LEAN_SERVER),
        ("openpi+ws://h:1", SourceKind.OPENPI_SERVER),
        ("openpi+wss://h:1", SourceKind.OPENPI_SERVER),
        ("openpi+zmq://h:1", None),
        ("https://h", None),
        ("tcp:h", None),
    ],
)
def test_kinds_of_sources(source: str, kind: SourceKind | None) -> None:
    assert source_kind(source) is kind


def test_a_bundles_hash_is_its_manifests_once_every_file_is_checked(bundle: Path) -> None:
    expected = hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    assert policy_digest(entry("ours"), bundle.parent, ROBOT) == expected
    assert policy_digest(entry(str(bundle)), Path("elsewhere"), ROBOT) == expected
    check_policies(with_policies(entry(str(bundle), expected)), ROBOT)


def test_a_bundle_of_which_anything_changed_is_refused(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "ours")
    campaign = with_policies(entry(str(bundle), policy_digest(entry(str(bundle)), tmp_path, ROBOT)))
    for name in read_manifest(bundle).files:
        content = (bundle / name).read_bytes()
        (bundle / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with refused(BundleChanged, "policies[0] (ours)", name, "SHA-256"):
            check_policies(campaign, ROBOT)
        (bundle / name).write_bytes(content)
    check_policies(campaign, ROBOT)
    write_tiny_bundle(tmp_path / "ours", denoising_steps=3)
    with refused(BundleChanged, "policies[0] (ours)", "plan a new campaign"):
        check_policies(campaign, ROBOT)
    (bundle / "bundle.json").unlink()
    with refused(BundleChanged, "policies[0] (ours)", "no bundle.json"):
        check_policies(campaign, ROBOT)


def test_a_factorys_hash_is_its_modules_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "frozen_policies.py"
    module.write_text("raise RuntimeError('never run for its hash')\n")
    found = policy_digest(entry("python:frozen_policies:make"), tmp_path, ROBOT)
    assert found == hashlib.sha256(module.read_bytes()).hexdigest()
    assert "frozen_policies" not in sys.modules
    campaign = with_policies(entry("python:frozen_policies:make", found))
    check_policies(campaign, ROBOT)
    module.write_text("# changed\n")
    with refused(BundleChanged, "policies[0] (ours)", found[:12]):
        check_policies(campaign, ROBOT)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("python:no_such_module:make", ("no_such_module", "PYTHONPATH")),
        ("python:no_such.module:make", ("no_such", "PYTHONPATH")),
        ("python:sys:exit", ("no module 'sys' with a file",)),
        ("python:json", ("package.module:factory",)),
        ("python::make", ("package.module:factory",)),
        ("python:.json:loads", ("package.module:factory",)),
    ],
)
def test_factories_that_are_not_there(source: str, words: tuple[str, ...]) -> None:
    with refused(PolicyError, source, *words):
        policy_digest(entry(source), Path(), ROBOT)


def test_an_openpi_server_is_taken_at_its_address() -> None:
    source = "openpi+ws://localhost:8000"
    assert policy_digest(entry(source), Path(), ROBOT) == hashlib.sha256(source.encode()).hexdigest()
    # Nothing that could be compared.
    check_policies(with_policies(entry(source, "0" * 64)), ROBOT)


def served(server: ModelServer) -> str:
    clock = VirtualClock()
    network = VirtualNetwork(server, clock, lambda: [0.01])
    return served_digest("zmq://robot.test/pick", ROBOT, 1, dialer=network, clock=clock)


def test_a_lean_server_is_asked_what_it_serves(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNICHUNK_API_KEY", "")
    server = ModelServer(read_manifest(bundle), ROBOT)
    server.digest = "ab" * 32
    assert served(server) == "ab" * 32
    hello = server.seen[0]
    assert isinstance(hello, Hello)
    assert (hello.policy, hello.embodiment, hello.refinement_rounds) == ("pick", ROBOT, 1)
    for digest in ("", "d1", "AB" * 32):
        server.digest = digest
        with refused(PolicyError, "zmq://robot.test/pick", "no hash"):
            served(server)
    server.refuse_hello = Refused(id=0, kind="bundle", reason="it drives other robots")
    with refused(PolicyError, "zmq://robot.test/pick", "it drives other robots"):
        served(server)
    server.refuse_hello, server.silent = None, True
    with refused(PolicyLate, "zmq://robot.test/pick", "unichunk serve"):
        served(server)


def test_a_robots_hash_is_its_specs(tmp_path: Path) -> None:
    shipped = Path("embodiments/specs/so101.json")
    content = shipped.read_bytes() if shipped.exists() else b""
    found = robot_digest("so101", tmp_path)
    assert not content or found == hashlib.sha256(content).hexdigest()
    (tmp_path / "mine.json").write_bytes(b"{}")
    assert robot_digest("mine.json", tmp_path) == hashlib.sha256(b"{}").hexdigest()
    with refused(UnknownEmbodiment, "'so100'", "did you mean so101?"):
        robot_digest("so100", tmp_path)
    with refused(BundleError, "other.json", "spec of a robot"):
        robot_digest("other.json", tmp_path)
    campaign = msgspec.structs.replace(small().plan.campaign, robot="so101", robot_sha256=found)
    check_robot(campaign)
    with refused(BundleChanged, "robot (so101)", "plan a new campaign"):
        check_robot(msgspec.structs.replace(campaign, robot_sha256="0" * 64))
    with refused(BundleChanged, "robot: "):
        check_robot(msgspec.structs.replace(campaign, robot=str(tmp_path / "gone.json")))


def picture(kind: str, size: tuple[int, int] = (32, 24)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, (10, 200, 30)).save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", "jpg"), ("PNG", "png")])
def test_photos_are_known_by_what_they_are(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / "left.whatever"
    path.write_bytes(picture(kind))
    photo = read_photo(path)
    assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert photo.name == f"{photo.sha256}.{suffix}"
    assert photo.content == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("JPEG or PNG",)),
        (b"\xff\xd8\xff\xe0 and then nothing", ("JPEG or PNG",)),
        (picture("GIF"), ("JPEG or PNG",)),
        (picture("BMP"), ("JPEG or PNG",)),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", ("JPEG or PNG",)),
        (picture("JPEG", (640, 480))[:900], ("JPEG or PNG", "decoded")),
        (picture("PNG")[:60], ("JPEG or PNG", "decoded")),
        (bytes(MAX_BYTES + 1), ("20 MiB",)),
    ],
)
def test_what_is_no_photo_is_refused(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "left.jpg"
    path.write_bytes(content)
    with refused(BadCampaign, "left.jpg", *words):
        read_photo(path)


def bomb(width: int, height: int) -> bytes:
    """The head of a PNG that says it is this large."""
    content = bytearray(picture("PNG"))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(("width", "height"), [(10_000, 5_001), (10_000, 10_000), (60_000, 60_000)])
def test_pictures_that_would_fill_the_memory_are_refused(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "left.png"
    path.write_bytes(bomb(width, height))
    with refused(BadCampaign, "left.png", f"at most {MAX_PIXELS} pixels"):
        read_photo(path)


def test_a_photo_that_is_not_there_is_looked_for_nearby(tmp_path: Path) -> None:
    (tmp_path / "left.jpeg").write_bytes(picture("JPEG"))
    with refused(BadCampaign, "left.jpg: no such file", "did you mean left.jpeg?"):
        read_photo(tmp_path / "left.jpg")
    with refused(BadCampaign, "no such file"):
        read_photo(tmp_path / "none" / "left.jpg")
    with refused(BadCampaign, "no such file"):
        read_photo(tmp_path)
