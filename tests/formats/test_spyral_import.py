"""A Spyral workspace read as raw data, and taken over as results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.core.errors import BadRun
from penstock.core.schema import Records, Rejection
from penstock.formats.spyral.clouds import write_clusters, write_points
from penstock.formats.spyral.layout import find_runs
from penstock.formats.spyral.reader import SpyralRun
from penstock.formats.spyral.tables import write_estimates, write_fits
from penstock.instruments.spyral import clusters as clusters_stage
from penstock.instruments.spyral import estimates as estimates_stage
from penstock.instruments.spyral import fits as fits_stage
from penstock.instruments.spyral import points as points_stage
from penstock.testing import StageContract, explain_difference
from penstock.tpc.imported import ImportParams, take_clusters, take_estimates, take_fits, take_points


@pytest.fixture
def workspace(points, clusters, estimates, fits, tmp_path) -> Path:
    write_points([points], tmp_path / "Pointcloud/run_0094.h5", most_pulses=2)
    write_clusters([clusters], tmp_path / "Cluster/run_0094.h5", most_pulses=2)
    write_estimates([estimates], tmp_path / "Estimation/run_0094.parquet", most_pulses=2)
    write_fits([fits], tmp_path / "InterpSolver", 94)
    return tmp_path


def opened(workspace: Path) -> SpyralRun:
    return SpyralRun(*find_runs(workspace)[94].values())


def without(records: Records, position: int) -> Records:
    """The records without one event."""
    return type(records).concatenate([records.part(0, position), records.part(position + 1, records.n_events)])


def test_the_events_are_those_of_the_files(workspace) -> None:
    with opened(workspace) as run:
        assert run.numbers.tolist() == [3, 4, 5, 8]
        assert (run.n_events, run.bytes_per_event > 1000) == (4, True)


def test_points_come_back_as_they_were_exported(workspace, points) -> None:
    with opened(workspace) as run:
        found = take_points(run.read(0, 4), ImportParams())
    expected = without(points, 3)
    for name in ("x", "y", "amplitude", "integral", "time", "pad", "scale"):
        np.testing.assert_array_equal(found["points"][name], expected["points"][name])
    np.testing.assert_allclose(found["points"]["z"], expected["points"]["z"], atol=1e-4)
    np.testing.assert_array_equal(found["events"]["event"], expected["events"]["event"])
    np.testing.assert_array_equal(found["events"]["ic_amplitude"], expected["events"]["ic_amplitude"])
    np.testing.assert_array_equal(found.offsets["points"], expected.offsets["points"])


def test_what_spyral_does_not_keep_of_an_event_is_marked_as_absent(workspace) -> None:
    with opened(workspace) as run:
        found = take_points(run.read(0, 4), ImportParams())
    assert found["events"]["trigger"].tolist() == [-1] * 4
    assert found["events"]["timestamp"].tolist() == [0] * 4


def test_clusters_come_back_with_their_rows_in_the_clouds(workspace, clusters) -> None:
    with opened(workspace) as run:
        found = take_clusters(run.read(0, 4), ImportParams())
    expected = without(clusters, 3)
    for name in ("x", "y", "integral", "scale", "index"):
        np.testing.assert_array_equal(found["points"][name], expected["points"][name])
    np.testing.assert_array_equal(found["clusters"]["direction"], expected["clusters"]["direction"])
    np.testing.assert_array_equal(found["clusters"]["label"], expected["clusters"]["label"])
    np.testing.assert_array_equal(found.offsets["points"], expected.offsets["points"])


def test_without_clouds_the_rows_of_clustered_points_are_not_known(workspace) -> None:
    (workspace / "Pointcloud/run_0094.h5").unlink()
    with opened(workspace) as run:
        found = take_clusters(run.read(0, 4), ImportParams())
    assert set(found["points"]["index"].tolist()) == {-1}


def test_estimates_come_back_bit_for_bit(workspace, estimates) -> None:
    with opened(workspace) as run:
        found = take_estimates(run.read(0, 4), ImportParams())
    expected = without(estimates, 3)
    assert explain_difference(found, type(found)(n_events=4, columns=expected.columns, offsets=expected.offsets)) == ""


def test_fits_come_back_in_millimetres_without_what_spyral_does_not_keep(workspace, fits) -> None:
    with opened(workspace) as run:
        found = take_fits(run.read(0, 4), ImportParams())
    rows, expected = found["fits"], fits["fits"]
    assert rows["Z"].tolist() == [1, 1, 2]
    np.testing.assert_allclose(rows["vertex_z"], expected["vertex_z"], rtol=1e-14)
    np.testing.assert_array_equal(rows["ke"], expected["ke"])
    assert rows["status"].tolist() == [3] * 3
    assert np.isnan(rows["cov_brho_polar"]).all()
    assert rows["ic_multiplicity"].tolist() == [1.0, 2.0, 2.0]
    assert len(found["left_out"]["event"]) == 0


@pytest.mark.parametrize("step", [1, 2])
def test_events_are_read_alone_as_in_a_block(workspace, step) -> None:
    with opened(workspace) as run:
        whole = take_clusters(run.read(0, 4, step), ImportParams())
        alone = [take_clusters(run.read(i, i + 1), ImportParams()) for i in range(0, 4, step)]
    assert explain_difference(whole, type(whole).concatenate(alone)) == ""


def test_an_event_that_one_file_lacks_is_rejected_with_the_reason(workspace) -> None:
    with h5py.File(workspace / "Cluster/run_0094.h5", "a") as file:
        del file["cluster/event_5"]
    with opened(workspace) as run:
        assert run.n_events == 4
        found = take_clusters(run.read(0, 4), ImportParams())
    assert found.rejections == [Rejection(2, "the workspace has no group of clusters of the event")]


def test_an_event_of_the_wrong_shape_is_rejected_with_the_reason(workspace) -> None:
    with h5py.File(workspace / "Pointcloud/run_0094.h5", "a") as file:
        del file["cloud/cloud_5"]
        file["cloud"].create_dataset("cloud_5", data=np.zeros((6, 3)))
    with opened(workspace) as run:
        found = take_points(run.read(0, 4), ImportParams())
    assert found.rejections == [Rejection(2, "the point cloud in the workspace has the wrong shape")]
    assert np.diff(found.offsets["points"]).tolist() == [4, 0, 0, 12]


def test_tables_that_nobody_asks_for_are_not_read(workspace) -> None:
    (workspace / "Cluster/run_0094.h5").unlink()
    with opened(workspace) as run:
        block = run.read(0, 4)
        assert len(block["points"]["x"]) == 22
        with pytest.raises(BadRun, match="run 94: the workspace has no file of it in Cluster"):
            block["clusters"]


def test_estimates_alone_make_a_run(workspace) -> None:
    with SpyralRun(workspace / "Estimation/run_0094.parquet") as run:
        assert run.numbers.tolist() == [3, 8]
        assert np.diff(take_estimates(run.read(0, 2), ImportParams()).offsets["estimates"]).tolist() == [1, 2]


def test_a_table_without_columns_has_no_rows(workspace) -> None:
    pq.write_table(pa.table({}), workspace / "Estimation/run_0094.parquet")
    with opened(workspace) as run:
        assert take_estimates(run.read(0, 4), ImportParams()).offsets["estimates"].tolist() == [0] * 5


def test_a_table_of_another_kind_is_refused_with_the_columns(workspace) -> None:
    pq.write_table(pa.table({"event": [3], "brho": [0.3]}), workspace / "Estimation/run_0094.parquet")
    with pytest.raises(BadRun, match=r"run_0094.parquet: no column cluster_index, .*It is not the output of Spyral 1.x"):
        opened(workspace)


def test_files_of_two_analyses_are_refused(workspace, estimates) -> None:
    estimates["estimates"]["event"][0] = 99
    write_estimates([estimates], workspace / "Estimation/run_0094.parquet")
    with pytest.raises(BadRun, match="run 94: event 99 has estimates or fits, but no cloud and no clusters"):
        opened(workspace)


@pytest.mark.parametrize("name", ["Pointcloud/run_0094.h5", "Estimation/run_0094.parquet"], ids=["HDF5", "Parquet"])
def test_a_file_that_is_cut_short_is_refused_by_name(workspace, name) -> None:
    path = workspace / name
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadRun, match=rf"{path.name}: not a whole (HDF5|Parquet) file"):
        opened(workspace)


def test_a_file_of_another_kind_is_refused_by_its_group(workspace) -> None:
    with h5py.File(workspace / "Cluster/run_0094.h5", "w") as file:
        file.create_group("events")
    with pytest.raises(BadRun, match=r"run_0094\.h5: no group 'cluster', so it is not the output of Spyral's phase Cluster"):
        opened(workspace)


class OnWorkspace(StageContract):
    """Tries a stage on the workspace."""

    @pytest.fixture(autouse=True)
    def _open(self, workspace: Path) -> None:
        self.run = opened(workspace)

    def inputs(self) -> Mapping[str, Records]:
        return {"workspace": self.run.read(0, 4)}


class TestPoints(OnWorkspace):
    stage = points_stage


class TestClusters(OnWorkspace):
    stage = clusters_stage


class TestEstimates(OnWorkspace):
    stage = estimates_stage


class TestFits(OnWorkspace):
    stage = fits_stage
