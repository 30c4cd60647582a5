"""Identifiers of objects, and what clients were told about them.

An identifier has the form that HSDS gives its own: ``g-`` or ``d-`` and 32 hexadecimal digits in groups of 8, 8, 4, 6, 6. The first half
names a view, which begins each time that a client opens the tree; the second half is a hash of the path. So each client has identifiers of
its own, and the shape that it was told can be kept for it: lists grow while clients read them.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict

from penstock.formats.published import Layout, PublishedTree
from penstock.views.hsds._refusal import Refusal

__all__ = ["Ids"]

_FORM = re.compile(r"[gd]-([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{6})-([0-9a-f]{6})")
_MOST_VIEWS = 512


class Ids:
    """Makes and resolves identifiers; for one thread."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._told: OrderedDict[str, dict[str, Layout]] = OrderedDict()

    def open_view(self) -> str:
        """A new view; the one used longest ago is forgotten when there are many."""
        view = secrets.token_hex(8)
        self._told[view] = {}
        if len(self._told) > _MOST_VIEWS:
            self._told.popitem(last=False)
        return view

    def make(self, view: str, path: str, is_group: bool) -> str:
        """The identifier of the object at `path` in this view."""
        digits = view + _hash(view, path)
        return f"{'g' if is_group else 'd'}-{digits[:8]}-{digits[8:16]}-{digits[16:20]}-{digits[20:26]}-{digits[26:]}"

    def resolve(self, identifier: str, tree: PublishedTree) -> tuple[str, str]:
        """View and path.

        Raises
        ------
        Refusal
            It is no identifier (404), or its object is gone (410).
        """
        match = _FORM.fullmatch(identifier)
        if match is None:
            raise Refusal(404, f"{identifier!r} is no identifier of this server.")
        digits = "".join(match.groups())
        view, hashed = digits[:16], digits[16:]
        if hashed == _hash(view, "/"):
            return view, "/"
        if hashed not in self._paths:
            self._paths = {_hash(view, path): path for path, _ in tree.paths()}
        path = self._paths.get(hashed)
        if path is None:
            raise Refusal(410, f"{identifier} is not in the tree, or not any more. Open the tree again.")
        return view, path

    def tell(self, view: str, path: str, layout: Layout) -> None:
        """Keep what a client was told."""
        if view in self._told:
            self._told.move_to_end(view)
            self._told[view][path] = layout

    def told(self, view: str, path: str) -> Layout | None:
        """What the client was told; None if nothing, or if that is forgotten."""
        return self._told.get(view, {}).get(path)


def _hash(view: str, path: str) -> str:
    """16 digits. For the root they follow from the view, which is how HSDS knows a root."""
    if path == "/":
        return "".join(f"{(int(digit, 16) + 8) % 16:x}" for digit in view)
    return hashlib.blake2b(path.encode(errors="surrogatepass"), digest_size=8).hexdigest()
