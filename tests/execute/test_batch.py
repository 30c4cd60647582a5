"""What a batch says of an error."""

from __future__ import annotations

import pytest

from penstock.core.errors import BadRun
from penstock.execute._batch import describe


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("first line\nsecond line"), "ValueError: first line"),
        (KeyError(), "KeyError: KeyError()"),
        (BadRun("run 3: no events"), "run 3: no events"),
    ],
    ids=["many lines", "no text", "ours"],
)
def test_an_error_is_told_in_one_line(error, text):
    assert describe(error) == text
