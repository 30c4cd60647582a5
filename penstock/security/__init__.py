"""Who may talk to whom: certificates of a site, keys of live streams, addresses that other machines reach.

Makes and reads files; it opens no socket of its own. What is trusted and why: docs/security.md.
Light: cryptography is imported with the first name of `penstock.security.certificates`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock.security.addresses import host_of, is_loopback, without_login

if TYPE_CHECKING:
    from penstock.security.certificates import (
        CertificateError,
        CertificateFolder,
        CertificatesExist,
        certificate_end,
        check_certificates,
        make_certificates,
        renew_certificate,
    )

__all__ = [
    "CertificateError",
    "CertificateFolder",
    "CertificatesExist",
    "certificate_end",
    "check_certificates",
    "host_of",
    "is_loopback",
    "make_certificates",
    "renew_certificate",
    "without_login",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("penstock.security.certificates"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
