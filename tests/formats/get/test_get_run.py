"""A run straight from the data acquisition, opened and read; damaged files keep what can be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penstock.core.errors import BadRun, RunMissing
from penstock.formats.get.run import GetRun
from penstock.formats.traces import Traces
from penstock.simulate.get_crate import begin_item, end_item, physics_item, register_words, scaler_item, sis3300_words
from penstock.simulate.get_frames import encode_frame
from penstock.testing import explain_difference

A, B = (0, 0), (1, 3)


def ramp(event: int) -> np.ndarray:
    return ((np.arange(8 * 40).reshape(40, 8) + event) % 4096).astype(np.uint16)


def crate_items(n_events: int) -> list[bytes]:
    physics = [physics_item(event, 10_000 * (event + 1), register_words(event) + sis3300_words(ramp(event))) for event in range(n_events)]
    return [begin_item(5, 1_700_000_000, "x"), *physics]


def write_small_run(daq, n_events: int = 4) -> None:
    for board in (A, B):
        daq.write(f"CoBo{board[0]}_AsAd{board[1]}_x_0000.graw", *(daq.frame(board, event) for event in range(n_events)))
    daq.write("run-0005-00.evt", *crate_items(n_events), scaler_item(0, 2, 1_700_000_002, np.arange(11)), end_item(5, 1_700_000_060, 60))


def test_samples_and_hardware_addresses_are_those_that_were_sent(daq) -> None:
    write_small_run(daq)

    with daq.open() as run:
        traces = run.read(0, 4)

    for event in range(4):
        rows = slice(traces.offsets["pads"][event], traces.offsets["pads"][event + 1])
        expected = [daq.samples(board, event, 1_000_000 * (event + 1)) for board in (A, B)]
        np.testing.assert_array_equal(traces.pad_samples[rows], np.concatenate(expected))
    assert traces["pads"]["aget"].tolist() == [0, 2] * 8
    assert set(traces["pads"]["pad"].tolist()) == {-1}


def test_the_crates_data_stand_with_their_events(daq) -> None:
    write_small_run(daq)

    with daq.open() as run:
        traces = run.read(1, 3)

    assert traces["events"]["coincidence"].tolist() == [1, 2]
    assert traces["events"]["frib_event"].tolist() == [1, 2]
    assert traces["events"]["parts"].tolist() == [63, 63]
    np.testing.assert_array_equal(traces.frib_traces(np.arange(8, 16)), ramp(2).T)


def test_scalers_and_run_numbers_are_those_of_the_crate(daq) -> None:
    write_small_run(daq)

    with daq.open() as run:
        scalers = run.scalers()

    (record,) = scalers.records
    assert (record.start_offset, record.stop_offset, record.words.tolist()) == (0, 2, list(range(11)))
    numbers = scalers.run_numbers
    assert (numbers["frib_start"], numbers["frib_stop"], numbers["frib_elapsed"], numbers["max_event"]) == (
        1_700_000_000,
        1_700_000_060,
        60,
        3,
    )


def test_events_read_alone_are_the_same_as_in_a_block_and_with_steps(daq) -> None:
    write_small_run(daq, 6)

    with daq.open() as run:
        whole = run.read(0, 6)
        alone = Traces.concatenate([run.read(position, position + 1) for position in range(6)])
        stepped = run.read(1, 6, 2)

    assert explain_difference(alone, whole) == ""
    assert explain_difference(stepped, Traces.concatenate([whole.part(k, k + 1) for k in (1, 3, 5)])) == ""


def test_all_readouts_give_the_same_samples(daq) -> None:
    channels = np.array([(aget, channel) for aget in range(4) for channel in range(68)])
    samples = np.random.default_rng(3).integers(0, 4096, (272, 512)).astype(np.int16)
    for event, (readout, first) in enumerate((("partial", 0), ("partial", 3), ("full", 0), ("full", 2))):
        frame = encode_frame(A, event, event, channels, samples, readout=readout, first_aget=first)
        daq.write(f"CoBo0_AsAd0_{event}_0000.graw", frame)

    with daq.open() as run:
        traces = run.read(0, 4)

    np.testing.assert_array_equal(traces.pad_samples, np.tile(samples, (4, 1)))


def test_samples_that_zero_suppression_leaves_out_are_zero(daq) -> None:
    samples = daq.samples(A, 0, 0)
    daq.write("CoBo0_AsAd0_x_0000.graw", encode_frame(A, 0, 0, daq.channels, samples, threshold=4000))

    with daq.open() as run:
        traces = run.read(0, 1)

    np.testing.assert_array_equal(traces.pad_samples, [np.where(samples[0] > 4000, samples[0], 0), samples[1]])


def test_a_frame_cut_at_the_end_costs_its_board_in_that_event_only(daq) -> None:
    daq.write("CoBo0_AsAd0_x_0000.graw", daq.frame(A, 0), daq.frame(A, 1)[:3000])
    daq.write("CoBo1_AsAd3_x_0000.graw", daq.frame(B, 0), daq.frame(B, 1))

    with daq.open() as run:
        traces = run.read(0, 2)
        notes = run.notes()

    assert traces["pads"]["cobo"].tolist() == [0, 0, 1, 1, 1, 1]
    assert (notes["truncated_frames"], notes["incomplete_events"], notes["lost_bytes"]) == (1, 1, 3000)


def test_padding_is_not_decoded_where_the_number_of_items_is_wrong(daq) -> None:
    frame = encode_frame(A, 0, 0, np.array([(0, 0)]), np.full((1, 512), 7, np.int16))
    items = frame[256 : 256 + 4 * 500]
    units = 1 + -(-len(items) // 256)
    spoiled = bytearray(frame[:256] + items.ljust(256 * (units - 1), b"\0"))
    spoiled[1:4], spoiled[12:16] = units.to_bytes(3, "big"), (1).to_bytes(4, "big")
    daq.write("CoBo0_AsAd0_x_0000.graw", bytes(spoiled))

    with daq.open() as run:
        traces = run.read(0, 1)

        assert run.notes()["repaired_counts"] == 1
    np.testing.assert_array_equal(traces.pad_samples[0], np.where(np.arange(512) < 500, 7, 0))


def test_items_without_a_channel_are_skipped_and_counted(daq) -> None:
    frame = bytearray(daq.frame(A, 0))
    frame[256:260] = (0 << 30 | 127 << 23 | 5).to_bytes(4, "big")
    daq.write("CoBo0_AsAd0_x_0000.graw", bytes(frame))

    with daq.open() as run:
        traces = run.read(0, 1)

        assert run.notes()["bad_items"] == 1
    expected = daq.samples(A, 0, 1_000_000)
    expected[0, 0] = 0
    np.testing.assert_array_equal(traces.pad_samples, expected)


@pytest.mark.parametrize("extra", [-1, 1], ids=["one item lost", "one item too many"])
def test_a_full_readout_with_a_wrong_number_of_items_is_counted_through(daq, extra: int) -> None:
    samples = np.full((272, 512), 9, np.int16)
    channels = np.array([(aget, channel) for aget in range(4) for channel in range(68)])
    items = encode_frame(A, 0, 0, channels, samples, readout="full")[256:]
    items = items[: extra * 2] if extra < 0 else items + items[-2:]
    count = len(items) // 2
    units = 1 + -(-len(items) // 256)
    head = bytearray(encode_frame(A, 0, 0, channels[:1], samples[:1], readout="full")[:256])
    head[1:4], head[12:16] = units.to_bytes(3, "big"), count.to_bytes(4, "big")
    daq.write("CoBo0_AsAd0_x_0000.graw", bytes(head) + items.ljust(256 * (units - 1), b"\0"))

    with daq.open() as run:
        traces = run.read(0, 1)

        assert run.notes()["bad_items"] == max(extra, 0)
    assert int((traces.pad_samples != 9).sum()) == max(-extra, 0)


def test_an_evt_file_cut_short_keeps_its_events_and_the_others_go_on_without(daq) -> None:
    daq.write("CoBo0_AsAd0_x_0000.graw", *(daq.frame(A, event) for event in range(4)))
    items = crate_items(3)
    daq.write("run-0005-00.evt", *items[:-1], items[-1][:-150])

    with daq.open() as run:
        traces = run.read(0, 4)
        notes = run.notes()

    assert np.diff(traces.offsets["frib"]).tolist() == [8, 8, 6, 0]
    assert traces["events"]["coincidence"].tolist() == [0, 1, 2, -1]
    assert traces["events"]["parts"].tolist() == [63, 63, 63, 61]
    assert (notes["crate_truncated"], notes["damaged_crate_events"], notes["events_without_crate"]) == (1, 1, 1)


def test_a_run_without_graw_files_has_the_events_of_the_crate(daq) -> None:
    daq.write("run-0005-00.evt", *crate_items(3))

    with daq.open() as run:
        traces = run.read(0, 3)

    assert traces["events"]["parts"].tolist() == [2, 2, 2]
    assert traces["events"]["get_event"].tolist() == [-1, -1, -1]
    assert len(traces["pads"]["pad"]) == 0


def test_the_memory_of_an_event_is_that_of_its_samples(daq) -> None:
    write_small_run(daq)

    with daq.open() as run:
        size = run.read(0, 4)

        assert run.bytes_per_event == pytest.approx((size.pad_samples.nbytes + size.frib_samples.nbytes) / 4, rel=0.2)


def test_positions_beyond_the_run_are_refused(daq) -> None:
    write_small_run(daq)

    with daq.open() as run, pytest.raises(IndexError, match="run 5 has positions 0 to 3, asked for 3 to 4"):
        run.read(3, 5)


def test_files_without_any_event_are_no_run(daq) -> None:
    daq.write("CoBo0_AsAd0_x_0000.graw", b"\1" * 5000)

    with pytest.raises(BadRun, match=r"run 5: no event was found in 1 \.graw and 0 \.evt files.*Found instead: 1 gaps, 5000 lost_bytes"):
        daq.open()


def test_an_empty_file_is_no_run(daq) -> None:
    daq.write("CoBo0_AsAd0_x_0000.graw")

    with pytest.raises(BadRun, match="The files are empty"):
        daq.open()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunMissing, match=r"CoBo0_AsAd0_x_0000.graw' does not exist"):
        GetRun(tmp_path / "CoBo0_AsAd0_x_0000.graw")


def test_no_file_at_all_is_an_error() -> None:
    with pytest.raises(RunMissing, match=r"needs at least one \.graw or \.evt file"):
        GetRun()


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run_0001.h5").touch()

    with pytest.raises(BadRun, match=r"has the ending '.h5', expected .graw"):
        GetRun(tmp_path / "run_0001.h5")


def test_a_file_that_becomes_shorter_while_it_is_read_is_an_error(daq) -> None:
    path = daq.write("CoBo0_AsAd0_x_0000.graw", *(daq.frame(A, event) for event in range(3)))

    with daq.open() as run:
        path.write_bytes(path.read_bytes()[:5000])

        with pytest.raises(BadRun, match="the file ends at byte 5000, and was longer before"):
            run.read(0, 3)
