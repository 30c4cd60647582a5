"""Where results go: space on the disks, the bucket, the index, and whether their clocks agree with ours."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.cli.doctor._finding import Finding
from penstock.config import Experiment
from penstock.core.errors import PenstockError
from penstock.security import host_of, is_loopback
from penstock.store import Store

__all__ = ["judge_clock", "judge_encryption", "look_at_disk", "look_at_storage"]

ENOUGH_DISK = 2e9
"""Bytes."""
ENOUGH_FILES = 10_000
"""Files that can still be made; each artifact has a few."""
CLOCKS_DIFFER_S = 5.0
"""Clocks may differ by so much, in seconds; a bucket's server tells whole seconds."""
_VERIFIED = ("verify-ca", "verify-full")
_PROBE = "doctor/"


def look_at_storage(loaded: Experiment, store: Store) -> Iterator[Finding]:
    """The disks of a store, its bucket where it has one, and its index."""
    bucket: Any = getattr(store.place, "bucket", None)
    yield look_at_disk("disk of the store" if bucket is None else "disk of the store's cache", store.root)
    if bucket is not None:
        yield from _look_at_bucket(bucket)
    yield Finding("index", "ok", store.index.name)
    if isinstance(loaded.index_path, str):
        yield from _look_at_database(store.index)


def look_at_disk(what: str, folder: Path) -> Finding:
    """Whether there is space for more files in a folder."""
    usage, system = shutil.disk_usage(folder), os.statvfs(folder)
    free = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.0f} GB free in {folder}"
    if usage.free < ENOUGH_DISK:
        return Finding(what, "problem", f"{free}: runs stop where it is full", "Free space, or look at penstock store gc --help.")
    if system.f_files and system.f_favail < ENOUGH_FILES:
        detail = f"{free}, but only {system.f_favail} more files can be made: runs stop after the last"
        return Finding(what, "problem", detail, "Remove small files, or look at penstock store gc --help.")
    return Finding(what, "ok", free)


def judge_clock(what: str, ahead_s: float) -> Finding:
    """What a clock elsewhere amounts to that is `ahead_s` seconds ahead of ours."""
    if abs(ahead_s) <= CLOCKS_DIFFER_S:
        return Finding(f"clock of {what}", "ok", f"agrees within {CLOCKS_DIFFER_S:.0f} s")
    side = "ahead of" if ahead_s > 0 else "behind"
    return Finding(
        f"clock of {what}",
        "problem",
        f"is {abs(ahead_s):.0f} s {side} this machine's: times of results mislead, what is young counts as old, and servers refuse signatures",
        "Let all machines follow a time server: timedatectl set-ntp true",
    )


def judge_encryption(host: str, sslmode: str) -> Finding:
    """What a connection to the database server at `host` amounts to; libpq's modes: postgresql.org/docs/current/libpq-ssl.html."""
    where = f"{host} with sslmode={sslmode}"
    advice = "Add ?sslmode=verify-full&sslrootcert=FILE to [store] index, with the certificate of the authority that signed the server's."
    if host == "" or host.startswith("/") or is_loopback(host):
        return Finding("index connection", "ok", "does not leave this machine")
    if sslmode in _VERIFIED:
        return Finding("index connection", "ok", where)
    if sslmode == "require":
        return Finding("index connection", "problem", f"{where} is encrypted, but takes anybody who answers for the server", advice)
    detail = f"{where} may go in the clear, and takes anybody who answers for the server: who sits between reads and changes it"
    return Finding("index connection", "problem", detail, advice)


def _look_at_bucket(bucket: Any) -> Iterator[Finding]:
    """List, write, read and remove one small object."""
    name, address = f"{_PROBE}{uuid.uuid4().hex}", bucket.address
    try:
        bucket.listing(_PROBE)
        bucket.write(name, "penstock doctor")
        written = time.time()
        found = bucket.listing(name)
        bucket.remove(name)
    except PenstockError as error:
        yield Finding("bucket", "problem", str(error))
        return
    if name not in found:
        detail = f"{address.url}: what was written there is not in its listing, so results would be taken for missing"
        yield Finding("bucket", "problem", detail, "Use a server whose listings are consistent, as those of Amazon, Ceph and MinIO are.")
        return
    yield Finding("bucket", "ok", f"{address.url}: can be listed and written")
    if address.server.startswith("http://") and not is_loopback(host_of(address.server)):
        detail = f"{address.server} is reached without encryption: who sits between reads and changes results"
        yield Finding("bucket connection", "problem", detail, "Name its https:// address in [store.options] endpoint_url.")
    yield judge_clock("the bucket", found[name].modified - written)


def _look_at_database(index: Any) -> Iterator[Finding]:
    options: dict[str, str] = index.connection_options
    yield judge_encryption(options["host"], options.get("sslmode") or "prefer")
    asked = time.time()
    theirs = index.clock()
    yield judge_clock("the database", theirs - 0.5 * (asked + time.time()))
