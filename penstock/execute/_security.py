"""Who may talk to a Dask scheduler: the certificates of ``tls://``, and a word about addresses that need none."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime
from pathlib import Path

import dask
from distributed.security import Security

from penstock.core.errors import ConfigError
from penstock.security.addresses import host_of, is_loopback

__all__ = ["security_of", "warn_if_open"]

_FILES = {"tls_ca_file": "ca.pem", "tls_client_cert": "node.pem", "tls_client_key": "node-key.pem"}


def security_of(address: str, folder: Path | None) -> Security | None:
    """How a client shows who it is; None where Dask's own configuration decides.

    Parameters
    ----------
    folder
        As ``penstock certs`` makes it: ``ca.pem``, ``node.pem``, ``node-key.pem``.

    Raises
    ------
    ConfigError
        No folder is named and Dask has no certificates of its own; a file is missing, is no certificate or key, or has ended.
    """
    if not address.startswith("tls://"):
        return None
    if folder is None:
        if dask.config.get("distributed.comm.tls.ca-file", None) is None:
            raise ConfigError(
                f"Dask scheduler {address}: no certificates are named. Name the folder that `penstock certs` made with [resources] tls or "
                "PENSTOCK_TLS, or Dask's own configuration with DASK_CONFIG."
            )
        return None
    missing = [name for name in _FILES.values() if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"[resources] tls: {folder} has no {', '.join(missing)}. Make the folder with: penstock certs {folder}")
    security = Security(require_encryption=True, **{setting: str(folder / name) for setting, name in _FILES.items()})
    try:
        security.get_connection_args("client")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"[resources] tls: the certificates in {folder} cannot be used ({error}). Make them anew with: penstock certs"
        ) from error
    _refuse_ended(folder)
    return security


def _refuse_ended(folder: Path) -> None:
    """A node says no more of a certificate that ended than of a stranger's: it hangs up."""
    from penstock.security.certificates import certificate_end

    for name in (_FILES["tls_ca_file"], _FILES["tls_client_cert"]):
        end = certificate_end(folder / name)
        if end <= datetime.now(UTC):
            anew = "penstock certs FOLDER --renew" if name != _FILES["tls_ca_file"] else "penstock certs NEW-FOLDER"
            raise ConfigError(
                f"[resources] tls: {folder / name} ended on {end:%Y-%m-%d}, so nobody takes it. Make it anew where ca-key.pem is kept "
                f"({anew}), and copy it to every node."
            )


def warn_if_open(address: str) -> None:
    """One warning where batches travel unencrypted beyond this machine: whoever reaches such a scheduler can run code on its workers."""
    if address.startswith("tcp://") and not is_loopback(host_of(address)):
        warnings.warn(
            f"Dask scheduler {address}: whoever reaches it can run code on its workers. Use tls:// with [resources] tls, "
            "see: penstock certs --help",
            UserWarning,
            stacklevel=4,
        )
