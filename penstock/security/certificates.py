"""Certificates of a site: an authority of its own, and one certificate that all its nodes share.

Whoever holds the node's key is a node: Dask compares no names, only who signed. The authority's key signs further
certificates and belongs on no node. Fields as RFC 5280 wants them, so that strict verifiers accept the chain.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from penstock.core.errors import PenstockError
from penstock.security._private_files import OPEN, PRIVATE, write_file
from penstock.security.curve import make_curve_keys

__all__ = [
    "CertificateError",
    "CertificateFolder",
    "CertificatesExist",
    "certificate_end",
    "check_certificates",
    "make_certificates",
    "renew_certificate",
]

ALWAYS = ("localhost", "127.0.0.1", "::1")
"""Names that every node answers to."""
AUTHORITY_DAYS = 3650
"""How long an authority is good for at least, in days."""
CLOCKS_DIFFER = timedelta(hours=1)
"""Certificates are valid from so long ago, because clocks of nodes differ."""
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


class CertificatesExist(PenstockError, FileExistsError):
    """A folder holds certificates already, which others may be using."""


class CertificateError(PenstockError, ValueError):
    """A certificate or key cannot be read, or has ended."""


@dataclass(frozen=True, slots=True)
class CertificateFolder:
    """The names of the files in a folder of certificates."""

    path: Path

    @property
    def authority(self) -> Path:
        """Certificate of the authority: whom nodes believe."""
        return self.path / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """Key of the authority: who has it makes nodes. Keep it off the nodes."""
        return self.path / "ca-key.pem"

    @property
    def node(self) -> Path:
        """Certificate of the nodes: scheduler, workers, clients, reverse proxy."""
        return self.path / "node.pem"

    @property
    def node_key(self) -> Path:
        """Key of the nodes."""
        return self.path / "node-key.pem"

    @property
    def dask(self) -> Path:
        """Configuration that Dask reads where ``DASK_CONFIG`` names it."""
        return self.path / "dask.yaml"

    @property
    def curve(self) -> Path:
        """Folder of the keys of live streams (`penstock.security.curve`)."""
        return self.path / "curve"

    def secrets(self) -> list[Path]:
        """The files that nobody else may read, those that are there."""
        return [p for p in (self.authority_key, self.node_key, *sorted(self.curve.glob("*.key_secret"))) if p.exists()]


def make_certificates(
    folder: Path, hosts: Sequence[str] = (), *, days: int = 365, mounted_at: Path | None = None, now: datetime | None = None
) -> CertificateFolder:
    """Make an authority, a node certificate, the keys of live streams and Dask's configuration.

    Parameters
    ----------
    folder
        Created with mode 0700; keys have mode 0600.
    hosts
        Names and addresses beside those of the loopback device; what a browser or a reverse proxy compares.
    days
        How long the node's certificate is valid.
    mounted_at
        Where the nodes see the folder, if elsewhere; ``dask.yaml`` names it.
    now
        Beginning of validity; the present time if left out.

    Raises
    ------
    CertificatesExist
        Nothing was written.
    """
    files = CertificateFolder(folder)
    present = [p.name for p in (files.authority, files.authority_key, files.node, files.node_key, files.dask, files.curve) if p.exists()]
    if present:
        raise CertificatesExist(
            f"{folder}: holds {', '.join(present)} already. Name another folder, or make the node's certificate anew with: penstock certs {folder} --renew"
        )
    for host in hosts:
        _name(host)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    began = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _sign_authority(key, began, max(AUTHORITY_DAYS, days))
    write_file(files.authority_key, _as_pem(key), PRIVATE)
    write_file(files.authority, authority.public_bytes(Encoding.PEM), OPEN)
    _write_node(files, authority, key, hosts, began, days)
    make_curve_keys(files.curve)
    write_file(files.dask, dask_settings(mounted_at or folder.resolve()).encode(), OPEN)
    return files


def renew_certificate(folder: Path, hosts: Sequence[str] = (), *, days: int = 365, now: datetime | None = None) -> CertificateFolder:
    """Make the node's certificate and key anew, signed by the same authority; names of the old one are kept.

    Nodes that still have the old one go on: both are signed by whom they believe.

    Raises
    ------
    CertificateError
        The authority's key or certificate is not there, cannot be read or has ended.
    """
    files = CertificateFolder(folder)
    authority, key = read_certificate(files.authority), _read_key(files.authority_key)
    if authority.public_key() != key.public_key():
        raise CertificateError(
            f"{files.authority_key}: is not the key of {files.authority.name}. Make both anew with: penstock certs NEW-FOLDER"
        )
    began = now or datetime.now(UTC)
    if authority.not_valid_after_utc < began + timedelta(days=days):
        raise CertificateError(
            f"{files.authority}: ends on {authority.not_valid_after_utc:%Y-%m-%d}, before a certificate of {days} days would. Give fewer --days, or make both anew with: penstock certs NEW-FOLDER"
        )
    known = _names_of(read_certificate(files.node)) if files.node.exists() else []
    _write_node(files, authority, key, [*known, *hosts], began, days)
    return files


def check_certificates(folder: Path) -> None:
    """Whether the node's certificate is signed by the authority beside it, and the key beside it is its key.

    A certificate whose issuer has another name than the authority is of a longer chain, which is not followed.

    Raises
    ------
    CertificateError
        They do not belong together, as where only one of them was copied; or one cannot be read.
    """
    files = CertificateFolder(folder)
    node, authority = read_certificate(files.node), read_certificate(files.authority)
    copy = "Copy ca.pem, node.pem and node-key.pem together from the folder that penstock certs made."
    if node.issuer == authority.subject:
        try:
            node.verify_directly_issued_by(authority)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise CertificateError(f"{files.node}: was not signed by {files.authority.name} beside it. {copy}") from error
    try:
        key = load_pem_private_key(files.node_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateError(f"{files.node_key}: no key can be read there ({error}). {copy}") from error
    if key.public_key() != node.public_key():
        raise CertificateError(f"{files.node_key}: is not the key of {files.node.name} beside it. {copy}")


def certificate_end(path: Path) -> datetime:
    """When a certificate ends, in UTC.

    Raises
    ------
    CertificateError
        It is not there or cannot be read.
    """
    return read_certificate(path).not_valid_after_utc


def read_certificate(path: Path) -> x509.Certificate:
    """A certificate from a PEM file."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(
            f"{path}: no certificate can be read there ({error}). Make one with: penstock certs {path.parent}"
        ) from error


def dask_settings(folder: Path) -> str:
    """``dask.yaml``: every connection encrypted, and only with nodes that the authority signed."""
    files = CertificateFolder(folder)
    node = f"      cert: {json.dumps(str(files.node))}\n      key: {json.dumps(str(files.node_key))}\n"
    roles = "".join(f"    {role}:\n{node}" for role in ("scheduler", "worker", "client"))
    body = f"    ca-file: {json.dumps(str(files.authority))}\n{roles}"
    tls = "".join(f"  {line}\n" for line in body.splitlines())
    return f"distributed:\n  comm:\n    default-scheme: tls\n    require-encryption: true\n    tls:\n{tls}"


def _write_node(
    files: CertificateFolder, authority: x509.Certificate, key: ec.EllipticCurvePrivateKey, hosts: Iterable[str], began: datetime, days: int
) -> None:
    node_key = ec.generate_private_key(ec.SECP256R1())
    names = list(dict.fromkeys([*ALWAYS, *hosts]))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        _builder("penstock node", node_key.public_key(), began, days)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_name(host) for host in names]), critical=False)
        .add_extension(usage, critical=False)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    write_file(files.node_key, _as_pem(node_key), PRIVATE)
    write_file(files.node, certificate.public_bytes(Encoding.PEM), OPEN)


def _sign_authority(key: ec.EllipticCurvePrivateKey, began: datetime, days: int) -> x509.Certificate:
    builder = (
        _builder("penstock authority", key.public_key(), began, days)
        .issuer_name(_title("penstock authority"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
    )
    return builder.sign(key, hashes.SHA256())


def _builder(title: str, key: ec.EllipticCurvePublicKey, began: datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_title(title))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(began - CLOCKS_DIFFER)
        .not_valid_after(began + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _title(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise CertificateError(
            f"host {host!r}: is no name or address. Give names such as head.example.org, or 192.0.2.7, without scheme and port; others as xn--..."
        )
    return x509.DNSName(host)


def _names_of(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _as_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateError(
            f"{path}: no key can be read there ({error}). Call this where the authority's key is kept, or make both anew with: penstock certs NEW-FOLDER"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(
            f"{path}: is a {type(key).__name__}, not a key that penstock certs made. Make both anew with: penstock certs NEW-FOLDER"
        )
    return key
