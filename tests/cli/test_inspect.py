"""``penstock inspect``: what is in captures."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from penstock.cli.inspect import inspect
from penstock.core.errors import ConfigError
from penstock.events.inspection import inspect_captures, write_events
from penstock.events.sources import open_files
from penstock.formats.captures import CaptureWriter
from penstock.simulate.streams import write_stream_run
from penstock.simulate.streams_settings import StreamSimulation
from penstock.stream.models import EventData, StreamData

POINTS = 10


def run(folder: Path, **settings: Any) -> list[Path]:
    """The captures of a simulated run: images, positions, slow values."""
    folder.mkdir(parents=True, exist_ok=True)
    return [*write_stream_run(folder, StreamSimulation(seed=3, **settings), 1, POINTS).values()]


def called(*args: object) -> Result:
    return CliRunner().invoke(inspect, [str(a) for a in args])


def test_streams_are_listed_with_protocol_messages_shapes_and_rates(penstock, tmp_path: Path) -> None:
    run(tmp_path / "raw")

    result = penstock("inspect", *sorted((tmp_path / "raw").glob("*.cbors")), folder=tmp_path)

    assert result.code == 0, result.err
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "xrd STINS 12 0 to 11 0 10.0 Hz 83.1 kB 1 StinsStart, 10 StinsImage, 1 StinsEnd" in lines
    assert "pcap PCAP 5 0 to 11 7 3.6 Hz 0.8 kB 1 PcapStart, 3 PcapValues, 1 PcapEnd" in lines
    assert "xrd: uint16 64 x 64, not compressed" in lines
    assert "contrast: sx, sy, pseudo, diode, dt" in lines
    assert "12 events (0 to 11) in 1.1 s; 5 of them have all streams" in lines


def test_json_says_the_same(tmp_path: Path) -> None:
    found = json.loads(called(*run(tmp_path), "--json").stdout)

    assert (found["events"], found["complete"], found["whole"], found["absent"]) == (12, 5, True, 0)
    assert found["problems"] == {"events without stream 'pcap', between others that have it": 7}
    assert [stream["typ"] for stream in found["streams"]] == ["STINS", "contrast", "PCAP"]
    assert found["streams"][2]["values"] == ["energy", "INENC1.VAL.Mean", "INENC2.VAL.Mean", "COUNTER1.OUT.Diff"]


def test_a_number_is_a_run_of_the_experiment(penstock, tmp_path: Path) -> None:
    run(tmp_path / "raw")
    (tmp_path / "experiment.toml").write_text('[experiment]\nname = "x"\ninstrument = "captures"\nraw = "raw"\n')

    found = penstock("inspect", 1, "--json", folder=tmp_path)
    missing = penstock("inspect", 7, folder=tmp_path)

    assert found.code == 0, found.err
    assert found.json["events"] == 12
    assert missing.code == 2
    assert "run 7: no captures in" in missing.err


def test_raw_captures_are_recognised_and_written_as_events(tmp_path: Path) -> None:
    raw = run(tmp_path / "raw", layout="raw", lost_images=0.2)
    out = tmp_path / "joined.cbors"

    result = called(*raw, "--events", out)

    assert result.exit_code == 0, result.output
    assert "raw messages" in result.stdout
    assert "stream 'xrd': missing: 3" in result.stdout
    assert f"wrote {out}: 12 events" in result.output
    with open_files([out]) as events, open_files(raw) as built:
        assert [events.event(i) for i in range(len(events))] == [built.event(i) for i in range(len(built))]


def test_events_are_not_written_over_a_file(tmp_path: Path) -> None:
    paths = run(tmp_path)

    with pytest.raises(ConfigError, match=r"run_0001\.xrd\.cbors is there already, and is not written over"):
        write_events(paths, paths[0])


def test_a_damaged_file_is_told_with_the_place_and_exit_code_1(tmp_path: Path) -> None:
    xrd, *_ = run(tmp_path)
    content = xrd.read_bytes()
    xrd.write_bytes(content[: len(content) // 2])

    result = called(xrd)

    assert result.exit_code == 1
    assert "after event 4" in result.stdout
    assert "5 events (0 to 4)" in result.stdout
    (told,) = json.loads(called(xrd, "--json").stdout)["files"][0]["damage"]
    assert (told["after"], told["offset"] + told["length"]) == (4, len(content) // 2)


def test_a_damaged_gzip_file_gives_what_can_be_inflated(tmp_path: Path) -> None:
    xrd, *_ = run(tmp_path)
    packed = tmp_path / "cut.cbors.gz"
    packed.write_bytes(gzip.compress(xrd.read_bytes())[:-2000])

    found = inspect_captures([packed])

    assert not found.whole
    assert 0 < found.events < 12


def test_messages_that_cannot_be_parsed_are_counted_with_their_reason(tmp_path: Path) -> None:
    path = tmp_path / "bad.cbors"
    with CaptureWriter(path) as writer:
        for number in range(3):
            writer.write(EventData(number, {"xrd": StreamData("STINS", [b'{"htype": "film"}'])}))

    result = called(path)

    assert result.exit_code == 1
    assert "xrd: 3 messages cannot be read: STINS: field 'htype' is 'film'" in result.stdout


@pytest.mark.parametrize("shape", ["[4, 2]", "5", "null"])
def test_an_image_of_unknown_compression_is_shown_as_its_header_says(tmp_path: Path, shape: str) -> None:
    header = f'{{"htype": "image", "frame": 0, "shape": {shape}, "type": "uint8", "compression": "zip", "msg_number": 1}}'
    with CaptureWriter(tmp_path / "zip.cbors") as writer:
        writer.write(EventData(0, {"xrd": StreamData("STINS", [header.encode(), b"PK"])}))

    (stream,) = inspect_captures([tmp_path / "zip.cbors"]).streams

    assert stream.forms == [f"uint8 {'4 x 2' if shape == '[4, 2]' else f'shape {json.loads(shape)!r}'}, zip"]


def test_a_stream_of_an_unknown_protocol_is_told(tmp_path: Path) -> None:
    path = tmp_path / "odd.cbors"
    with CaptureWriter(path) as writer:
        writer.write(EventData(0, {"odd": StreamData("STINZ", [b"x"])}))
        writer.write(EventData(4, {"odd": StreamData("STINZ", [b"y"])}))

    result = called(path)

    assert "odd: 2 messages cannot be read: no protocol has typ 'STINZ'" in result.stdout
    assert "event numbers that occur in no file: 3" in result.stdout


@pytest.mark.parametrize(
    "names, message",
    [(["nothing.cbors"], "nothing.cbors: there is no such capture"), (["truth"], "is no capture: it begins with b'\\x89HDF")],
    ids=["absent", "other"],
)
def test_a_file_that_is_no_capture_is_told(tmp_path: Path, names: list[str], message: str) -> None:
    run(tmp_path)
    (tmp_path / "run_0001.truth.h5").rename(tmp_path / "truth")

    result = called(*[tmp_path / name for name in names])

    assert result.exit_code == 1
    assert message in result.stdout
    assert "Not joined: a file cannot be read." in result.stdout


def test_raw_and_dumped_captures_do_not_go_together(tmp_path: Path) -> None:
    result = called(run(tmp_path / "a")[0], run(tmp_path / "b", layout="raw")[1])

    assert result.exit_code == 1
    assert "Turn raw captures into events first with: penstock inspect FILE --events OUT.cbors" in result.stdout


def raw_images(folder: Path) -> Path:
    """Raw messages of the images alone."""
    return next(path for path in run(folder, layout="raw") if "xrd" in path.name)


def test_a_trigger_map_says_which_raw_frames_make_an_event(tmp_path: Path) -> None:
    images = raw_images(tmp_path)
    cells = [[{"constraint": k}] if k % 2 else None for k in range(2 * POINTS)]
    (tmp_path / "map.json").write_text(json.dumps({"parts": {"scan": {"xrd": cells}}, "sequence": ["scan"]}))

    done = called(images, "--map", tmp_path / "map.json", "--events", tmp_path / "events.cbors")

    assert done.exit_code == 0, done.output
    with open_files([tmp_path / "events.cbors"]) as source:
        frames = {int(n): source.event(i).streams["xrd"].frames[0] for i, n in enumerate(source.numbers)}
    headers = {number: json.loads(bytes(frame)) for number, frame in frames.items()}
    assert [number for number, header in headers.items() if header["htype"] == "image"] == list(range(2, 2 * POINTS + 1, 2))
    assert [header["frame"] for header in headers.values() if header["htype"] == "image"] == list(range(POINTS))
    assert (headers[0]["htype"], headers[2 * POINTS + 1]["htype"]) == ("header", "series_end")


@pytest.mark.parametrize(
    "content, message", [("{", "no trigger map can be read"), ('{"parts": {}}', "map"), (None, "no trigger map can be read")]
)
def test_a_file_that_is_no_trigger_map_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "map.json").write_text(content)

    done = called(raw_images(tmp_path), "--map", tmp_path / "map.json")

    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)


def test_a_trigger_map_does_not_go_with_events(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(json.dumps({"parts": {"scan": {"xrd": [[{"constraint": 0}]]}}, "sequence": ["scan"]}))

    done = called(*run(tmp_path), "--map", tmp_path / "map.json")

    assert "these captures hold events already" in done.output + str(done.exception)
