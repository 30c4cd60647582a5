"""`tune`: values of a parameter, computed once and compared."""

from __future__ import annotations


def test_tune_computes_each_value_once_and_compares(penstock, processed) -> None:
    call = ("tune", "tpc.estimates.min_total_trajectory_points=30,5000", "--runs", "1", "--out", "sheet.png", "--json")
    first, again = (penstock(*call, folder=processed) for _ in range(2))
    assert (first.code, again.code) == (0, 0)
    assert [value["computed"] for value in first.json["values"]] == [0, 1]
    assert [value["computed"] for value in again.json["values"]] == [0, 0]
    assert [value["tracks_per_event"] > 0 for value in again.json["values"]] == [True, False]
    assert (processed / first.json["figure"]).read_bytes().startswith(b"\x89PNG")


def test_tune_prints_a_row_a_value_and_names_the_figure(penstock, processed) -> None:
    result = penstock("tune", "tpc.clusters.join=none,overlap", "experiment.toml", "--runs", "1", "--event", "2", folder=processed)
    assert result.code == 0
    head, *rows, figure = result.out.splitlines()
    assert head.split()[:3] == ["join", "events", "rejected"]
    assert [row.split()[0] for row in rows] == ["none", "overlap"]
    assert figure == "tune_join.png"


def test_stages_behind_what_is_shown_are_not_computed(penstock, processed) -> None:
    path = processed / "experiment.toml"
    path.write_text(path.read_text().replace("[resources]", "[params.tpc.mesh]\nke_bins = 8\npolar_bins = 8\n\n[resources]"))
    path.write_text(
        path.read_text().replace("raw =", 'pipeline = ["tpc.points", "tpc.clusters", "tpc.estimates", "tpc.mesh", "tpc.fits"]\nraw =')
    )
    result = penstock("tune", "tpc.estimates.min_total_trajectory_points=30,40", "--runs", "1", "--json", folder=processed)
    assert result.code == 0
    assert [value["computed"] for value in result.json["values"]] == [0, 1]


def test_an_unknown_parameter_is_refused_before_anything_is_computed(penstock, processed) -> None:
    result = penstock("tune", "tpc.clusters.hdbscan.min_pionts=3,5", "--runs", "1", folder=processed)
    assert result.code == 2
    assert "Did you mean 'tpc.clusters.hdbscan.min_points'?" in result.err


def test_an_unknown_column_is_refused_before_anything_is_computed(penstock, fresh) -> None:
    result = penstock("tune", "tpc.clusters.hdbscan.min_points=3,5", "--against", "polr", folder=fresh)
    assert result.code == 2
    assert "'polr' is no column of tpc.estimates. Did you mean 'polar'?" in result.err
    assert not list((fresh / "store" / "objects").glob("*/*"))
