"""What a batch says of an error."""

from __future__ import annotations

import pytest

from penstock.core.errors import BadRun
from penstock.execute._batch import describe, is_content


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


class CudaError(RuntimeError):
    """Like those of CuPy, which only exist where CuPy does."""

    __module__ = "cupy_backends.cuda.api.runtime"


@pytest.mark.parametrize(
    ("error", "content"), [(RuntimeError("odd values"), True), (CudaError("out of memory"), False), (OSError(), False)]
)
def test_only_what_would_fail_again_with_the_same_input_is_blamed_on_it(error, content):
    assert is_content(error) is content
