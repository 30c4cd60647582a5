from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from toyfiles import matrix, raw_event, replace, run_file, sis

from penstock.core.errors import BadEvent, BadRun
from penstock.formats.attpc import AttpcRun
from penstock.formats.attpc_export import export_merged
from penstock.formats.attpc_write import LAYOUTS, Layout, RawEvent, RunNumbers, ScalerRecord
from penstock.formats.scalers import Scalers
from penstock.formats.traces import Traces
from penstock.store import _ragged
from penstock.testing import explain_difference

SCALERS = [ScalerRecord(np.arange(16, dtype=np.uint32) + k, k, k + 1, 10 * k, 1, k) for k in (0, 1, 4)]
SIS3316 = np.vstack([np.array([[0, 5, 15]]), sis(9, 33)[:, :3]]).astype(np.uint16)
ODD_EVENTS = (
    raw_event(3, silicon={"upstream_back": matrix(70, 2), "downstream_front": matrix(71, 3)}),
    raw_event(4, traces=None, frib=None, modules={1904: sis(4, 20), 1905: sis(5, 300), 1906: SIS3316}, register=3),
    raw_event(6, frib=None, register=None, get_event=11),
    raw_event(7, traces=matrix(7, 0), frib=sis(7, 500), register=17, frib_event=99, frib_timestamp=4, timestamp_other=5),
    raw_event(9, sets=("upstream_front",), frib=None, register=0),
)


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two run files: names, attributes and their types, datasets; rows of GET in any order."""
    with h5py.File(one) as a, h5py.File(other) as b:
        ours, theirs = flat(a), flat(b)
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def flat(file: h5py.File) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def take(name: str, item: Any) -> None:
        found[name] = ordered(item[()]) if isinstance(item, h5py.Dataset) else None
        found.update({f"{name}@{key}": (str(item.attrs.get_id(key).dtype), str(value)) for key, value in item.attrs.items()})

    file.visititems(take)
    return found


def ordered(values: Any) -> tuple[str, tuple[int, ...], bytes]:
    if values.ndim == 2 and values.shape[1] == 517:
        values = values[np.lexsort(values[:, 3::-1].T)]
    return str(values.dtype), values.shape, values.tobytes()


def export(path: Path, target: Path, **options: Any) -> Path:
    with AttpcRun(path, 42) as run:
        return export_merged(run, run.scalers(), target, **options)


def through_the_store(path: Path, folder: Path, block: int) -> SimpleNamespace:
    """A source that reads the events from the file of an artifact."""
    with AttpcRun(path) as run:
        n = run.n_events
        blocks = [run.read(a, min(a + block, n)) for a in range(0, n, block)]
    paths = [folder / f"{k}.h5" for k in range(len(blocks))]
    for file, traces in zip(paths, blocks, strict=True):
        _ragged.write_block(file, traces, block)
    whole = folder / "whole.h5"
    _ragged.append_blocks(whole, Traces, paths, n, block)
    return SimpleNamespace(n_events=n, read=lambda start, stop: _ragged.read_events([(whole, 0, n)], Traces, start, stop))


def test_a_merged_file_comes_back_as_it_was(tmp_path: Path) -> None:
    original = run_file(tmp_path, "merger-2.0", ODD_EVENTS, scalers=SCALERS)

    assert differences(export(original, tmp_path / "again.h5"), original) == []


def test_a_merged_file_comes_back_through_an_artifact_as_it_was(tmp_path: Path) -> None:
    original = run_file(tmp_path, "merger-2.0", ODD_EVENTS, scalers=SCALERS)
    with AttpcRun(original) as run:
        scalers = run.scalers()

    again = export_merged(through_the_store(original, tmp_path, 3), scalers, tmp_path / "again.h5", block=2)

    assert differences(again, original) == []


@pytest.mark.parametrize("scalers", [[], SCALERS[:1]], ids=["no group", "one record"])
def test_scalers_come_back_as_they_were(tmp_path: Path, scalers: Sequence[ScalerRecord]) -> None:
    original = run_file(tmp_path, "merger-2.0", scalers=scalers)

    assert differences(export(original, tmp_path / "again.h5"), original) == []


def test_an_empty_group_of_scalers_comes_back(tmp_path: Path) -> None:
    original = run_file(tmp_path, "merger-2.0", numbers=RunNumbers(42, records=(0, 0)))

    assert differences(export(original, tmp_path / "again.h5"), original) == []


def test_a_comparison_finds_what_differs(tmp_path: Path) -> None:
    original = run_file(tmp_path, "merger-2.0", ODD_EVENTS, scalers=SCALERS)
    again = export(original, tmp_path / "again.h5")
    replace(again, "events/event_6/get/pads", np.flipud(matrix(6)))
    replace(again, "events/event_3/get/pads", matrix(3) + 1)
    with h5py.File(again, "r+") as file:
        file["events"].attrs["frib_stop"] = np.uint64(0)

    assert differences(again, original) == ["events/event_3/get/pads", "events@frib_stop"]


def test_a_second_export_has_the_same_bytes_whatever_the_block(tmp_path: Path) -> None:
    original = run_file(tmp_path, "merger-2.0", ODD_EVENTS, scalers=SCALERS)

    one, other = export(original, tmp_path / "one.h5"), export(original, tmp_path / "other.h5", block=1)

    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_the_same_after_export(tmp_path: Path, layout: Layout) -> None:
    original = run_file(tmp_path, layout, (raw_event(3), raw_event(5)), scalers=SCALERS[:2])
    again = export(original, tmp_path / "again.h5")

    with AttpcRun(original, 42) as run, AttpcRun(again, 42) as copy:
        one, other = run.read(0, 3), copy.read(0, 3)
        counts = [reader.scalers()["scalers"]["ic_cfd"].tolist() for reader in (run, copy)]
        assert copy.layout == "libattpc_merger:2.0"
    for traces in (one, other):
        for name in ("orig_run", "orig_event"):
            traces["events"][name][:] = 0
    assert explain_difference(one, other) == ""
    assert counts[0] == counts[1]


def test_the_range_of_events_covers_those_without_any_part(tmp_path: Path) -> None:
    nothing = {"traces": None, "frib": None, "register": None}
    original = run_file(tmp_path, "merger-2.0", (raw_event(3, **nothing), raw_event(4), raw_event(5, **nothing)))

    with h5py.File(export(original, tmp_path / "again.h5")) as file:
        assert (list(file["events"]), file["events"].attrs["min_event"], file["events"].attrs["max_event"]) == (["event_4"], 3, 5)


def test_without_scalers_the_file_names_the_run_and_has_no_records(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path)) as run:
        path = export_merged(run, None, tmp_path / "again.h5")

    with h5py.File(path) as file:
        events, scalers = dict(file["events"].attrs), file["scalers"]
        assert [events[f"frib_{name}"] for name in ("run", "start", "stop", "time")] == [42, 0, 0, 0]
        assert [events[f"{end}_get_ts"] for end in ("min", "max")] == [1003, 1005]
        assert (list(scalers), scalers.attrs["max_event"]) == ([], 0)


def test_records_of_a_run_from_the_daq_give_the_range(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path)) as run:
        path = export_merged(run, Scalers.of(SCALERS, {"source": 5}), tmp_path / "again.h5")

    with h5py.File(path) as file:
        assert (file["scalers"].attrs["min_event"], file["scalers"].attrs["max_event"]) == (0, 4)


def test_matrices_may_be_compressed(tmp_path: Path) -> None:
    original = run_file(tmp_path, "merger-2.0", scalers=SCALERS)

    again = export(original, tmp_path / "again.h5", compression="gzip")

    assert differences(again, original) == []
    with h5py.File(again) as file:
        assert file["events/event_3/get/pads"].compression == "gzip"


def test_a_run_without_events_is_not_exported(tmp_path: Path) -> None:
    source = SimpleNamespace(n_events=0, read=None)

    with pytest.raises(BadRun) as caught:
        export_merged(source, None, tmp_path / "again.h5")

    assert str(caught.value) == f"there is nothing to export into {str(tmp_path / 'again.h5')!r}: the run has no events."


def test_a_register_that_the_layout_cannot_take_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    original = run_file(tmp_path, events=(raw_event(3),))
    replace(original, "events/event_3/frib_physics/977", np.array([70_000], np.uint32))

    with pytest.raises(BadEvent) as caught:
        export(original, tmp_path / "again.h5")

    assert str(caught.value) == "event 3 cannot be exported: its V977 register is 70000, the layout takes 0 to 65535"
    assert [p.name for p in tmp_path.iterdir()] == ["run_0042.h5"]


def test_an_event_that_is_built_in_memory_needs_no_flags(tmp_path: Path) -> None:
    with AttpcRun(run_file(tmp_path, "merger-2.0", ODD_EVENTS[:2])) as run:
        traces = run.read(0, 2)
    traces["events"]["parts"][:] = 0
    source = SimpleNamespace(n_events=2, read=traces.part)

    with AttpcRun(export_merged(source, None, tmp_path / "run_0042_again.h5")) as run:
        again = run.read(0, 2)

    assert again["events"]["parts"].tolist() == [1 + 2 + 8 + 16, 2]
    assert np.array_equal(again.pad_samples, traces.pad_samples)


def test_raw_events_follow_their_number_where_nothing_else_is_said() -> None:
    event = RawEvent(7, 1000, None)

    assert (event.get_id, event.other_time, event.frib_id, event.frib_time) == (7, 1003, 7, 10)
    assert (event.has_get, event.has_frib) == (False, False)
