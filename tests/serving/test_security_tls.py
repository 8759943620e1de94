"""TLS files: what cannot be used is refused in one line, what was renewed is taken while the server runs."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

import pytest

from tests.serving.certificates import CLIENT, DAY, Authority
from unichunk.runtime.errors import UnichunkError
from unichunk.server.serving.tls import Tls, TlsFiles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def refused(files: TlsFiles) -> str:
    with pytest.raises(UnichunkError) as error:
        Tls(files)
    assert "\n" not in str(error.value)
    return str(error.value)


def greet(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """Shake hands in memory, both ways to the end; what the server refuses is raised too."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there, server_hostname="localhost"), server.wrap_bio(there, back, server_side=True)]
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ends[0].write(b"hello")
    assert ends[1].read() == b"hello"
    return ends[0]


def test_a_good_pair_answers_clients_that_trust_its_authority(tmp_path: Path, authority: Authority) -> None:
    tls = Tls(TlsFiles(*authority.issue(tmp_path, "server")))
    client = ssl.create_default_context(cafile=authority.write(tmp_path / "ca.pem"))
    assert greet(client, tls.context).version() in {"TLSv1.2", "TLSv1.3"}
    assert tls.expires_s == pytest.approx(time.time() + DAY.total_seconds(), abs=60)


def test_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path, authority: Authority) -> None:
    context = Tls(TlsFiles(*authority.issue(tmp_path, "server"))).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


def test_a_missing_file_is_named(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue(tmp_path, "server")
    assert str(tmp_path / "no") in refused(TlsFiles(tmp_path / "no", key))
    assert str(tmp_path / "no") in refused(TlsFiles(certificate, tmp_path / "no"))
    assert str(tmp_path / "no") in refused(TlsFiles(certificate, key, tmp_path / "no"))
    assert "expected a file" in refused(TlsFiles(tmp_path, key))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, authority: Authority) -> None:
    certificate, _ = authority.issue(tmp_path, "server")
    _, other = authority.issue(tmp_path, "other")
    assert "is not the key of" in refused(TlsFiles(certificate, other))


@pytest.mark.parametrize(("begin", "end", "why"), [(-2 * DAY, -DAY, "expired"), (DAY, 2 * DAY, "not yet valid")])
def test_a_certificate_of_another_time_is_refused(
    tmp_path: Path, authority: Authority, begin: object, end: object, why: str
) -> None:
    assert why in refused(TlsFiles(*authority.issue(tmp_path, "server", begin=begin, end=end)))  # type: ignore[arg-type]


def test_a_certificate_for_clients_is_refused(tmp_path: Path, authority: Authority) -> None:
    assert "purpose" in refused(TlsFiles(*authority.issue(tmp_path, "client", purpose=CLIENT)))


def test_a_key_that_others_can_read_is_refused(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue(tmp_path, "server")
    key.chmod(0o644)
    assert "chmod 600" in refused(TlsFiles(certificate, key))


def test_a_key_with_a_passphrase_is_refused_without_asking_for_it(tmp_path: Path, authority: Authority) -> None:
    assert "passphrase" in refused(TlsFiles(*authority.issue(tmp_path, "server", passphrase=b"secret")))


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(tmp_path: Path, authority: Authority, content: bytes) -> None:
    certificate, key = authority.issue(tmp_path, "server")
    (tmp_path / "bad").write_bytes(content)
    refused(TlsFiles(tmp_path / "bad", key))
    refused(TlsFiles(certificate, key, tmp_path / "bad"))
    key.write_bytes(content)
    refused(TlsFiles(certificate, key))


def test_with_client_authorities_only_their_clients_come_in(tmp_path: Path, authority: Authority) -> None:
    files = TlsFiles(*authority.issue(tmp_path, "server"), authority.write(tmp_path / "ca.pem"))
    tls = Tls(files)
    client = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with pytest.raises(ssl.SSLError):
        greet(client, tls.context)
    client.load_cert_chain(*Authority("stranger").issue(tmp_path, "stranger", purpose=CLIENT))
    with pytest.raises(ssl.SSLError):
        greet(client, tls.context)
    client.load_cert_chain(*authority.issue(tmp_path, "friend", purpose=CLIENT))
    greet(client, tls.context)


def test_a_renewed_certificate_is_taken_and_a_wrong_one_is_not(tmp_path: Path, authority: Authority) -> None:
    files = TlsFiles(*authority.issue(tmp_path, "server"))
    tls = Tls(files)
    client = ssl.create_default_context(cafile=authority.write(tmp_path / "ca.pem"))
    first = greet(client, tls.context).getpeercert()
    assert not tls.renew()
    old = tls.expires_s
    authority.issue(tmp_path, "server", begin=-2 * DAY, end=-DAY)
    with pytest.raises(UnichunkError, match="expired"):
        tls.renew()
    assert greet(client, tls.context).getpeercert() == first
    authority.issue(tmp_path, "server", end=2 * DAY)
    assert tls.renew()
    assert tls.expires_s == pytest.approx(old + DAY.total_seconds(), abs=60)
    assert greet(client, tls.context).getpeercert() != first
    files.key.unlink()
    with pytest.raises(UnichunkError, match="cannot be read"):
        tls.renew()
