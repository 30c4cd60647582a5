from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from penstock.core.errors import ConfigError
from penstock.formats.attpc_write import LAYOUTS, RawEvent, ScalerRecord, write_run_file

RNG = np.random.default_rng(1)
TRACES = RNG.integers(0, 4096, size=(70, 517)).astype(np.int16)
FRIB = RNG.integers(0, 4096, size=(2048, 8)).astype(np.uint16)
SCALERS = [ScalerRecord(np.arange(16, dtype=np.uint32) + i, 2 * i, 2 * i + 2, 100 + i) for i in range(3)]
NAMES = {
    "merger-1.0": "get_traces",
    "synchronizer": "get_traces",
    "harmonizer": "get_traces",
    "merger-2.0": "get/pads",
    "merger-2.0-silicon": "get/pads",
}


def some_events() -> list[RawEvent]:
    first = RawEvent(4, 1000, TRACES, FRIB, 1, orig_run=8, orig_event=90)
    second = RawEvent(6, 2500, TRACES[:3], FRIB, 2, silicon={"upstream_front": TRACES[:5]}, orig_run=9, orig_event=1)
    return [first, second]


@pytest.mark.parametrize(
    ("layout", "version"),
    [
        ("merger-1.0", "libattpc_merger:1.0"),
        ("merger-2.0", "libattpc_merger:2.0"),
        ("merger-2.0-silicon", "libattpc_merger:2.0"),
        ("synchronizer", "synchronizer:0.1.0"),
        ("harmonizer", "harmonizer:0.1.0"),
    ],
)
def test_versioned_layouts_hold_events_under_their_names(tmp_path: Path, layout: str, version: str) -> None:
    path = write_run_file(tmp_path / "run_0001.h5", 1, some_events(), layout=layout)  # type: ignore[arg-type]

    with h5py.File(path) as file:
        root = file["events"]
        assert (root.attrs["version"], root.attrs["min_event"], root.attrs["max_event"]) == (version, 4, 6)
        assert (root.attrs["min_get_ts"], root.attrs["max_get_ts"]) == (1000, 2500)
        assert np.array_equal(root["event_4"][NAMES[layout]][:], TRACES)
        assert np.array_equal(root["event_4/frib_physics/1903"][:], FRIB)
        assert root["event_6/frib_physics/977"][:].tolist() == [2]


@pytest.mark.parametrize(("layout", "prefix"), [("merger-2.0", "si_"), ("merger-2.0-silicon", "silicon_")])
def test_silicon_sets_have_the_names_of_their_layout(tmp_path: Path, layout: str, prefix: str) -> None:
    path = write_run_file(tmp_path / "run.h5", 1, some_events(), layout=layout)  # type: ignore[arg-type]

    with h5py.File(path) as file:
        shapes = {name: item.shape for name, item in file["events/event_6/get"].items()}
    assert shapes == {
        "pads": (3, 517),
        f"{prefix}upstream_front": (5, 517),
        f"{prefix}upstream_back": (0, 517),
        f"{prefix}downstream_front": (0, 517),
        f"{prefix}downstream_back": (0, 517),
    }


def test_harmonized_events_name_their_origin(tmp_path: Path) -> None:
    path = write_run_file(tmp_path / "run.h5", 1, some_events(), scalers=SCALERS, layout="harmonizer")

    with h5py.File(path) as file:
        attrs = file["events/event_6"].attrs
        assert (attrs["orig_run"], attrs["orig_event"]) == (9, 1)
        assert "scalers" not in file


def test_legacy_layout_holds_flat_datasets(tmp_path: Path) -> None:
    path = write_run_file(tmp_path / "run.h5", 7, some_events(), scalers=SCALERS, layout="legacy")

    with h5py.File(path) as file:
        assert file["meta/meta"][:].tolist() == [4, 1000, 6, 2500]
        assert np.array_equal(file["get/evt4_data"][:], TRACES)
        assert np.array_equal(file["frib/evt/evt4_1903"][:], FRIB)
        assert file["frib/evt/evt6_977"][:].tolist() == [2]
        assert file["frib/runinfo"][0] == 7
        assert file["frib/scaler/scaler2_header"][:].tolist() == [4, 6, 102, 1]
        assert np.array_equal(file["frib/scaler/scaler2_data"][:], SCALERS[2].words)


def test_scalers_of_versioned_layouts_carry_their_times(tmp_path: Path) -> None:
    path = write_run_file(tmp_path / "run.h5", 1, some_events(), scalers=SCALERS)

    with h5py.File(path) as file:
        record = file["scalers/event_1"]
        assert (file["scalers"].attrs["min_event"], file["scalers"].attrs["max_event"]) == (0, 2)
        assert [record.attrs[n] for n in ("start_offset", "stop_offset", "timestamp", "incremental")] == [2, 4, 101, 1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_event_may_lack_traces_or_auxiliary_detectors(tmp_path: Path, layout: str) -> None:
    events = [RawEvent(0, 10, None, FRIB, 1), RawEvent(1, 20, TRACES)]

    path = write_run_file(tmp_path / "run.h5", 1, events, layout=layout)  # type: ignore[arg-type]

    with h5py.File(path) as file:
        found: list[str] = []
        file.visit(found.append)
    assert sum("1903" in name for name in found) == 1
    assert sum(name.endswith(("evt1_data", "event_1/get_traces", "event_1/get/pads")) for name in found) == 1
    assert not any(name.endswith(("evt0_data", "event_0/get_traces", "event_0/get")) for name in found)


@pytest.mark.parametrize("compression", ["none", "gzip", "lzf"])
def test_compression_keeps_every_sample(tmp_path: Path, compression: str) -> None:
    path = write_run_file(tmp_path / "run.h5", 1, some_events(), compression=compression)  # type: ignore[arg-type]

    with h5py.File(path) as file:
        dataset = file["events/event_4/get_traces"]
        assert dataset.compression == (None if compression == "none" else compression)
        assert np.array_equal(dataset[:], TRACES)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def broken() -> Iterator[RawEvent]:
        yield some_events()[0]
        raise RuntimeError("no more beam")

    path = tmp_path / "run.h5"
    path.write_bytes(b"old")

    with pytest.raises(RuntimeError, match="no more beam"):
        write_run_file(path, 1, broken())

    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("run.h5", b"old")]


def test_unknown_layout_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write_run_file(tmp_path / "run.h5", 1, [], layout="merger-1.1")  # type: ignore[arg-type]

    assert str(caught.value) == (
        "run layout 'merger-1.1' is unknown; expected one of legacy, merger-1.0, merger-2.0, merger-2.0-silicon, synchronizer, harmonizer."
        " Did you mean 'merger-1.0'?"
    )


def test_unknown_compression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        write_run_file(tmp_path / "run.h5", 1, [], compression="zip")  # type: ignore[arg-type]

    assert str(caught.value) == "compression 'zip' is unknown; expected one of none, gzip, lzf."
