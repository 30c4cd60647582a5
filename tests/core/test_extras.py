"""What an installation lacks is named by the extra that brings it."""

from __future__ import annotations

import pytest

from penstock.core.errors import PenstockError
from penstock.core.extras import MissingExtra, extra_of, missing_extra

REQUIREMENTS = (
    "numpy>=2",
    "scipy>=1.14; extra == 'all'",
    "cbor2; extra == 'all'",
    "scipy>=1.14; extra == 'tpc'",
    "cupy-cuda13x>=13.6; extra == 'gpu'",
    'dask-jobqueue>=0.9; python_version >= "3.11" and extra == "cluster"',
    "psycopg[binary]>=3.2; extra == 'postgres'",
)


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("scipy", "tpc"),
        ("scipy.optimize", "tpc"),
        ("cupy", "gpu"),
        ("dask_jobqueue", "cluster"),
        ("psycopg", "postgres"),
        ("numpy", None),
        ("penstocks", None),
        ("sci", None),
    ],
)
def test_a_module_is_found_in_the_extra_that_brings_it(module: str, extra: str | None) -> None:
    assert extra_of(module, REQUIREMENTS) == extra


def test_the_message_names_module_extra_and_what_to_do() -> None:
    error = missing_extra(ModuleNotFoundError("No module named 'scipy'", name="scipy.optimize"), REQUIREMENTS)

    assert isinstance(error, PenstockError)
    assert isinstance(error, ImportError)
    assert str(error) == (
        "module 'scipy.optimize' is not installed here; it belongs to the extra 'tpc' of penstock. "
        "Install it with: pip install 'penstock[tpc]', or run this where it is installed, such as in the image of its lane."
    )


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'mapping'", name="mapping"),
        ModuleNotFoundError("raised by hand"),
        ImportError("cannot import name 'x' from 'scipy'", name="scipy"),
    ],
    ids=["a user's module", "without a name", "a broken installation"],
)
def test_what_no_extra_would_mend_stays_as_it_is(error: ImportError) -> None:
    assert missing_extra(error, REQUIREMENTS) is None


def test_the_extras_of_the_installed_package_are_read_from_its_metadata() -> None:
    error = missing_extra(ModuleNotFoundError("No module named 'cupy'", name="cupy"))

    assert isinstance(error, MissingExtra)
    assert "'penstock[gpu]'" in str(error)
