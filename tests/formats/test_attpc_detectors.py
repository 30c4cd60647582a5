"""What run files hold besides the pads: silicon, the digitisers of the FRIB crate, its register, numbers and clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from toyfiles import matrix, raw_event, rejections, replace, run_file, sis

from penstock.formats.attpc import AttpcRun
from penstock.formats.attpc_write import LAYOUTS, Layout, RawEvent
from penstock.formats.traces import Traces

SILICON = {"upstream_front": matrix(70, 2), "downstream_back": matrix(71, 3)}
SIS3316 = np.vstack([np.array([[0, 5, 15]]), sis(9, 33)[:, :3]]).astype(np.uint16)


def read(folder: Path, *events: RawEvent, layout: Layout = "merger-2.0", **options: Any) -> Traces:
    with AttpcRun(run_file(folder, layout, events or (raw_event(3),))) as run:
        return run.read(0, run.n_events, **options)


@pytest.mark.parametrize("layout", ["merger-2.0", "merger-2.0-silicon"])
def test_silicon_traces_stand_in_a_table_of_their_own(tmp_path: Path, layout: Layout) -> None:
    traces = read(tmp_path, raw_event(3), raw_event(4, silicon=SILICON), layout=layout)

    assert traces.offsets["silicon"].tolist() == [0, 0, 5]
    assert traces["silicon"]["set"].tolist() == [0, 0, 3, 3, 3]
    assert np.array_equal(traces["silicon"]["samples"], np.concatenate([m[:, 5:] for m in SILICON.values()]))
    assert traces["silicon"]["strip"].tolist() == [*SILICON["upstream_front"][:, 4], *SILICON["downstream_back"][:, 4]]
    assert len(traces.pad_samples) == 8


def test_an_event_with_a_bad_silicon_matrix_is_rejected_where_silicon_is_read(tmp_path: Path) -> None:
    path = run_file(tmp_path, "merger-2.0")
    replace(path, "events/event_4/get/si_upstream_back", np.full((2, 517), np.inf))

    with AttpcRun(path) as run:
        all_tables, pads = run.read(0, 3), run.read(0, 3, tables=("pads", "frib"))

    assert [(r.index, r.reason) for r in all_tables.rejections] == [(1, "GET matrix holds values that are not finite")]
    assert np.diff(all_tables.offsets["pads"]).tolist() == [4, 0, 4]
    assert (pads.rejections, np.diff(pads.offsets["pads"]).tolist()) == ([], [4, 4, 4])


def test_what_is_not_asked_for_has_no_rows(tmp_path: Path) -> None:
    event = raw_event(3, silicon=SILICON, modules={1904: sis(4)})

    bare = read(tmp_path, event, tables=("pads",))
    some = read(tmp_path, event, tables=("pads", "frib"), modules=(1903,))

    assert {name: int(offsets[-1]) for name, offsets in bare.offsets.items()} == {"pads": 4, "silicon": 0, "frib": 0, "frib_samples": 0}
    assert np.unique(some["frib"]["module"]).tolist() == [1903]
    assert bare["events"]["parts"].tolist() == some["events"]["parts"].tolist() == [1 + 2 + 4 + 8 + 16 + 32]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, 63),
        ({"traces": None}, 2),
        ({"frib": None, "register": None}, 61),
        ({"frib": None}, 63),
        ({"sets": ("upstream_back",)}, 11),
        ({"traces": None, "frib": None, "register": None}, 0),
    ],
    ids=["all", "FRIB only", "GET only", "register only", "one silicon set", "nothing"],
)
def test_the_parts_of_an_event_are_named(tmp_path: Path, changes: dict[str, Any], parts: int) -> None:
    assert read(tmp_path, raw_event(3, **changes))["events"]["parts"].tolist() == [parts]


def test_a_rejected_event_has_no_parts(tmp_path: Path) -> None:
    path = run_file(tmp_path, "merger-2.0")
    replace(path, "events/event_4/get/pads", np.zeros(3, np.int16))

    with AttpcRun(path) as run:
        assert run.read(0, 3)["events"]["parts"].tolist() == [63, 0, 63]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_keeps_numbers_and_clocks(tmp_path: Path, layout: Layout) -> None:
    event = raw_event(3, get_event=8, timestamp_other=77, frib_event=9, frib_timestamp=11)

    events = read(tmp_path, event, layout=layout)["events"]

    found = {name: events[name].tolist() for name in ("event", "timestamp", "timestamp_other", "get_event", "frib_event", "frib_timestamp")}
    assert found == {
        "event": [3],
        "timestamp": [1003],
        "timestamp_other": [77],
        "get_event": [8],
        "frib_event": [9],
        "frib_timestamp": [11],
    }


def test_numbers_and_clocks_may_be_missing(tmp_path: Path) -> None:
    events = read(tmp_path, raw_event(3, get_event=-1, timestamp_other=-1, frib_event=-1, frib_timestamp=-1))["events"]

    assert [events[name].tolist() for name in ("get_event", "timestamp_other", "frib_event", "frib_timestamp")] == [[-1], [0], [-1], [-1]]


@pytest.mark.parametrize("layout", ["merger-2.0", "merger-1.0", "legacy"])
def test_modules_of_any_length_keep_their_samples_and_channels(tmp_path: Path, layout: Layout) -> None:
    modules = {1904: sis(4, 1), 1905: sis(5, 3000), 1906: SIS3316}

    traces = read(tmp_path, raw_event(3), raw_event(4, frib=None, modules=modules), layout=layout)

    frib = traces["frib"]
    assert np.diff(traces.offsets["frib"]).tolist() == [8, 19]
    assert frib["module"].tolist() == 8 * [1903] + 8 * [1904] + 8 * [1905] + 3 * [1906]
    assert frib["channel"].tolist() == [*range(8), *range(8), *range(8), 0, 5, 15]
    assert traces.frib_lengths.tolist() == 8 * [64] + 8 * [1] + 8 * [3000] + 3 * [33]
    assert np.array_equal(traces.frib_traces(np.arange(16, 24)), sis(5, 3000).T)
    assert np.array_equal(traces.frib_traces(np.arange(24, 27)), SIS3316[1:].T)


def test_an_event_of_the_frib_crate_alone_is_kept(tmp_path: Path) -> None:
    traces = read(tmp_path, raw_event(3, traces=None, frib=None, modules={1906: SIS3316}, register=2))

    assert (traces.rejections, len(traces.pad_samples), traces["frib"]["module"].tolist()) == ([], 0, [1906] * 3)
    assert traces["events"]["coincidence"].tolist() == [2]


@pytest.mark.parametrize("value", [0, 3, 4, 17, 65_535])
def test_a_register_of_any_value_is_kept_as_it_is(tmp_path: Path, value: int) -> None:
    assert read(tmp_path, raw_event(3, register=value))["events"]["coincidence"].tolist() == [value]


@pytest.mark.parametrize(
    ("data", "value"),
    [(np.zeros(0, np.uint16), -1), (np.array([2, 9], np.uint16), 2), (np.array(3.0), 3), (np.array([[1]], np.int64), 1)],
    ids=["empty", "two words", "float", "two dimensions"],
)
def test_a_register_of_any_shape_gives_its_first_word(tmp_path: Path, data: Any, value: int) -> None:
    path = run_file(tmp_path)
    replace(path, "events/event_3/frib_physics/977", data)

    with AttpcRun(path) as run:
        traces = run.read(0, 1)

    assert (traces["events"]["coincidence"].tolist(), traces.rejections) == ([value], [])


@pytest.mark.parametrize(
    ("module", "name"), [(1903, "SIS3300"), (1904, "SIS3301"), (1905, "SIS3301"), (1906, "SIS3316")], ids=["1903", "1904", "1905", "1906"]
)
def test_a_bad_module_is_named(tmp_path: Path, module: int, name: str) -> None:
    path = run_file(tmp_path, "merger-2.0", (raw_event(3, modules={1904: sis(4), 1905: sis(5), 1906: SIS3316}),))
    replace(path, f"events/event_3/frib_physics/{module}", np.zeros(8, np.uint16))

    assert rejections(path) == [(0, f"{name} matrix has the shape (8,), expected (samples, channels)")]


def test_a_module_larger_than_any_memory_is_not_read(tmp_path: Path) -> None:
    path = run_file(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["events/event_3/frib_physics/1903"]
        file.create_dataset("events/event_3/frib_physics/1903", shape=(1 << 40, 8), dtype="u2", chunks=(1024, 8))

    assert rejections(path) == [(0, "SIS3300 matrix has the shape (1099511627776, 8), expected (samples, channels)")]
