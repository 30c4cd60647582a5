"""Addresses of buckets: what ``s3://bucket/prefix`` and the options of a store say, and nothing secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from penstock.core.errors import ConfigError, nearest

__all__ = ["Address", "default_cache", "find_address"]

_SCHEME = "s3:"
_OPTIONS = ("endpoint_url", "region", "addressing")
_SECRETS = ("key", "secret", "token", "password")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a bucket is. Credentials come from the environment or from AWS's own files.

    Attributes
    ----------
    endpoint_url
        The server; that of ``AWS_ENDPOINT_URL``, or Amazon's, without.
    addressing
        ``path`` (http://server/bucket, what most servers speak) or ``virtual`` (http://bucket.server).
    """

    bucket: str
    prefix: str
    endpoint_url: str | None = None
    region: str | None = None
    addressing: str = "path"

    @property
    def url(self) -> str:
        """The address as people write it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def server(self) -> str:
        """The server, for messages."""
        named = self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return named or "the server that AWS's configuration names"

    def with_options(self, options: Mapping[str, str]) -> Address:
        """The address with the options of ``[store.options]``.

        Raises
        ------
        ConfigError
            An option is not known, or would put a secret into a file.
        """
        for name, value in options.items():
            if any(word in name.lower() for word in _SECRETS):
                raise ConfigError(
                    f"[store.options] {name!r}: credentials do not belong into experiment.toml. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
                )
            if name not in _OPTIONS:
                raise ConfigError(f"[store.options] {name!r} is not known ({', '.join(_OPTIONS)}).{nearest(name, _OPTIONS)}")
            if name == "addressing" and value not in ("path", "virtual"):
                raise ConfigError(f"[store.options] addressing is {value!r}, expected 'path' or 'virtual'.")
        return replace(self, **options)

    def as_json(self) -> dict[str, str | None]:
        """The fields, for the marker of a cache."""
        return asdict(self)


def find_address(path: Path) -> tuple[Address, Path | None] | None:
    """The bucket that a path means, and the folder before it; None where it is a folder.

    A path folds the two slashes of an address into one, and an address that was taken for a path relative to experiment.toml
    has its folder in front: ``/data/e20009/s3:/bucket/prefix``.
    """
    parts = path.parts
    if _SCHEME not in parts:
        return None
    place = parts.index(_SCHEME)
    if len(parts) == place + 1:
        raise ConfigError("store s3://: names no bucket. Write s3://BUCKET/PREFIX.")
    base = Path(*parts[:place]) if place else None
    return Address(parts[place + 1], "/".join(parts[place + 2 :])), base


def default_cache(address: Address, base: Path | None) -> Path:
    """The cache where none is named: beside experiment.toml, or among the user's caches where there is none."""
    if base is not None:
        return base / "store-cache"
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "penstock" / "stores" / sha256(f"{address.url} {address.server}".encode()).hexdigest()[:16]
