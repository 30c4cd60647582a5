"""What ``[store] index`` says: the path of an SQLite file, or the address of a PostgreSQL database, without a password in it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from penstock.core.errors import ConfigError

__all__ = ["SECRETS", "expand", "read_index_place", "shown"]

_SCHEMES = ("postgresql", "postgres")
SECRETS = ("password", "sslpassword")
"""Options of a connection that no message shows."""
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LOGIN = re.compile(r"\w+://[^/@:]*:(?!\$\{\w+\}@|\d+[,/?#])[^@]+@")
"""A password, also one with characters that end the host of an address for `urlsplit`."""


def read_index_place(text: str, base: Path) -> Path | str:
    """What ``[store] index`` names: a file relative to `base`, or the address of a database, which must not hold a password.

    Raises
    ------
    ConfigError
        Another kind of address, or a password that is written out.
    """
    if "://" not in text:
        return base / text
    address = _split(text)
    if address.scheme not in _SCHEMES:
        raise ConfigError(
            f"[store] index: {address.scheme}:// is no kind of index. Give the path of an SQLite file, or postgresql://user@host:port/database."
        )
    secrets = [value for name, value in parse_qsl(address.query, keep_blank_values=True) if name in SECRETS]
    if _LOGIN.match(text) or any(secret and not _REFERENCE.fullmatch(secret) for secret in secrets):
        raise ConfigError(
            "[store] index: a password stands in the address, where others can read it. Leave it out and give it by PGPASSWORD, "
            "a password file (PGPASSFILE) or a service file, or name an environment variable: postgresql://user:${NAME}@host/database"
        )
    return text


def expand(text: str) -> str:
    """`text` with each ``${NAME}`` replaced by that environment variable.

    Raises
    ------
    ConfigError
        The variable is not set.
    """

    def value(reference: re.Match[str]) -> str:
        try:
            return os.environ[reference[1]]
        except KeyError:
            raise ConfigError(
                f"[store] index names the environment variable {reference[1]!r}, which is not set. Set it, or give the password by PGPASSWORD or a password file."
            ) from None

    return _REFERENCE.sub(value, text)


def shown(address: str) -> str:
    """The address of a database for messages: without password and options."""
    parts = _split(address)
    _, _, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{f'{parts.username}@' if parts.username else ''}{host}{parts.path}"


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError as error:
        raise ConfigError(f"[store] index: not an address ({error}). Write: postgresql://user@host:port/database") from None
