"""Addresses: which of them only this machine reaches."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

__all__ = ["host_of", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_of(address: str) -> str:
    """The host of an address such as ``tcp://head:8786``; empty where it has none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
