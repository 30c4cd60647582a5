"""Who may talk to whom: certificates of a site, keys of live streams, addresses that other machines reach.

Makes and reads files; it opens no socket of its own. What is trusted and why: docs/security.md.
"""

from penstock.security.addresses import host_of, is_loopback
from penstock.security.certificates import (
    CertificateError,
    CertificateFolder,
    CertificatesExist,
    certificate_end,
    make_certificates,
    renew_certificate,
)

__all__ = [
    "CertificateError",
    "CertificateFolder",
    "CertificatesExist",
    "certificate_end",
    "host_of",
    "is_loopback",
    "make_certificates",
    "renew_certificate",
]
