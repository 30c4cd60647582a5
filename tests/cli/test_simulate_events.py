"""``penstock simulate events`` as a process."""

from __future__ import annotations

from pathlib import Path

import h5py


def test_runs_are_written_with_truth_and_geometry(penstock, tmp_path: Path) -> None:
    result = penstock("simulate", "events", "--out", "raw", "--runs", "1-2", "--events", 6, "--seed", 3, "--json", folder=tmp_path)

    assert result.code == 0, result.err
    assert [row["run"] for row in result.json] == [1, 2]
    assert result.json[0] == {
        "run": 1,
        "files": {name: f"raw/run_0001.{name}.cbors" for name in ("xrd", "contrast", "pcap")},
        "truth": "raw/run_0001.truth.h5",
        "geometry": "raw/xrd.poni",
        "events": 8,
    }
    assert {p.name for p in (tmp_path / "raw").iterdir()} == {
        *(f"run_000{run}.{what}" for run in (1, 2) for what in ("xrd.cbors", "contrast.cbors", "pcap.cbors", "truth.h5")),
        "xrd.poni",
    }
    with h5py.File(tmp_path / "raw" / "run_0002.truth.h5") as file:
        assert file["sx_mm"].shape == (6,)


def test_options_and_settings_come_together(penstock, tmp_path: Path) -> None:
    options = ("--lost", 0.4, "--compression", "bslz4", "--layout", "raw", "--set", "shape=[32,48]", "--set", "slow_every=1")
    made = penstock("simulate", "events", "--out", "raw", "--events", 10, *options, folder=tmp_path)
    seen = penstock("inspect", *sorted(str(p) for p in (tmp_path / "raw").glob("*.cbors")), "--json", folder=tmp_path)

    assert made.code == 0, made.err
    streams = {stream["name"]: stream for stream in seen.json["streams"]}
    assert streams["xrd"]["forms"] == ["uint16 32 x 48, bslz4"]
    assert 0 < streams["xrd"]["lacking"] < 10
    assert streams["pcap"]["messages"]["PcapValues"] == 10
    assert {row["kind"] for row in seen.json["files"]} == {"raw"}


def test_a_setting_that_cannot_be_is_told(penstock, tmp_path: Path) -> None:
    result = penstock("simulate", "events", "--out", "raw", "--set", "grain=-1", folder=tmp_path)

    assert result.code == 2
    assert "simulation: 'grain': Input should be greater than 0, found -1" in result.err
    assert not (tmp_path / "raw").exists()
