"""`store`, `explain` and `diff`."""

from __future__ import annotations

from pathlib import Path

import h5py


def key_of(penstock, folder: Path, stage: str, run: int = 1, *options: str) -> str:
    rows = penstock("plan", "--runs", run, *options, "--json", folder=folder).json
    (key,) = [row["key"] for row in rows if row["stage"] == stage]
    return key


def data_file(penstock, folder: Path, stage: str) -> Path:
    found = penstock("store", "path", key_of(penstock, folder, stage)[:10], "--json", folder=folder).json
    return Path(found["path"]) / found["files"][0]


def test_ls_lists_every_artifact_once(penstock, processed) -> None:
    rows = penstock("store", "ls", "--json", folder=processed).json
    assert len(rows) == 9
    assert set(rows[0]) == {"key", "stage", "subject", "events_in", "events_out", "bytes", "created", "named"}
    assert all(row["named"] for row in rows)


def test_ls_takes_a_stage(penstock, processed) -> None:
    out = penstock("store", "ls", "--stage", "tpc.clusters", folder=processed).out
    assert len(out.splitlines()) == 4


def test_path_is_the_folder_of_the_data_files(penstock, processed) -> None:
    path = data_file(penstock, processed, "tpc.points")
    with h5py.File(path) as file:
        assert file["events/event"].shape == (6,)


def test_path_prints_the_folder_alone(penstock, processed) -> None:
    key = key_of(penstock, processed, "tpc.estimates")
    out = penstock("store", "path", key[:10], folder=processed).out
    assert out.count("\n") == 1
    assert [p.name for p in Path(out.strip()).glob("*.parquet")] == ["estimates.parquet"]


def test_store_commands_work_below_the_folder_of_the_experiment(penstock, processed) -> None:
    below = processed / "plots/old"
    below.mkdir(parents=True)
    assert len(penstock("store", "ls", "--json", folder=below).json) == 9


def test_store_commands_take_a_store_by_name(penstock, processed, tmp_path) -> None:
    assert len(penstock("store", "ls", "--store", processed / "store", "--json", folder=tmp_path).json) == 9


def test_without_a_store_the_message_says_how_to_name_one(penstock, tmp_path) -> None:
    result = penstock("store", "ls", folder=tmp_path)
    assert result.code == 2
    assert "which store? Name it with --store" in result.err


def test_a_store_that_is_not_there_is_not_made(penstock, tmp_path) -> None:
    result = penstock("store", "ls", "--store", "nothing", folder=tmp_path)
    assert result.code == 1
    assert "store nothing: there is none." in result.err
    assert not (tmp_path / "nothing").exists()


def test_an_unknown_key_says_how_to_list_them(penstock, processed) -> None:
    result = penstock("store", "path", "zzzzzzzzzz", folder=processed)
    assert result.code == 1
    assert "no artifact 'zzzzzzzzzz'. List them with: penstock store ls" in result.err


def test_show_is_the_manifest(penstock, processed) -> None:
    manifest = penstock("store", "show", key_of(penstock, processed, "tpc.clusters"), folder=processed).json
    assert manifest["stage"] == "tpc.clusters"
    assert manifest["schema"] == "tpc.clusters/1"
    assert set(manifest["inputs"]) == {"points"}


def test_explain_says_where_each_value_came_from(penstock, processed) -> None:
    change = ("--set", "tpc.points.max_pulses=4")
    penstock("run", "--runs", "1", "--stages", "tpc.points", *change, folder=processed)
    lines = penstock("explain", key_of(penstock, processed, "tpc.points", 1, *change)[:10], folder=processed).out.splitlines()
    columns = {line.split()[0]: line.split(maxsplit=2)[1:] for line in lines if line.startswith("  ")}
    assert columns["max_pulses"] == ["4", "--set"]
    assert columns["window_time_bucket"] == ["560.0", "preset default (detector)"]
    assert columns["beam_pad_radius_mm"] == ["20.0", "default"]


def test_explain_prints_the_manifest_as_json(penstock, processed) -> None:
    key = key_of(penstock, processed, "tpc.points")
    assert penstock("explain", key, "--json", folder=processed).json["key"] == key


def test_diff_names_each_field_in_which_two_artifacts_differ(penstock, processed) -> None:
    change = ("--set", "tpc.clusters.hdbscan.min_points=5")
    penstock("run", "--runs", "1", *change, folder=processed)
    keys = [key_of(penstock, processed, "tpc.clusters", 1, *options) for options in ((), change)]
    found = penstock("diff", *keys, "--json", folder=processed).json
    assert found == [{"field": "params.hdbscan.min_points", "one": 3, "other": 5}]
    assert penstock("diff", keys[0], keys[0], folder=processed).out == "the same recipe\n"


def test_verify_of_a_good_store_finds_nothing(penstock, processed) -> None:
    result = penstock("store", "verify", folder=processed)
    assert (result.code, result.out) == (0, "9 artifacts verified, 0 damaged\n")


def test_verify_names_a_damaged_artifact_and_the_next_run_recomputes_it(penstock, processed) -> None:
    path = data_file(penstock, processed, "tpc.clusters")
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    key = key_of(penstock, processed, "tpc.clusters")
    result = penstock("store", "verify", "--json", folder=processed)
    assert result.code == 1
    assert [d["key"] for d in result.json["damaged"]] == [key]
    assert "does not match its checksum" in result.json["damaged"][0]["problem"]
    report = penstock("run", "--json", folder=processed).json
    assert [s["key"] for run in report["runs"] for s in run["stages"] if s["state"] == "computed"] == [key]
    assert data_file(penstock, processed, "tpc.clusters").read_bytes() == whole


def test_gc_lists_nothing_where_all_is_named(penstock, processed) -> None:
    result = penstock("store", "gc", "--hours", "0", "--json", folder=processed)
    assert [g for g in result.json["garbage"] if g["what"] == "artifact without a ref"] == []


def test_gc_moves_what_no_name_needs_and_keeps_the_rest(penstock, processed) -> None:
    penstock("run", "--runs", "1", "--set", "tpc.estimates.smoothing_factor=50", folder=processed)
    old = penstock("store", "gc", "--hours", "0", "--json", folder=processed).json
    penstock("store", "gc", "--hours", "0", "--yes", "--empty-trash", folder=processed)
    keys = [row["key"] for row in penstock("store", "ls", "--json", folder=processed).json]
    assert len([g for g in old["garbage"] if g["what"] == "artifact without a ref"]) == 1
    assert len(keys) == 9
    assert penstock("store", "verify", folder=processed).code == 0


def test_add_keeps_a_file_and_experiment_toml_names_it_by_key(penstock, processed) -> None:
    (processed / "time.csv").write_text("tcorr\n" + "0.5\n" * 10240)
    key = penstock("store", "add", "time.csv", "--schema", "tpc.pads/1", "--json", folder=processed).json["key"]
    with (processed / "experiment.toml").open("a") as file:
        file.write(f'\n[assets]\npad_time = "artifact:{key}"\n')
    row = penstock("plan", "--runs", "1", "--stages", "tpc.points", "--json", folder=processed).json[0]
    assert (row["state"], row["why"]) == ("stale", "input 'pads' differs")
    assert penstock("run", "--runs", "1", "--stages", "tpc.points", folder=processed).code == 0


def test_export_copies_under_names_that_say_what_they_are(penstock, processed) -> None:
    key = key_of(penstock, processed, "tpc.estimates")
    files = penstock("store", "export", key, "--out", "results", "--json", folder=processed).json["files"]
    assert files == ["results/run-0001.tpc.estimates.parquet", "results/run-0001.tpc.estimates.manifest.json"]
    assert all((processed / f).is_file() for f in files)


def test_rebuild_makes_the_index_anew(penstock, processed) -> None:
    before = penstock("store", "ls", "--json", folder=processed).json
    for path in (processed / "store").glob("index.sqlite*"):
        path.unlink()
    assert penstock("store", "rebuild", "--json", folder=processed).json == {"artifacts": 9}
    assert sorted(penstock("store", "ls", "--json", folder=processed).json, key=str) == sorted(before, key=str)
    assert penstock("run", "--json", folder=processed).json["computed"] == 0
