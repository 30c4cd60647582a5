"""Estimates, fits and scalers in the layout of a Spyral workspace."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.core.errors import ConfigError
from penstock.formats.spyral.layout import find_runs, isotope_name, parse_isotope, run_name
from penstock.formats.spyral.tables import FIT_COLUMNS, SCALER_COLUMNS, count_gated_downscale, write_estimates, write_fits, write_scalers
from penstock.tpc.schemas import Estimates

WHOLE = ("event", "cluster_index", "cluster_label", "orig_run", "orig_event", "direction")


def test_estimates_have_the_columns_of_spyral_in_its_order_and_types(estimates, tmp_path) -> None:
    write_estimates([estimates], tmp_path / "run.parquet")
    table = pq.read_table(tmp_path / "run.parquet")
    assert table.column_names == [c.name for c in Estimates.table("estimates").columns]
    assert {f.name: f.type for f in table.schema} == {n: pa.int64() if n in WHOLE else pa.float64() for n in table.column_names}
    np.testing.assert_array_equal(table["brho"], estimates["estimates"]["brho"])


def test_estimates_of_an_event_with_two_beam_particles_lose_the_ion_chamber(estimates, tmp_path) -> None:
    write_estimates([estimates], tmp_path / "run.parquet")
    assert pq.read_table(tmp_path / "run.parquet")["ic_amplitude"].to_pylist() == [1100.0, -1.0, -1.0]


def test_a_run_without_estimates_keeps_the_columns(estimates, tmp_path) -> None:
    write_estimates([estimates.part(1, 4)], tmp_path / "run.parquet")
    table = pq.read_table(tmp_path / "run.parquet")
    assert (table.num_rows, table.num_columns) == (0, 23)


def test_fits_go_into_a_file_an_isotope_with_lengths_in_metres(fits, tmp_path) -> None:
    written = write_fits([fits], tmp_path, 94)
    assert [p.name for p in written] == ["run_0094_1H.parquet", "run_0094_4He.parquet"]
    table = pq.read_table(written[0])
    assert tuple(table.column_names) == tuple(FIT_COLUMNS)
    assert {f.name: f.type for f in table.schema} == {n: pa.int64() if n in WHOLE else pa.float64() for n in FIT_COLUMNS}
    np.testing.assert_allclose(table["vertex_z"], fits["fits"]["vertex_z"][:2] / 1000.0, rtol=1e-15)
    np.testing.assert_allclose(table["sigma_vx"], fits["fits"]["sigma_vx"][:2] / 1000.0, rtol=1e-15)
    np.testing.assert_array_equal(table["ke"], fits["fits"]["ke"][:2])


def test_scalers_are_whole_numbers_by_record(tmp_path) -> None:
    columns = {name: np.arange(3) + k for k, name in enumerate(SCALER_COLUMNS)}
    write_scalers({"record": columns["event"], **columns}, tmp_path / "run.parquet")
    table = pq.read_table(tmp_path / "run.parquet")
    assert tuple(table.column_names) == tuple(SCALER_COLUMNS)
    assert set(table.schema.types) == {pa.int64()}
    assert table["ic_cfd"].to_pylist() == [11, 12, 13]


def test_gated_down_scale_events_are_counted_among_the_excluded(points) -> None:
    assert count_gated_downscale([points.part(0, 2), points.part(2, 5)], 2, 1) == 1
    points["events"]["ic_multiplicity"][3] = 2
    assert count_gated_downscale([points], 2, 1) == 0


@pytest.mark.parametrize(("charge", "mass", "name"), [(1, 1, "1H"), (2, 4, "4He"), (92, 238, "238U")], ids=["proton", "alpha", "uranium"])
def test_isotopes_go_by_their_symbol(charge, mass, name) -> None:
    assert isotope_name(charge, mass) == name
    assert parse_isotope(name) == (charge, mass)


def test_an_isotope_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="isotope '4Xy': not of the form 1H or 4He"):
        parse_isotope("4Xy")


def test_files_of_runs_are_found_by_folder_and_name(tmp_path) -> None:
    names = ("Pointcloud/run_0094.h5", "Pointcloud/run_0094_scaler.parquet", "Cluster/run_12345.h5", "InterpSolver/run_0094_4He.parquet")
    for name in (*names, "InterpSolver/run_0095.parquet", "Estimation/notes.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_runs(tmp_path)
    assert {run: list(roles) for run, roles in found.items()} == {94: ["Pointcloud", "InterpSolver.4He"], 12345: ["Cluster"]}
    assert run_name(94) == "run_0094"
