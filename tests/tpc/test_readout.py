"""How whole the files of a run are is kept beside its results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penstock.core.stage import RunSource
from penstock.formats.attpc import AttpcRun
from penstock.formats.get.run import GetRun
from penstock.simulate.get_crate import physics_item, register_words, sis3300_words
from penstock.simulate.get_frames import encode_frame
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.tpc.assets import Electronics
from penstock.tpc.electronics import electronics_map
from penstock.tpc.params import ReadoutParams
from penstock.tpc.readout import note_readout
from penstock.tpc.schemas import READOUT_NOTES, Readout

SAMPLES = np.ones((9, 8), np.uint16)


def frame(board: tuple[int, int], event: int) -> bytes:
    return encode_frame(board, event, 100 * event, np.array([(0, 4)]), np.full((1, 512), 9, np.int16))


@pytest.fixture
def damaged(tmp_path: Path) -> RunSource:
    """Three events; board 1, 0 lacks in event 1 and is cut in event 2; an item without a channel; a cut crate item."""
    spoiled = bytearray(frame((0, 0), 0))
    spoiled[256:260] = (127 << 23).to_bytes(4, "big")
    files = {
        "CoBo0_AsAd0_x_0000.graw": bytes(spoiled) + frame((0, 0), 1) + frame((0, 0), 2),
        "CoBo1_AsAd0_x_0000.graw": frame((1, 0), 0) + frame((1, 0), 2)[:600],
        "run-0005-00.evt": physics_item(0, 1, register_words(1)) + physics_item(1, 2, sis3300_words(SAMPLES))[:-40],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return RunSource(5, {}, {}, lambda: GetRun(*(tmp_path / name for name in files)))


NO_MAP = Electronics.empty()


def test_what_is_missing_and_damaged_is_counted(damaged: RunSource) -> None:
    readout = note_readout(source=damaged, params=ReadoutParams(), electronics=NO_MAP)

    run = {name: int(values[0]) for name, values in readout["run"].items()}
    assert {name: value for name, value in run.items() if value} == {
        "run": 5,
        "events": 3,
        "frames": 4,
        "truncated_frames": 1,
        "lost_bytes": 600,
        "recordings": 1,
        "silent_boards": -1,
        "incomplete_events": 2,
        "crate_events": 2,
        "crate_truncated": 1,
        "events_without_crate": 1,
        "bad_items": 1,
        "damaged_crate_events": 1,
        "crate_lost_bytes": len(physics_item(1, 2, sis3300_words(SAMPLES))) - 40,
    }
    assert readout["boards"]["missing"].tolist() == [0, 2]
    assert readout["incomplete"]["event"].tolist() == [1, 2]


def test_a_board_of_the_map_that_sent_nothing_is_counted(damaged: RunSource, tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("cobo,asad,aget,channel,pad\n" + "".join(f"{cobo},{asad},0,{asad},{cobo}\n" for cobo in (0, 1, 2) for asad in (0, 1)))

    readout = note_readout(source=damaged, params=ReadoutParams(decode=False), electronics=electronics_map({"electronics": path}))

    assert int(readout["run"]["silent_boards"][0]) == 4
    silent = readout["silent"]
    assert list(zip(silent["cobo"].tolist(), silent["asad"].tolist(), strict=True)) == [(0, 1), (1, 1), (2, 0), (2, 1)]
    assert readout["boards"]["missing"].tolist() == [0, 2]


def test_without_decoding_what_only_that_tells_is_unknown(damaged: RunSource) -> None:
    readout = note_readout(source=damaged, params=ReadoutParams(decode=False), electronics=NO_MAP)

    assert (int(readout["run"]["bad_items"][0]), int(readout["run"]["frames"][0])) == (-1, 4)


def test_files_of_mergers_say_nothing_of_the_readout(tmp_path: Path) -> None:
    path = write_run(tmp_path, TpcSimulation(), 1, 1)

    readout = note_readout(source=RunSource(1, {}, {}, lambda: AttpcRun(path)), params=ReadoutParams(), electronics=NO_MAP)

    assert int(readout["run"]["events"][0]) == 1
    assert {int(readout["run"][column.name][0]) for column in READOUT_NOTES} == {-1}


def test_the_record_follows_its_schema(damaged: RunSource) -> None:
    readout = note_readout(source=damaged, params=ReadoutParams(), electronics=NO_MAP)

    for table in Readout.tables:
        assert list(readout[table.name]) == [column.name for column in table.columns]
        assert {values.dtype for values in readout[table.name].values()} == {np.dtype(np.int64)}
        assert readout.offsets[table.name].tolist() == [0, len(next(iter(readout[table.name].values())))]
