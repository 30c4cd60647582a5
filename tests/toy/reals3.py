"""A real S3 server for tests, and what the tests do to a store behind its back, be it a folder or a bucket."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from realceph import PROGRAMS, serve_ceph

from penstock.core.canonical import Key
from penstock.store import Store
from penstock.store._objects import Bucket, Listed, open_bucket
from penstock.store._objects_place import ObjectPlace
from penstock_flows.server import free_port

__all__ = ["Bench", "BucketBench", "FolderBench", "S3Server", "bench", "ceph_server", "data_name", "flipped", "moto_server", "s3_server"]

SERVER = Path(__file__).parent / "s3server.py"
_PACKAGES = (("moto[server]", "moto"), ("s3fs", "s3fs"))


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server: its address, and what clients must have in their environment."""

    url: str
    writer: tuple[str, str] = field(repr=False)
    """Access key and secret of one who may do anything."""
    reader: tuple[str, str] = field(repr=False)
    """Those of one who may not write."""
    bucket: str = "results"

    def new_address(self) -> str:
        """The address of a store that is not there yet."""
        return f"s3://{self.bucket}/{uuid.uuid4().hex[:8]}"

    def activate(self, patch: pytest.MonkeyPatch) -> None:
        """Let clients of this process, and of those that it starts, speak with this server."""
        access, secret = self.writer
        for name, value in {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }.items():
            patch.setenv(name, value)


def _client(service: str, url: str, access: str = "any", secret: str = "any") -> Any:
    from botocore.session import get_session

    return get_session().create_client(
        service, endpoint_url=url, aws_access_key_id=access, aws_secret_access_key=secret, region_name="us-east-1"
    )


def _make_users(url: str) -> Iterator[tuple[str, str]]:
    """Users of moto, and the bucket; the server lets these requests pass without credentials."""
    iam = _client("iam", url)
    _client("s3", url).create_bucket(Bucket="results")
    for user, actions in (("writer", "*"), ("reader", ["s3:GetObject", "s3:ListBucket"])):
        iam.create_user(UserName=user)
        made = iam.create_access_key(UserName=user)["AccessKey"]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=json.dumps(policy))
        yield made["AccessKeyId"], made["SecretAccessKey"]


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """The server of moto, in a process of its own."""
    for package, module in _PACKAGES:
        if find_spec(module) is None:
            pytest.skip(f"needs {package}: pip install '{package}'")
    port = free_port()
    process = subprocess.Popen([sys.executable, str(SERVER), str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "listening"
        url = f"http://127.0.0.1:{port}"
        yield S3Server(url, *_make_users(url))
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def ceph_server() -> Iterator[S3Server]:
    """The gateway of a Ceph cluster."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"needs {', '.join(missing)}: apt-get install ceph-mon ceph-osd radosgw")
    users = {user: (f"AKIA{user.upper()}", secrets.token_hex(16)) for user in ("writer", "reader")}
    # Paths of sockets must be short, those of pytest are not.
    with tempfile.TemporaryDirectory(prefix="ceph-") as folder, serve_ceph(Path(folder), free_port(), free_port(), users) as url:
        _client("s3", url, *users["writer"]).create_bucket(Bucket="results")
        yield S3Server(url, users["writer"], users["reader"])


@pytest.fixture(params=["moto", pytest.param("ceph", marks=pytest.mark.slow)])
def s3_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A server that the environment names."""
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    server.activate(monkeypatch)
    return server


def flipped(content: bytes) -> bytes:
    """The same bytes, one bit aside."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


@dataclass(slots=True)
class FolderBench:
    """A store in a folder, and what may happen to its files."""

    root: Path
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.root)

    def again(self) -> Store:
        """The same store, as another process of the same host opens it."""
        return Store(self.root)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, by name relative to the store; None where there is none."""
        path = self.root / name
        return path.read_bytes() if path.exists() else None

    def write(self, name: str, content: bytes | None) -> None:
        """Replace a file, or remove it."""
        path = self.root / name
        if content is None:
            path.unlink()
            return
        path.chmod(0o644)
        path.write_bytes(content)

    def names(self, folder: str) -> list[str]:
        """The names of all files below a folder."""
        return sorted(p.relative_to(self.root).as_posix() for p in (self.root / folder).rglob("*") if p.is_file())

    def age(self, hours: float = 25.0) -> None:
        """Make everything in the store look old."""
        then = time.time() - hours * 3600
        for path in [*(self.store.root / "objects").rglob("*"), self.store.root / "objects"]:
            os.utime(path, (then, then))


class AgedBucket(Bucket):
    """A bucket whose clock a test can set back: an object cannot be made to look old on a server."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.address)
        self.aged: dict[str, float] = {}

    def listing(self, folder: str) -> dict[str, Listed]:
        """The listing of the server, with the ages that the test gave."""
        found = super().listing(folder)
        return {name: Listed(item.size, self.aged.get(name, item.modified)) for name, item in found.items()}


@dataclass(slots=True)
class BucketBench:
    """A store in a bucket, and what may happen to its objects."""

    server: S3Server
    folder: Path
    address: str = ""
    store: Store = field(init=False)
    bucket: AgedBucket = field(init=False)

    def __post_init__(self) -> None:
        self.address = self.address or self.server.new_address()
        self.store = self.again()
        place = self.store.place
        assert isinstance(place, ObjectPlace)
        self.bucket = AgedBucket(open_bucket(place.bucket.address))
        place.bucket = self.bucket

    def again(self, cache: str = "cache") -> Store:
        """The same store, as another process opens it; with another cache, as one of another host."""
        return Store(self.address, cache=self.folder / cache)

    def read(self, name: str) -> bytes | None:
        """The bytes of an object; None where there is none."""
        files, full = self.bucket._files(), self.bucket._full(name)
        return bytes(files.cat_file(full)) if files.exists(full) else None

    def write(self, name: str, content: bytes | None) -> None:
        """Replace an object, or remove it."""
        if content is None:
            self.bucket.remove(name)
        else:
            self.bucket._files().pipe_file(self.bucket._full(name), content)

    def names(self, folder: str) -> list[str]:
        """The names of all objects below a folder."""
        return list(self.bucket.listing(f"{folder}/"))

    def age(self, hours: float = 25.0) -> None:
        """Make everything in the bucket and in the cache look old."""
        then = time.time() - hours * 3600
        self.bucket.aged |= dict.fromkeys(self.bucket.listing("objects/"), then)
        for path in (self.store.root / "objects").rglob("*"):
            os.utime(path, (then, then))


def data_name(store: Store, key: Key) -> str:
    """The name of the first data file of an artifact, relative to the store."""
    return f"objects/{key[:2]}/{key}/{store.manifest(key).files[0].name}"


Bench = FolderBench | BucketBench
"""A store of either kind with its bench."""


@pytest.fixture(params=["folder", "moto", pytest.param("ceph", marks=pytest.mark.slow)])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A store of each kind, for the tests that every store must pass."""
    if request.param == "folder":
        made: Bench = FolderBench(tmp_path / "store")
    else:
        server: S3Server = request.getfixturevalue(f"{request.param}_server")
        server.activate(monkeypatch)
        made = BucketBench(server, tmp_path)
    yield made
    made.store.close()
