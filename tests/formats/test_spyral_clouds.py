"""Point clouds and clusters in the layout of a Spyral workspace."""

from __future__ import annotations

import h5py
import numpy as np

from penstock.core.schema import Rejection
from penstock.formats.spyral.clouds import distinct_heights, gate_ion_chamber, write_clusters, write_points

CHAMBER = ("ic_amplitude", "ic_integral", "ic_centroid", "ic_multiplicity")


def test_a_cloud_is_one_dataset_of_eight_columns_an_event(points, tmp_path) -> None:
    write_points([points], tmp_path / "Pointcloud/run_0094.h5")
    with h5py.File(tmp_path / "Pointcloud/run_0094.h5") as file:
        cloud = file["cloud/cloud_5"]
        assert (cloud.dtype, cloud.shape, cloud.compression) == (np.dtype("f8"), (6, 8), None)
        mine = points["points"]
        for place, name in enumerate(("x", "y", "z", "amplitude", "integral", "pad", "time", "scale")):
            np.testing.assert_array_equal(cloud[:, place], mine[name][4:10].astype("f8"))


def test_every_event_but_those_left_out_has_a_cloud(points, tmp_path) -> None:
    write_points([points], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert sorted(file["cloud"]) == ["cloud_3", "cloud_4", "cloud_5", "cloud_8"]
        assert file["cloud/cloud_4"].shape == (0, 8)
        assert dict(file["cloud"].attrs) == {"min_event": 3, "max_event": 8}


def test_the_ion_chamber_stands_in_attributes_as_whole_numbers_but_for_the_amplitude(points, tmp_path) -> None:
    write_points([points], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        attributes = file["cloud/cloud_3"].attrs
        kinds = {name: attributes[name].dtype.str for name in attributes}
        assert [attributes[name] for name in CHAMBER] == [1100.0, 33000, 1210, 1]
        assert (attributes["orig_run"], attributes["orig_event"]) == (94, 3)
    assert kinds == dict.fromkeys(("orig_run", "orig_event", *CHAMBER[1:]), "<i8") | {"ic_amplitude": "<f8"}


def test_no_pulse_and_a_second_pulse_are_marked_with_minus_one(points, tmp_path) -> None:
    write_points([points], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        for event in (5, 8):
            values = [file[f"cloud/cloud_{event}"].attrs[name] for name in CHAMBER]
            assert [(v, v.dtype.str) for v in values] == [(-1.0, "<f8")] * 4


def test_two_pulses_are_kept_where_two_are_allowed(points) -> None:
    np.testing.assert_array_equal(gate_ion_chamber(points["events"], 2)["ic_multiplicity"], [1, 1, -1, 1, 2])


def test_points_at_the_same_height_are_set_apart_by_ten_nanometres(points, tmp_path) -> None:
    write_points([points], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        z = file["cloud/cloud_3"][:, 2]
    assert np.all(np.diff(z) > 0)
    np.testing.assert_allclose(z, points["points"]["z"][:4], atol=1.1e-5)


def test_heights_that_differ_are_left_alone() -> None:
    z = np.array([1.0, 2.0, 3.0])
    assert distinct_heights(z) is z
    np.testing.assert_allclose(distinct_heights(np.array([1.0, 1.0, 1.0, 1.00001])), [1.0, 1.00001, 1.00002, 1.00003], atol=1e-12)


def test_an_event_holds_its_clusters_in_order(clusters, tmp_path) -> None:
    write_clusters([clusters], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert sorted(file["cluster"]) == ["event_3", "event_4", "event_5", "event_8"]
        event = file["cluster/event_8"]
        assert (event.attrs["nclusters"], event.attrs["orig_run"], sorted(event)) == (2, 94, ["cluster_0", "cluster_1"])
        assert [event[name].attrs["label"] for name in sorted(event)] == [0, 2]
        assert (event["cluster_1/cloud"].shape, event["cluster_1/cloud"].dtype) == ((4, 5), np.dtype("f8"))
        for place, name in enumerate(("x", "y", "z", "integral", "scale")):
            np.testing.assert_array_equal(event["cluster_1/cloud"][:, place], clusters["points"][name][16:].astype("f8"))
        assert file["cluster/event_4"].attrs["nclusters"] == 0


def test_directions_are_numbered_as_spyral_does(clusters, tmp_path) -> None:
    write_clusters([clusters], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        found = [file[f"cluster/{name}"].attrs["direction"] for name in ("event_3/cluster_0", "event_5/cluster_0", "event_8/cluster_0")]
    assert [(v, v.dtype.str) for v in found] == [(0, "<i8"), (1, "<i8"), (-1, "<i8")]


def test_blocks_and_a_second_export_give_the_same_bytes(points, clusters, tmp_path) -> None:
    write_points([points], tmp_path / "one.h5")
    write_points([points.part(0, 2), points.part(2, 5)], tmp_path / "other.h5")
    write_clusters([clusters], tmp_path / "one_cluster.h5")
    write_clusters([clusters.part(0, 3), clusters.part(3, 5)], tmp_path / "other_cluster.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "other.h5").read_bytes()
    assert (tmp_path / "one_cluster.h5").read_bytes() == (tmp_path / "other_cluster.h5").read_bytes()


def test_a_run_without_events_has_an_empty_group(points, tmp_path) -> None:
    empty = points.part(0, 0)
    empty.rejections = list[Rejection]()
    write_points([empty], tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert (len(file["cloud"]), file["cloud"].attrs["min_event"], file["cloud"].attrs["max_event"]) == (0, 0, -1)
