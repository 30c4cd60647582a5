"""Extras of the package: which of them brings a module that is not installed.

Images and small installations hold only what they need; what they lack is named by the extra that brings it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires

from penstock.core.errors import PenstockError

__all__ = ["MissingExtra", "extra_of", "missing_extra"]

_OPTIONAL = re.compile(r"""^([A-Za-z0-9._-]+).*;.*\bextra\s*==\s*['"]([\w.-]+)['"]""")


class MissingExtra(PenstockError, ImportError):
    """A module of an extra that is not installed."""


def extra_of(module: str, requirements: Iterable[str]) -> str | None:
    """The smallest extra that brings the top-level `module`; None where it belongs to none.

    Parameters
    ----------
    requirements
        As in the metadata of a wheel, such as ``scipy>=1.14; extra == 'tpc'``. A distribution may carry a suffix
        that its module lacks: ``cupy-cuda13x`` brings ``cupy``.
    """
    wanted = _plain(module.partition(".")[0])
    found = [(_plain(match[1]), match[2]) for text in requirements if (match := _OPTIONAL.match(text))]
    exact = [extra for name, extra in found if name == wanted]
    bringing = exact or [extra for name, extra in found if name.startswith(f"{wanted}-")]
    size = Counter(extra for _, extra in found)
    return min(bringing, key=lambda extra: size[extra], default=None)


def missing_extra(error: ImportError, requirements: Iterable[str] | None = None) -> MissingExtra | None:
    """The error to raise in place of a bare import error; None where no extra of penstock brings the module.

    Parameters
    ----------
    requirements
        Those of the installed penstock if left out.
    """
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    extra = extra_of(error.name, _installed() if requirements is None else requirements)
    if extra is None:
        return None
    return MissingExtra(
        f"module {error.name!r} is not installed here; it belongs to the extra {extra!r} of penstock. "
        f"Install it with: pip install 'penstock[{extra}]', or run this where it is installed, such as in the image of its lane."
    )


def _installed() -> list[str]:
    try:
        return requires("penstock") or []
    except PackageNotFoundError:
        return []


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
