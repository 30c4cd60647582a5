"""Certificates: what is made, who may read it, what is refused."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from penstock.security import (
    CertificateError,
    CertificateFolder,
    CertificatesExist,
    certificate_end,
    check_certificates,
    host_of,
    is_loopback,
    make_certificates,
    renew_certificate,
)

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def made(tmp_path: Path) -> CertificateFolder:
    return make_certificates(tmp_path / "certs", ["head.example.org", "192.0.2.7"])


def names(path: Path) -> set[str]:
    found = x509.load_pem_x509_certificate(path.read_bytes()).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}


def test_the_folder_and_its_keys_are_for_their_owner_only(made: CertificateFolder) -> None:
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    assert {p.name for p in made.secrets()} == {"ca-key.pem", "node-key.pem", "server.key_secret", "client.key_secret"}
    assert {stat.S_IMODE(p.stat().st_mode) for p in made.secrets()} == {0o600}


def test_keys_are_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_certificates(tmp_path / "certs")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in made.secrets()} == {0o600}
    assert {stat.S_IMODE(p.stat().st_mode) for p in (made.path, made.curve, made.curve / "clients")} == {0o700}


def test_the_certificate_names_this_machine_and_the_hosts_given(made: CertificateFolder) -> None:
    assert names(made.node) == {"localhost", "127.0.0.1", "::1", "head.example.org", "192.0.2.7"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl (package openssl)")
def test_openssl_accepts_the_chain_by_its_strictest_rules(made: CertificateFolder) -> None:
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(made.authority), str(made.node)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_tls_server_with_it_is_believed_by_name_and_refuses_who_has_none(made: CertificateFolder) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made.authority)
    serving.load_cert_chain(made.node, made.node_key)
    serving.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            try:
                with serving.wrap_socket(connection, server_side=True) as stream:
                    stream.sendall(b"yes")
            except ssl.SSLError:
                connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    node = ssl.create_default_context(cafile=made.authority)
    node.load_cert_chain(made.node, made.node_key)
    with socket.create_connection(listening.getsockname()) as raw, node.wrap_socket(raw, server_hostname="head.example.org") as stream:
        assert stream.recv(3) == b"yes"
    stranger = ssl.create_default_context(cafile=made.authority)
    with (
        socket.create_connection(listening.getsockname()) as raw,
        pytest.raises(ssl.SSLError),
        stranger.wrap_socket(raw, server_hostname="localhost") as stream,
    ):
        stream.recv(3)
    thread.join(5)
    listening.close()


def test_what_is_there_is_not_written_over(made: CertificateFolder) -> None:
    before = made.node_key.read_bytes()
    message = r"certs: holds ca\.pem, ca-key\.pem, node\.pem, node-key\.pem, dask\.yaml, curve already\. Name another folder, or make the node's certificate anew with: penstock certs .*certs --renew$"
    with pytest.raises(CertificatesExist, match=message):
        make_certificates(made.path)
    assert made.node_key.read_bytes() == before


def test_a_renewed_certificate_keeps_names_and_authority(made: CertificateFolder) -> None:
    authority, old = made.authority.read_bytes(), made.node_key.read_bytes()

    renew_certificate(made.path, ["other.example.org"], days=30)

    assert names(made.node) >= {"head.example.org", "192.0.2.7", "other.example.org"}
    assert made.authority.read_bytes() == authority
    assert made.node_key.read_bytes() != old
    assert stat.S_IMODE(made.node_key.stat().st_mode) == 0o600
    assert certificate_end(made.node) - datetime.now(UTC) < timedelta(days=31)


def test_an_authority_that_ends_before_signs_nothing_more(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certs", now=NOW)
    with pytest.raises(CertificateError, match=r"ca\.pem: ends on 2040-04-28, before a certificate of 365 days would\. Give fewer --days"):
        renew_certificate(made.path, now=NOW + timedelta(days=3400))


def test_without_the_authoritys_key_nothing_is_renewed(made: CertificateFolder) -> None:
    made.authority_key.unlink()
    with pytest.raises(
        CertificateError, match=r"ca-key\.pem: no key can be read there \(.*\)\. Call this where the authority's key is kept"
    ):
        renew_certificate(made.path)


def test_the_key_of_another_authority_is_told(made: CertificateFolder, tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "other")
    shutil.copy(other.authority_key, made.authority_key)
    with pytest.raises(CertificateError, match=r"ca-key\.pem: is not the key of ca\.pem\. Make both anew with: penstock certs NEW-FOLDER$"):
        renew_certificate(made.path)


def test_a_file_that_is_no_certificate_is_told(tmp_path: Path) -> None:
    (tmp_path / "node.pem").write_text("nothing")
    with pytest.raises(CertificateError, match=r"node\.pem: no certificate can be read there \(.*\)\. Make one with: penstock certs "):
        certificate_end(tmp_path / "node.pem")


def test_dask_is_told_to_encrypt_everything(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "a folder: with signs", mounted_at=Path("/certs # of the site"))
    comm = yaml.safe_load(made.dask.read_text())["distributed"]["comm"]
    assert comm["require-encryption"] is True
    assert comm["tls"]["ca-file"] == "/certs # of the site/ca.pem"
    assert {comm["tls"][role]["key"] for role in ("scheduler", "worker", "client")} == {"/certs # of the site/node-key.pem"}


@pytest.mark.parametrize(
    ("host", "mine"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("192.0.2.7", False),
        ("head", False),
        ("", False),
    ],
)
def test_addresses_of_this_machine_are_known(host: str, mine: bool) -> None:
    assert is_loopback(host) is mine


@pytest.mark.parametrize(
    ("address", "host"),
    [("tcp://head:8786", "head"), ("tls://[::1]:8786", "::1"), ("http://a.example/api", "a.example"), ("local", ""), ("tcp://[", "")],
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host


@pytest.mark.parametrize("host", ["head:8786", "https://head.example.org", "head example", "", "tcp://head", "a..b", "köln"])
def test_what_is_no_name_is_no_host(tmp_path: Path, host: str) -> None:
    with pytest.raises(
        CertificateError, match=r"^host .*: is no name or address\. Give names such as head\.example\.org, or 192\.0\.2\.7,"
    ):
        make_certificates(tmp_path / "certs", [host])
    assert not (tmp_path / "certs").exists()


@pytest.mark.parametrize("host", ["head", "node_1.example.org", "*.example.org", "xn--kche-0ra.example.org", "2001:db8::1"])
def test_what_is_a_name_is_a_host(tmp_path: Path, host: str) -> None:
    assert host in names(make_certificates(tmp_path / "certs", [host]).node)


def test_what_belongs_together_is_left_alone(made: CertificateFolder) -> None:
    renew_certificate(made.path)
    check_certificates(made.path)


def test_a_node_of_another_authority_is_told(made: CertificateFolder, tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "others")
    shutil.copy(other.node, made.node)
    with pytest.raises(
        CertificateError, match=r"node\.pem: was not signed by ca\.pem beside it\. Copy ca\.pem, node\.pem and node-key\.pem together"
    ):
        check_certificates(made.path)


def test_a_certificate_without_its_new_key_is_told(made: CertificateFolder, tmp_path: Path) -> None:
    shutil.copy(made.node_key, tmp_path / "old")
    renew_certificate(made.path)
    shutil.copy(tmp_path / "old", made.node_key)
    with pytest.raises(CertificateError, match=r"node-key\.pem: is not the key of node\.pem beside it\. Copy "):
        check_certificates(made.path)


def test_a_key_that_is_none_is_told(made: CertificateFolder) -> None:
    made.node_key.write_text("nothing")
    with pytest.raises(CertificateError, match=r"node-key\.pem: no key can be read there"):
        check_certificates(made.path)


def test_a_key_that_a_group_may_read_stays_so_when_it_is_made_anew(made: CertificateFolder) -> None:
    made.node_key.chmod(0o640)
    made.node.chmod(0o664)
    renew_certificate(made.path)
    assert stat.S_IMODE(made.node_key.stat().st_mode) == 0o640
    assert stat.S_IMODE(made.node.stat().st_mode) == 0o644


def test_a_key_that_everybody_may_read_does_not_stay_so(made: CertificateFolder) -> None:
    made.node_key.chmod(0o604)
    renew_certificate(made.path)
    assert stat.S_IMODE(made.node_key.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_key_that_root_makes_anew_stays_with_its_service(made: CertificateFolder) -> None:
    os.chown(made.node_key, 12345, 23456)
    renew_certificate(made.path)
    found = made.node_key.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o600)
