from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from pyarrow import parquet

from penstock.simulate.tpc_events import TrackTruth, simulate_event
from penstock.simulate.tpc_runs import truth_path, write_run
from penstock.simulate.tpc_settings import TpcSimulation

SETTINGS = TpcSimulation(seed=3, particles=("p", "p"))


def test_a_folder_gets_a_file_named_after_the_run(tmp_path: Path) -> None:
    path = write_run(tmp_path / "raw", SETTINGS, 12, 1)

    assert sorted(p.name for p in (tmp_path / "raw").iterdir()) == ["run_0012.h5", "run_0012.truth.parquet"]
    assert path == tmp_path / "raw" / "run_0012.h5"


def test_the_file_holds_the_simulated_events(tmp_path: Path) -> None:
    path = write_run(tmp_path, SETTINGS, 1, 3)
    expected = simulate_event(SETTINGS, 1, 2)
    assert expected.frib is not None

    with h5py.File(path) as file:
        assert np.array_equal(file["events/event_2/get_traces"][:], expected.trace_matrix())
        assert np.array_equal(file["events/event_2/frib_physics/1903"][:], expected.frib)
        assert len(file["scalers"]) == SETTINGS.scaler_records


def test_truth_has_a_row_a_track(tmp_path: Path) -> None:
    path = write_run(tmp_path, SETTINGS, 1, 2)
    expected = [row for number in range(2) for row in simulate_event(SETTINGS, 1, number).truth]

    table = parquet.read_table(truth_path(path))

    assert table.to_pylist() == expected
    assert table.column_names == list(TrackTruth.__annotations__)


def test_truth_names_units_and_settings(tmp_path: Path) -> None:
    schema = parquet.read_schema(truth_path(write_run(tmp_path, SETTINGS, 1, 1)))

    assert schema.field("brho").metadata[b"unit"].decode() == "T·m"
    assert TpcSimulation.model_validate_json(schema.metadata[b"settings"]) == SETTINGS


def test_the_same_run_has_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_run(tmp_path / name, SETTINGS, 1, 2, compression="gzip") for name in "ab")

    assert first.read_bytes() == second.read_bytes()
    assert truth_path(first).read_bytes() == truth_path(second).read_bytes()


def test_a_run_without_events_can_be_written(tmp_path: Path) -> None:
    path = write_run(tmp_path, SETTINGS, 1, 0)

    assert parquet.read_table(truth_path(path)).num_rows == 0


@pytest.mark.parametrize("auxiliary", [True, False], ids=["with", "without"])
def test_auxiliary_detectors_are_written_when_they_are_there(tmp_path: Path, auxiliary: bool) -> None:
    path = write_run(tmp_path, SETTINGS.model_copy(update={"auxiliary": auxiliary}), 1, 1)

    with h5py.File(path) as file:
        assert ("frib_physics" in file["events/event_0"]) is auxiliary
