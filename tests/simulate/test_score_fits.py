from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.simulate.score_fits import score_fits

Columns = dict[str, NDArray[Any]]


def truth(n: int = 200, **changes: Any) -> Columns:
    rng = np.random.default_rng(1)
    columns = {
        "event": np.arange(n),
        "ke": rng.uniform(2, 5, n),
        "polar": rng.uniform(0.5, 1.3, n),
        "azimuthal": rng.uniform(0, 6.28, n),
        "vertex_z": rng.uniform(200, 500, n),
        "trigger": np.ones(n, int),
        "ic_amplitude": np.full(n, 1100.0),
        "ic_multiplicity": np.ones(n, int),
    }
    columns["brho"] = 0.1445 * np.sqrt(columns["ke"])
    return columns | changes


def fits_of(true: Columns, *, bias: float = 0.0, width: float = 1.0) -> Columns:
    """Fits with errors of one standard deviation times `width`, off by `bias` standard deviations."""
    rng = np.random.default_rng(2)
    n = len(true["event"])
    sigma = {"ke": 0.003, "polar": 0.001, "azimuthal": 0.02, "vertex_z": 1.0}
    fits = {name: true[name] + s * (bias + width * rng.standard_normal(n)) for name, s in sigma.items()}
    fits |= {
        f"sigma_{short}": np.full(n, sigma[name])
        for short, name in (("ke", "ke"), ("polar", "polar"), ("azimuthal", "azimuthal"), ("vz", "vertex_z"))
    }
    return fits | {"event": true["event"], "brho": 0.1445 * np.sqrt(fits["ke"]), "status": np.zeros(n, int), "points": np.full(n, 300)}


def rows(columns: Columns, chosen: Any) -> Columns:
    return {name: values[chosen] for name, values in columns.items()}


def test_errors_of_known_size_give_their_pulls() -> None:
    true = truth(4000)

    score = score_fits(fits_of(true, bias=0.5, width=1.2), true)

    for pull in (score.pull_ke, score.pull_polar, score.pull_azimuthal, score.pull_vertex_z):
        assert pull.width.value == pytest.approx(1.2, abs=4 * pull.width.error)
        assert pull.mean.value == pytest.approx(0.5, abs=4 * pull.mean.error)
    assert score.vertex_z_bias_mm.value == pytest.approx(0.5, abs=0.1)
    assert score.fitted.value == score.good.value == 1.0


def test_missing_and_surplus_rows_are_counted() -> None:
    true = truth(100)
    fits = rows(fits_of(true), np.r_[0:90, 0:10])

    score = score_fits(fits, true)

    assert (score.tracks, score.fitted.value) == (100, 0.9)
    assert score.surplus.value == pytest.approx(0.1)


def test_down_scale_and_gated_events_do_not_count_and_pile_up_counts_apart() -> None:
    true = truth(100)
    true["trigger"][:10], true["ic_amplitude"][10:15], true["ic_multiplicity"][15:35] = 2, 700.0, 2

    score = score_fits(rows(fits_of(true), np.r_[34:100]), true)

    assert (score.tracks, score.pileup_tracks) == (65, 20)
    assert (score.fitted.value, score.pileup_rejected.value) == (1.0, 0.95)


def test_azimuth_is_compared_across_its_seam() -> None:
    true = truth(50, azimuthal=np.full(50, 0.001))
    fits = fits_of(true)
    fits["azimuthal"] = np.full(50, 2 * np.pi - 0.001)

    assert abs(score_fits(fits, true).pull_azimuthal.mean.value) < 0.2


def test_fit_that_did_not_converge_is_fitted_but_not_good() -> None:
    true = truth(10)
    fits = fits_of(true)
    fits["status"][0] = 1

    score = score_fits(fits, true)

    assert (score.fitted.value, score.good.value) == (1.0, 0.9)


def test_nothing_to_score_gives_nan() -> None:
    true = truth(4)

    score = score_fits(rows(fits_of(true), np.s_[:0]), true)

    assert np.isnan(score.ke_bias.value)
    assert np.isnan(score.pull_ke.width.value)
    assert score.fitted.value == 0.0


def test_lines_name_every_figure() -> None:
    true = truth(20)

    lines = score_fits(fits_of(true), true).lines()

    assert any(line.startswith("pull_ke") and "width" in line for line in lines)
    assert len(lines) == 18
