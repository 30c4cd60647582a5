from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from toyfiles import matrix, raw_event, rejections, replace, run_file, sis

from penstock.core.errors import BadEvent, BadRun
from penstock.formats.attpc import AttpcRun, _events
from penstock.formats.attpc_write import LAYOUTS, Layout, ScalerRecord, write_run_file

RUN_TO_READ = Path(__file__).parents[3] / "shared/data/tpc"


@pytest.mark.parametrize("compression", ["none", "gzip", "lzf"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_all_events_as_written(tmp_path: Path, layout: Layout, compression: str) -> None:
    with AttpcRun(run_file(tmp_path, layout, compression=compression)) as run:
        traces = run.read(0, run.n_events)

    assert traces["events"]["event"].tolist() == [3, 4, 5]
    assert traces["events"]["timestamp"].tolist() == [1003, 1004, 1005]
    assert traces["events"]["coincidence"].tolist() == [1, 1, 1]
    assert traces.offsets["pads"].tolist() == [0, 4, 8, 12]
    assert np.array_equal(traces.pad_samples, np.concatenate([matrix(n)[:, 5:] for n in (3, 4, 5)]))
    assert traces["pads"]["pad"].tolist() == np.concatenate([matrix(n)[:, 4] for n in (3, 4, 5)]).tolist()
    assert np.array_equal(traces.frib_samples, np.concatenate([sis(n).T for n in (3, 4, 5)]))
    assert traces["frib"]["channel"].tolist() == 3 * list(range(8))
    assert traces.rejections == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_have_the_types_of_the_schema(tmp_path: Path, layout: Layout) -> None:
    with AttpcRun(run_file(tmp_path, layout)) as run:
        traces = run.read(0, 1)

    found = {f"{t.name}.{c.name}": traces[t.name][c.name].dtype for t in traces.tables for c in t.columns}
    assert found == {f"{t.name}.{c.name}": np.dtype(c.dtype) for t in traces.tables for c in t.columns}


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "harmonizer"])
def test_events_come_from_the_run_of_the_file(tmp_path: Path, layout: Layout) -> None:
    with AttpcRun(run_file(tmp_path, layout)) as run:
        events = run.read(0, 3)["events"]

    assert (events["orig_run"].tolist(), events["orig_event"].tolist()) == ([42, 42, 42], [3, 4, 5])


def test_regrouped_events_keep_their_run_and_number(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path, "harmonizer")) as run:
        events = run.read(0, 3)["events"]

    assert (events["orig_run"].tolist(), events["orig_event"].tolist()) == ([7, 7, 7], [53, 54, 55])


def test_a_file_of_another_name_has_the_run_number_that_it_states(tmp_path: Path) -> None:
    path = run_file(tmp_path).rename(tmp_path / "latest.h5")

    with AttpcRun(path) as run:
        assert run.number == 42


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_event_that_the_file_does_not_hold_is_empty(tmp_path: Path, layout: Layout) -> None:
    with AttpcRun(run_file(tmp_path, layout, (raw_event(3), raw_event(5)))) as run:
        traces = run.read(0, 3)

    assert np.diff(traces.offsets["pads"]).tolist() == [4, 0, 4]
    assert traces["events"]["coincidence"].tolist() == [1, -1, 1]
    assert traces.rejections == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_event_without_pads_keeps_its_other_detectors(tmp_path: Path, layout: Layout) -> None:
    with AttpcRun(run_file(tmp_path, layout, (raw_event(3, traces=None, register=2),))) as run:
        traces = run.read(0, 1)

    assert (len(traces.pad_samples), len(traces.frib_samples), traces["events"]["coincidence"].tolist()) == (0, 8, [2])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_event_without_other_detectors_keeps_its_pads(tmp_path: Path, layout: Layout) -> None:
    with AttpcRun(run_file(tmp_path, layout, (raw_event(3, frib=None, register=None),))) as run:
        traces = run.read(0, 1)

    assert (len(traces.pad_samples), len(traces.frib_samples), traces["events"]["coincidence"].tolist()) == (4, 0, [-1])


@pytest.mark.parametrize("missing", ["frib", "register"])
def test_one_of_the_two_auxiliary_datasets_may_be_missing(tmp_path: Path, missing: str) -> None:
    assert rejections(run_file(tmp_path, events=(raw_event(3, **{missing: None}),))) == []


def test_silicon_sets_are_read_under_either_spelling(tmp_path: Path) -> None:
    event = raw_event(3, silicon={"upstream_front": matrix(77, 2)})
    found = []
    for layout in ("merger-2.0", "merger-2.0-silicon"):
        with AttpcRun(write_run_file(tmp_path / f"{layout}.h5", 1, [event], layout=layout)) as run:
            found.append(run.read_silicon(3))

    assert np.array_equal(found[0]["upstream_front"], matrix(77, 2))
    assert [sorted(f) for f in found] == 2 * [["downstream_back", "downstream_front", "upstream_back", "upstream_front"]]
    assert np.array_equal(found[1]["upstream_front"], matrix(77, 2))


def test_silicon_sets_may_be_missing(tmp_path: Path) -> None:
    path = run_file(tmp_path, "merger-2.0")
    with h5py.File(path, "r+") as file:
        del file["events/event_3/get/si_upstream_front"]

    assert rejections(path) == []


def test_positions_may_be_any_list(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path)) as run:
        traces = run.read_positions([2, 0])

    assert traces["events"]["event"].tolist() == [5, 3]
    assert np.array_equal(traces.pad_samples[:4], matrix(5)[:, 5:])


def test_a_step_leaves_events_out(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path)) as run:
        assert run.read(0, 3, 2)["events"]["event"].tolist() == [3, 5]


def test_positions_outside_of_the_run_are_refused(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path)) as run, pytest.raises(IndexError, match="has positions 0 to 2, asked for 1 to 3"):
        run.read(1, 4)


def test_auxiliary_traces_of_different_length_are_padded(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path, events=(raw_event(3, frib=sis(3, 40)), raw_event(4)))) as run:
        traces = run.read(0, 2)

    assert traces.frib_lengths.tolist() == 8 * [40] + 8 * [64]
    assert np.array_equal(traces.frib_samples[:8, :40], sis(3, 40).T)
    assert not traces.frib_samples[:8, 40:].any()


@pytest.mark.parametrize(
    "data, reason",
    [
        (matrix(4, columns=261), "GET matrix has the shape (4, 261), expected (traces, 517): 512 samples a trace"),
        (matrix(4)[0], "GET matrix has the shape (517,), expected (traces, 517): 512 samples a trace"),
        (np.full((4, 517), np.nan), "GET matrix holds values that are not finite"),
        (np.full((4, 517), 70_000, np.int32), "GET matrix holds values from 70000 to 70000, expected -32768 to 32767"),
        (np.full((4, 517), b"x"), "GET matrix has the type |S1, expected integers"),
    ],
    ids=["short traces", "one row", "NaN", "beyond 16 bits", "text"],
)
def test_an_event_with_a_bad_matrix_is_rejected_alone(tmp_path: Path, data: Any, reason: str) -> None:
    path = run_file(tmp_path)
    replace(path, "events/event_4/get_traces", data)

    with AttpcRun(path) as run:
        traces = run.read(0, 3)

    assert [(r.index, r.reason, r.excluded) for r in traces.rejections] == [(1, reason, False)]
    assert np.diff(traces.offsets["pads"]).tolist() == [4, 0, 4]
    assert np.array_equal(traces.pad_samples[4:], matrix(5)[:, 5:])
    assert np.diff(traces.offsets["frib"]).tolist() == [8, 0, 8]


def test_a_block_of_nothing_but_a_rejected_event_is_empty(tmp_path: Path) -> None:
    path = run_file(tmp_path, events=(raw_event(3),))
    replace(path, "events/event_3/get_traces", np.full((4, 517), np.inf))

    with AttpcRun(path) as run:
        traces = run.read(0, 1)

    assert (len(traces.pad_samples), len(traces.frib_samples), len(traces.rejections)) == (0, 0, 1)


@pytest.mark.parametrize("dtype", ["<i4", ">i2", "<u2", "<f8", "<i8"])
def test_other_number_types_give_the_same_traces(tmp_path: Path, dtype: str) -> None:
    path = run_file(tmp_path)
    replace(path, "events/event_4/get_traces", matrix(4).astype(dtype))

    with AttpcRun(path) as run:
        assert np.array_equal(run.read(1, 2).pad_samples, matrix(4)[:, 5:])


@pytest.mark.parametrize("shape", [(8,), (0, 8)], ids=["one dimension", "no samples"])
def test_an_event_with_a_bad_auxiliary_matrix_is_rejected(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = run_file(tmp_path)
    replace(path, "events/event_4/frib_physics/1903", np.zeros(shape, np.uint16))

    assert rejections(path) == [(1, f"SIS3300 matrix has the shape {shape}, expected (samples, channels)")]


def test_an_event_with_a_damaged_chunk_is_rejected_alone(tmp_path: Path) -> None:
    path = run_file(tmp_path, compression="gzip")
    with h5py.File(path) as file:
        chunk = file["events/event_4/get_traces"].id.get_chunk_info(0)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * 40)

    [(index, reason)] = rejections(path)

    assert index == 1
    assert reason.startswith("unreadable: Can't synchronously read data (filter returned failure")


def test_an_event_whose_dataset_is_a_group_is_rejected(tmp_path: Path) -> None:
    path = run_file(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["events/event_4/get_traces"]
        file.create_group("events/event_4/get_traces")

    [(index, reason)] = rejections(path)

    assert index == 1
    assert reason.startswith("unreadable: ")


@pytest.mark.parametrize("start", [0, 1, 2], ids=["in one block", "first apart", "alone"])
def test_the_second_of_two_copies_of_an_event_is_rejected_in_any_block(tmp_path: Path, start: int) -> None:
    path = run_file(tmp_path, "harmonizer", (raw_event(3), raw_event(4), raw_event(5, orig_event=53)))

    with AttpcRun(path) as run:
        found = run.read(start, 3).rejections

    assert [(r.index + start, r.reason) for r in found] == [(2, "event 5 repeats event 53 of run 7, which stands in this file as event 3")]


def test_an_error_of_the_disk_is_no_rejection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("penstock.formats.attpc._block.read_get", fail)

    with AttpcRun(run_file(tmp_path)) as run, pytest.raises(OSError, match="Input/output error"):
        run.read(0, 1)


def test_hdf5_passes_on_the_errno_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        h5py.File(tmp_path, "r")

    assert _events.damage(caught.value) is None


def test_a_filter_that_is_not_installed_is_no_rejection() -> None:
    assert _events.damage(OSError("Can't synchronously read data (required filter 'zfp' is not registered)")) is None


def test_a_legacy_range_may_be_stored_as_floats(tmp_path: Path) -> None:
    path = run_file(tmp_path, "legacy")
    replace(path, "meta/meta", np.array([3.0, 0.0, 5.0, 0.0]))

    with AttpcRun(path) as run:
        assert run.events.tolist() == [3, 4, 5]


def test_a_legacy_file_may_lack_the_auxiliary_part(tmp_path: Path) -> None:
    path = run_file(tmp_path, "legacy")
    with h5py.File(path, "r+") as file:
        del file["frib"]

    with AttpcRun(path) as run:
        assert len(run.read(0, 3).pad_samples) == 12
        assert run.scalers()["scalers"]["record"].tolist() == []


@pytest.mark.parametrize("layout", ["legacy", "merger-1.0", "merger-2.0"])
def test_all_scaler_records_are_read_despite_gaps(tmp_path: Path, layout: Layout) -> None:
    records = [ScalerRecord(np.arange(16, dtype=np.uint32) + k, k, k + 1, 10 * k) for k in range(4)]
    path = run_file(tmp_path, layout, scalers=records)
    with h5py.File(path, "r+") as file:
        del file["frib/scaler/scaler1_data" if layout == "legacy" else "scalers/event_1"]

    with AttpcRun(path) as run:
        scalers = run.scalers()["scalers"]

    assert scalers["record"].tolist() == [0, 2, 3]
    assert scalers["clock_free"].tolist() == [0, 2, 3]
    assert scalers["ic_cfd"].tolist() == [10, 12, 13]
    assert scalers["timestamp"].tolist() == [0, 20, 30]


def test_a_short_scaler_record_leaves_words_unknown(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path, scalers=[ScalerRecord(np.arange(3, dtype=np.uint32), 0, 1, 2)])) as run:
        scalers = run.scalers()["scalers"]

    assert (scalers["trigger_free"].tolist(), scalers["ic_cfd"].tolist()) == ([2], [-1])


def test_scalers_that_cannot_be_read_are_a_bad_run(tmp_path: Path) -> None:
    path = run_file(tmp_path, scalers=[ScalerRecord(np.arange(16, dtype=np.uint32), 0, 1, 2)])
    replace(path, "scalers/event_0", ["text"])

    with AttpcRun(path) as run, pytest.raises(BadRun, match=r": its scalers cannot be read: .*\. Merge the run again\."):
        run.scalers()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_raw_matrices_are_those_of_the_file(tmp_path: Path, layout: Layout) -> None:
    with AttpcRun(run_file(tmp_path, layout)) as run:
        assert np.array_equal(run.read_raw(4), matrix(4))
        assert np.array_equal(run.read_raw_frib(4), sis(4))  # type: ignore[arg-type]


def test_the_raw_matrix_of_an_event_without_pads_has_no_rows(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path, events=(raw_event(3, traces=None),))) as run:
        assert run.read_raw(3).shape == (0, 517)


def test_a_raw_event_outside_of_the_run_is_refused(tmp_path: Path) -> None:
    path = run_file(tmp_path)

    with AttpcRun(path) as run, pytest.raises(BadEvent) as caught:
        run.read_raw(6)

    assert str(caught.value) == f"run file {str(path)!r} has events 3 to 5, asked for 6"


def test_the_memory_of_an_event_is_estimated_from_a_few(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path)) as run:
        assert run.bytes_per_event == 4 * 517 * 2 + 64 * 8 * 2


@pytest.mark.parametrize("run_number, events", [(1, 30), (2, 12), (3, 10), (4, 6)])
def test_recorded_layouts_of_other_writers_read_whole(run_number: int, events: int) -> None:
    path = RUN_TO_READ / f"run_{run_number:04d}.h5"
    if not path.exists():
        pytest.skip("the files of the other writer are not here")

    with AttpcRun(path) as run:
        traces = run.read(0, run.n_events)

    assert (traces.n_events, traces.rejections) == (events, [])
    assert (np.diff(traces.offsets["pads"]) > 0).all()
