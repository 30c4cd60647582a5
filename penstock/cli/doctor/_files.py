"""Files: who may write them, who may read them, and certificates that end."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.cli.doctor._finding import Finding
from penstock.security import CertificateError, CertificateFolder, certificate_end, check_certificates

__all__ = ["is_readable_by_others", "is_world_writable", "look_at_certificates", "writable_by_everybody"]

SOON = timedelta(days=30)
"""A certificate that ends within this time is told."""


def is_world_writable(path: Path) -> bool:
    """Whether everybody may write it; what is not there nobody can."""
    return bool(_mode(path) & stat.S_IWOTH)


def is_readable_by_others(path: Path) -> bool:
    """Whether the group or everybody may read it."""
    return bool(_mode(path) & (stat.S_IRGRP | stat.S_IROTH))


def writable_by_everybody(what: str, paths: Iterable[Path]) -> Iterator[Finding]:
    """A problem for each of `paths` that everybody may write."""
    for path in paths:
        if is_world_writable(path):
            yield Finding(
                what,
                "problem",
                f"{path} can be written by everybody",
                f"Take that right away (chmod o-w {path}); share it with a group instead.",
            )


def look_at_certificates(folder: Path, now: datetime | None = None) -> Iterator[Finding]:
    """Certificates of a folder that `penstock certs` made: whether they end, and who may read their keys."""
    files = CertificateFolder(folder)
    today = now or datetime.now(UTC)
    renew = f"Make it anew with: penstock certs {folder} --renew"
    for path in (files.authority, files.node):
        try:
            end = certificate_end(path)
        except CertificateError as error:
            yield Finding("certificate", "problem", str(error))
            continue
        advice = renew if path == files.node else "Make both anew with: penstock certs NEW-FOLDER"
        if end <= today:
            yield Finding("certificate", "problem", f"{path} ended on {end:%Y-%m-%d}", advice)
        elif end - today < SOON:
            yield Finding("certificate", "note", f"{path} ends on {end:%Y-%m-%d}", advice)
        else:
            yield Finding("certificate", "ok", f"{path}: until {end:%Y-%m-%d}")
    if files.node.exists() and files.authority.exists():
        try:
            check_certificates(folder)
        except CertificateError as error:
            yield Finding("certificate", "problem", str(error))
    for path in files.secrets():
        if _mode(path) & stat.S_IROTH:
            yield Finding(
                "private key", "problem", f"{path} can be read by everybody", f"chmod 600 {path}; if others were here, make it anew."
            )
        elif _mode(path) & stat.S_IRGRP:
            yield Finding(
                "private key", "note", f"{path} can be read by its group", f"chmod 600 {path}, unless the group is the service's own."
            )


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
