from __future__ import annotations

import pytest

from penstock.core import errors


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.PipelineError, ValueError),
        (errors.RunMissing, FileNotFoundError),
        (errors.BadRun, ValueError),
        (errors.BadEvent, ValueError),
        (errors.StoreError, OSError),
        (errors.ArtifactMissing, OSError),
        (errors.DamagedArtifact, OSError),
        (errors.SameKeyOtherBytes, OSError),
        (errors.LaneMissing, RuntimeError),
        (errors.CodeMismatch, RuntimeError),
        (errors.RunCancelled, RuntimeError),
    ],
)
def test_each_error_is_ours_and_of_the_fitting_builtin(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, errors.PenstockError)
    assert issubclass(error, builtin)


def test_the_nearest_word_is_proposed() -> None:
    assert errors.nearest("min_pints", ["min_points", "max_points"]) == " Did you mean 'min_points'?"


def test_nothing_is_proposed_where_nothing_is_near() -> None:
    assert errors.nearest("xyz", ["min_points"]) == ""
