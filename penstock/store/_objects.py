"""A bucket of an object store: small texts, data files, and one put that succeeds once.

Names are relative to the prefix of the address. Nothing here knows what an artifact is.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from penstock.core.errors import ConfigError, StoreError
from penstock.store._objects_address import Address
from penstock.store._objects_errors import code_of, translate_bucket_errors

__all__ = ["Bucket", "Listed", "open_bucket"]

_PART = 16 << 20
"""Bytes of one part of a multipart upload, at least."""
_MOST_PARTS = 10_000
"""No server takes more parts of one object."""
_PARTS_AT_ONCE = 4
_FILES_AT_ONCE = 4
_TEXTS_AT_ONCE = 32
_READ = 8 << 20
_TRIES = 5
_ENVIRONMENT = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing has it: size in bytes, and when it was written, in seconds since 1970."""

    size: int
    modified: float


@lru_cache
def open_bucket(address: Address) -> Bucket:
    """The bucket at an address, one for all threads of this process."""
    return Bucket(address)


class Bucket:
    """The objects under the prefix of a bucket.

    Every method raises `ConfigError` where address or credentials are wrong, and `StoreError` where the server does not answer.
    """

    def __init__(self, address: Address) -> None:
        if find_spec("s3fs") is None:
            raise ConfigError(f"store {address.url}: needs the package s3fs. Install it with: pip install 'penstock[s3]'")
        self.address = address

    def read(self, name: str) -> str | None:
        """The text of a small object; None where there is none."""
        return self.read_many([name]).get(name)

    def read_many(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of small objects, many at a time; those that are not there are left out."""
        from fsspec.asyn import sync

        wanted = list(names)
        with translate_bucket_errors(self.address):
            files = self._files()
            found = sync(files.loop, _get_many, files, self.address.bucket, [self._key(name) for name in wanted])
        return {name: content.decode(errors="replace") for name, content in zip(wanted, found, strict=True) if content is not None}

    def write(self, name: str, text: str) -> None:
        """Write a small object, whatever stood there."""
        self._call("put_object", name, Body=text.encode())

    def create(self, name: str, text: str) -> str:
        """Write a small object unless there is one: the text that stands afterwards, ours or another's.

        After any error the object is read back before it is judged: a put whose answer was lost may have succeeded.
        """
        for attempt in range(_TRIES):
            try:
                if self.put_if_absent(name, text):
                    return text
            except StoreError:
                standing = self.read(name)
                if standing is None:
                    raise
                return standing
            standing = self.read(name)
            if standing is not None:
                return standing
            time.sleep(0.1 * 2**attempt)
        raise StoreError(
            f"store {self.address.url}: {name} could not be written {_TRIES} times, while others wrote it. Run the same command again."
        )

    def put_if_absent(self, name: str, text: str) -> bool:
        """One conditional put: False where the server says that there is an object, or that another put is under way."""
        try:
            self._call("put_object", name, Body=text.encode(), IfNoneMatch="*")
        except StoreError as error:
            if code_of(error) in ("PreconditionFailed", "412", "ConditionalRequestConflict", "409"):
                return False
            raise
        return True

    def upload(self, files: Mapping[str, Path]) -> None:
        """Upload data files by name: in parts, several at once; the server compares the SHA-256 of what arrives."""
        if files:
            longest = max(path.stat().st_size for path in files.values())
            with translate_bucket_errors(self.address):
                self._files().put(
                    [str(path) for path in files.values()],
                    [self._full(name) for name in files],
                    batch_size=_FILES_AT_ONCE,
                    chunksize=max(_PART, math.ceil(longest / _MOST_PARTS)),
                    max_concurrency=_PARTS_AT_ONCE,
                )

    def download(self, files: Mapping[str, Path]) -> None:
        """Download objects by name, several at once."""
        if files:
            with translate_bucket_errors(self.address):
                self._files().get([self._full(name) for name in files], [str(path) for path in files.values()], batch_size=_FILES_AT_ONCE)

    def hash(self, name: str) -> str:
        """SHA-256 of an object as it lies in the bucket, in hexadecimal."""
        digest = hashlib.sha256()
        with translate_bucket_errors(self.address), self._files().open(self._full(name), "rb", block_size=_READ) as stream:
            while piece := stream.read(_READ):
                digest.update(piece)
        return digest.hexdigest()

    def listing(self, folder: str) -> dict[str, Listed]:
        """Every object whose name begins with `folder`, in the order of names."""
        found: dict[str, Listed] = {}
        further: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", None, Prefix=self._key(folder), **further)
            for item in page.get("Contents", []):
                name = item["Key"].removeprefix(self._key(""))
                found[name] = Listed(int(item["Size"]), item["LastModified"].timestamp())
            if not page.get("IsTruncated"):
                return found
            further = {"ContinuationToken": page["NextContinuationToken"]}

    def move(self, name: str, target: str) -> None:
        """Copy an object inside of the bucket, then remove it."""
        with translate_bucket_errors(self.address):
            self._files().cp_file(self._full(name), self._full(target))
        self.remove(name)

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens where there is none."""
        self._call("delete_object", name)

    def drop_uploads(self, older_s: float) -> int:
        """Give up the uploads of data files in parts that nobody finished for `older_s` seconds; their number."""
        before = datetime.now(UTC) - timedelta(seconds=older_s)
        old: list[dict[str, Any]] = []
        further: dict[str, str] = {}
        while True:
            page = self._call("list_multipart_uploads", None, Prefix=self._key("objects/"), **further)
            old += [upload for upload in page.get("Uploads", []) if upload["Initiated"] < before]
            if not page.get("IsTruncated"):
                break
            further = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        for upload in old:
            self._call("abort_multipart_upload", upload["Key"].removeprefix(self._key("")), UploadId=upload["UploadId"])
        return len(old)

    def _call(self, method: str, name: str | None, **options: Any) -> dict[str, Any]:
        where = {"Bucket": self.address.bucket} | ({} if name is None else {"Key": self._key(name)})
        with translate_bucket_errors(self.address):
            answer: dict[str, Any] = self._files().call_s3(method, **where, **options)
        return answer

    def _key(self, name: str) -> str:
        return f"{self.address.prefix}/{name}" if self.address.prefix else name

    def _full(self, name: str) -> str:
        return f"{self.address.bucket}/{self._key(name)}"

    def _files(self) -> Any:
        with _opening:
            # A fork brings along a client whose threads are not there, and a changed environment is one of other credentials.
            surroundings = hash((os.getpid(), *(os.environ.get(name) for name in _ENVIRONMENT)))
            return _connect(self.address.endpoint_url, self.address.region, self.address.addressing, surroundings)


async def _get_many(files: Any, bucket: str, keys: Sequence[str]) -> list[bytes | None]:
    permits = asyncio.Semaphore(_TEXTS_AT_ONCE)

    async def get(key: str) -> bytes | None:
        async with permits:
            try:
                answer = await files._call_s3("get_object", Bucket=bucket, Key=key)  # noqa: SLF001  its public way asks twice
            except FileNotFoundError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise
            async with answer["Body"] as stream:
                content: bytes = await stream.read()
            return content

    return await asyncio.gather(*(get(key) for key in keys))


@lru_cache
def _connect(endpoint_url: str | None, region: str | None, addressing: str, surroundings: int) -> Any:
    import s3fs

    # Signed payloads make every server compare the SHA-256 of what arrives, over TLS too.
    settings = {
        "s3": {"addressing_style": addressing, "payload_signing_enabled": True},
        "retries": {"mode": "standard", "max_attempts": 3},
        "connect_timeout": 10,
        "read_timeout": 120,
    }
    return s3fs.S3FileSystem(
        endpoint_url=endpoint_url,
        client_kwargs={"region_name": region} if region else {},
        config_kwargs=settings,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
