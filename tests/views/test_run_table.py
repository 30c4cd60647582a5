"""Further columns of the run table, what is remembered of artifacts, and the page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from penstock.config import RunColumn
from penstock.core.canonical import Key
from penstock.core.errors import DamagedArtifact
from penstock.core.plan import State
from penstock.core.selection import RunRange
from penstock.execute import Planner, Request
from penstock.store import Counts, Store
from penstock.tpc.schemas import Estimates, PointCloud
from penstock.views import Cell, RunTable, run_table, run_table_values
from penstock.views.run_table_html import about_line, run_table_html, value_range, write_run_table_html
from penstock.views.run_table_values import ColumnValue, Remembered
from penstock.views.tables import total

PER_EVENT = RunColumn("tracks_per_event", "tpc.estimates", Estimates, counting="rows/events")
BRHO = RunColumn("brho", "tpc.estimates", Estimates, table="estimates", column="brho", reduce="median", unit="T·m")
INTEGRAL = RunColumn("integral", "tpc.points", PointCloud, table="points", column="integral", reduce="mean")
IC = RunColumn("ic", "tpc.points", PointCloud, table="events", column="ic_multiplicity", reduce="count")
STAGES = ("tpc.points", "tpc.clusters", "tpc.estimates")


def table_of(processed, *columns: RunColumn, runs: str = "1", **overrides: object) -> RunTable:
    request = Request(RunRange(runs), overrides={name.replace("__", "."): value for name, value in overrides.items()})
    return run_table(Planner(processed.experiment, processed.store, request).plan(), processed.store, columns=columns)


@pytest.fixture
def forgetful(processed) -> Iterator[Path]:
    """The file in which things are remembered, absent before the test and after it."""
    path = processed.store.root / "run-table.json"
    path.unlink(missing_ok=True)
    yield path
    path.unlink(missing_ok=True)


def test_columns_are_what_numpy_makes_of_the_artifacts(processed, forgetful: Path) -> None:
    brho = processed.estimates["estimates"]["brho"]
    integral = processed.points["points"]["integral"].astype("f8")

    values = table_of(processed, PER_EVENT, BRHO, INTEGRAL, IC).values[1]

    assert values["tracks_per_event"].value == brho.size / 6
    assert values["brho"].value == pytest.approx(float(np.median(brho[np.isfinite(brho)])), rel=1e-12)
    assert values["integral"].value == pytest.approx(float(integral.mean()), rel=1e-12)
    assert values["ic"].value == 6


def test_an_artifact_that_is_read_in_pieces_gives_the_same(processed, forgetful: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table_of(processed, INTEGRAL).values[1]["integral"].value
    forgetful.unlink()
    monkeypatch.setattr(run_table_values, "EVENTS_AT_ONCE", 4)

    assert table_of(processed, INTEGRAL).values[1]["integral"].value == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("reduce", ["mean", "median", "std", "min", "max", "sum"])
def test_values_that_are_not_finite_are_left_out(processed, forgetful: Path, monkeypatch: pytest.MonkeyPatch, reduce: str) -> None:
    values = processed.estimates["estimates"]["brho"].copy()
    values[:2] = np.nan, np.inf
    monkeypatch.setattr(Store, "read", lambda *_: Estimates(n_events=6, columns={"estimates": {"brho": values}}))
    column = RunColumn("x", "tpc.estimates", Estimates, table="estimates", column="brho", reduce=reduce)

    assert table_of(processed, column).values[1]["x"].value == pytest.approx(getattr(np, reduce)(values[2:]), rel=1e-12)


def test_rejected_events_are_left_out(processed, forgetful: Path) -> None:
    found = table_of(processed, IC, PER_EVENT, runs="3").values[3]

    assert found["ic"].value == 0
    assert found["tracks_per_event"] == ColumnValue(State.CURRENT, why="rows/events divides by 0")


def test_what_is_known_by_key_is_not_read_again(processed, forgetful: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = table_of(processed, PER_EVENT, BRHO, INTEGRAL)

    monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("an artifact is read"))
    monkeypatch.setattr(Store, "manifest", lambda *_: pytest.fail("a manifest is read"))

    assert table_of(processed, PER_EVENT, BRHO, INTEGRAL) == first


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "artifacts": {"a": {}}}'])
def test_a_damaged_memory_costs_only_time(processed, forgetful: Path, text: str) -> None:
    first = table_of(processed, BRHO)
    forgetful.write_text(text)

    assert table_of(processed, BRHO) == first
    assert json.loads(forgetful.read_text())["format"] == 1


def test_two_that_learn_at_once_keep_what_both_learned(processed, forgetful: Path) -> None:
    points, estimates = (processed.manifest(stage).key for stage in ("tpc.points", "tpc.estimates"))
    with Remembered(processed.store) as one, Remembered(processed.store) as two:
        one.counts(points)
        two.value(BRHO, estimates)
        one.value(PER_EVENT, estimates)

    kept = json.loads(forgetful.read_text())["artifacts"]
    assert set(kept) == {points, estimates}
    assert set(kept[estimates]["values"]) == {BRHO.identity, PER_EVENT.identity}


def test_of_very_many_only_those_of_the_last_table_are_kept(processed, forgetful: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table_of(processed, runs="1,3")
    monkeypatch.setattr(run_table_values, "MOST", 5)

    table_of(processed, BRHO, runs="1")

    assert len(json.loads(forgetful.read_text())["artifacts"]) == 3


def test_an_artifact_that_cannot_be_read_is_told_and_tried_again(processed, forgetful: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DamagedArtifact("estimates.parquet: cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", refuse)
        broken = table_of(processed, BRHO)

    assert broken.values[1]["brho"].why == "estimates.parquet: cannot be read"
    assert broken.reasons == ["run 1, column brho: estimates.parquet: cannot be read"]
    assert table_of(processed, BRHO).values[1]["brho"].value is not None


def test_a_stale_result_has_no_value_but_a_mark(processed, forgetful: Path) -> None:
    table = table_of(processed, PER_EVENT, INTEGRAL, tpc__clusters__min_cloud_size=10)

    assert table.values[1]["tracks_per_event"] == ColumnValue(State.STALE, why="tpc.estimates is stale")
    assert table.texts(1)[0] == "~"
    assert table.values[1]["integral"].value is not None


def test_a_column_of_a_stage_that_is_not_asked_for_is_left_out(processed, forgetful: Path) -> None:
    rows = Planner(processed.experiment, processed.store, Request(RunRange("1"), stages=("tpc.points",))).plan()

    assert run_table(rows, processed.store, columns=[BRHO, INTEGRAL]).columns == (INTEGRAL,)


def test_terminal_markdown_and_json_have_the_columns(processed, forgetful: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = table_of(processed, PER_EVENT, runs="1-2")
    table.print()

    assert table.as_markdown().splitlines()[0] == "| run | tpc.points | tpc.clusters | tpc.estimates | tracks_per_event |"
    assert [row["columns"] for row in table.as_json()] == [
        {"tracks_per_event": {"value": table.values[1]["tracks_per_event"].value, "state": "current", "why": ""}},
        {"tracks_per_event": {"value": None, "state": "missing", "why": "tpc.estimates is missing"}},
    ]
    assert "tracks_per_event" in capsys.readouterr().out


@pytest.mark.parametrize("value, text", [(None, "–"), (12345.0, "12,345"), (0.123456, "0.1235"), (1e300, "1e+300"), (-3.0, "-3")], ids=str)
def test_values_have_four_digits_and_whole_numbers_all(value: float | None, text: str) -> None:
    assert ColumnValue(State.CURRENT, value).text == text


def test_the_range_of_values_leaves_out_runs_without() -> None:
    values = [ColumnValue(State.CURRENT, 0.7), ColumnValue(State.STALE), ColumnValue(State.CURRENT, 0.25)]

    assert value_range(values) == "0.25 … 0.7"
    assert value_range(values[:1]) == "0.7"
    assert value_range(values[1:2]) == ""


def test_totals_are_of_what_is_done_and_take_the_worst_state() -> None:
    done = [Cell(n, "s.a", State.CURRENT, counts=Counts(10, 9, {"bad": 1}, {}, {"hits": 5}), shown=("hits",)) for n in (1, 2)]
    found = total([*done, Cell(3, "s.a", State.STALE)])

    assert found is not None
    assert (found.summary, found.state) == ("18 ev / 10 hits (2 rejected)", State.STALE)
    assert total([Cell(3, "s.a", State.STALE)]) is None


@dataclass
class Page(HTMLParser):
    """What stands in a page."""

    links: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    blocks: dict[str, str] = field(default_factory=dict)
    inside: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("style", "script", "title"):
            self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script", "title"):
            self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.blocks[self.inside] = data
        elif self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")

    def attributes(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and wanted.items() <= found.items()]


def read_page(text: str) -> Page:
    page = Page()
    page.feed(text)
    return page


def page_of(processed, table: RunTable, folder: Path, title: str = "trial") -> Page:
    figures = folder / "figures"
    return read_page(run_table_html(table, title=title, about="about", figures=figures, store=processed.store, base=folder))


def test_the_page_has_a_row_a_run_and_a_cell_a_column(processed, forgetful: Path, tmp_path: Path) -> None:
    table = table_of(processed, PER_EVENT, runs="1-3")
    head, first, second, third, foot = (row for row in page_of(processed, table, tmp_path).rows if row)

    assert head == ["run", *STAGES, "tracks_per_event"]
    assert [row[0] for row in (first, second, third)] == ["1", "2", "3"]
    assert first[1].startswith(f"✓ {table.rows[1]['tpc.points'].summary}")
    assert second[1:] == ["· missingnot registered"] * 3 + ["·"]
    assert third[4] == "–"
    assert foot[0] == "all"
    assert foot[1].startswith("6 ev / ")


def test_a_further_column_has_its_unit_in_its_head_and_on_the_cards_of_a_phone(processed, forgetful: Path, tmp_path: Path) -> None:
    page = page_of(processed, table_of(processed, BRHO, runs="1"), tmp_path)

    assert page.rows[0][-1] == "brho [T·m]"
    assert len(page.attributes("td", **{"data-head": "brho [T·m]"})) == 2


def test_rows_tell_their_states_and_cells_what_to_sort_by(processed, forgetful: Path, tmp_path: Path) -> None:
    table = table_of(processed, PER_EVENT, runs="1-2", tpc__estimates__min_total_trajectory_points=31)
    page = page_of(processed, table, tmp_path)

    states = [found["data-states"] for found in page.attributes("tr") if "data-states" in found]
    assert states == ["current stale", "missing"]
    assert [found["data-state"] for found in page.attributes("button") if "data-state" in found] == ["stale", "missing", "current"]
    assert page.attributes("td", **{"data-head": "tpc.points"})[0]["data-value"] == "6"
    assert page.attributes("td", **{"data-head": "tpc.points"})[1]["data-value"] == ""


def test_names_and_reasons_are_text_and_nothing_else(processed, tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>&\''
    column = RunColumn(evil, "s.a", Estimates, counting="rows", unit="<i>")
    row = {evil: Cell(1, evil, State.FAILED, evil)}
    table = RunTable((evil,), {1: row}, (column,), {1: {evil: ColumnValue(State.FAILED, why=evil)}})

    page = page_of(processed, table, tmp_path, evil)

    assert len(page.attributes("script")) == 1
    assert page.attributes("i") == []
    assert page.blocks["title"] == f"{evil}: run table"
    assert any(evil in cell for cell in page.rows[1])


def test_the_page_needs_nothing_from_elsewhere_and_allows_no_other_script(processed, forgetful: Path, tmp_path: Path) -> None:
    page = page_of(processed, table_of(processed, BRHO), tmp_path)
    (policy,) = (str(found["content"]) for found in page.attributes("meta", **{"http-equiv": "Content-Security-Policy"}))

    digests = [base64.b64encode(hashlib.sha256(page.blocks[name].encode()).digest()).decode() for name in ("style", "script")]
    assert re.findall(r"'sha256-(.*?)'", policy) == digests
    assert policy.startswith("default-src 'none'")
    assert not any("//" in link for link in page.links)
    assert not page.attributes("link")


def test_links_lead_from_the_page_to_figures_and_artifacts(processed, forgetful: Path) -> None:
    folder = processed.experiment.path.parent
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    key = next(m.key for m in processed.store.manifests() if (m.subject, m.stage) == ("run-0001", "tpc.points"))
    for name in (key.short, "f" * 10):
        (figures / f"run-0001.tpc.points.{name}.png").write_bytes(b"")
    (folder / "a b").mkdir(exist_ok=True)

    path = write_run_table_html(table_of(processed), folder / "a b" / "page.html", processed.experiment, processed.store)
    links = read_page(path.read_text(encoding="utf-8")).links

    assert links[1] == f"../figures/run-0001.tpc.points.{key.short}.png"
    assert all((path.parent / link).exists() for link in links)
    assert len(links) == 4
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]


def test_artifacts_in_a_bucket_have_no_links(processed, forgetful: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(processed)
    monkeypatch.setattr(processed.store, "name", "s3://bucket/e20009")

    page = page_of(processed, table, tmp_path)

    assert page.links == []
    assert page.attributes("code")[0]["title"] == f"{table.rows[1]['tpc.points'].key} in s3://bucket/e20009"


def test_the_line_below_the_title_says_what_the_table_is_of() -> None:
    made = datetime(2026, 11, 21, 19, 4, tzinfo=UTC)

    assert about_line("attpc", "default", RunTable((), {1: {}}), made) == "attpc, preset default, 1 run, as of 2026-11-21 19:04 UTC"
    assert "1,200 runs" in about_line("attpc", "default", RunTable((), {n: {} for n in range(1200)}), made)


def test_the_page_of_a_thousand_runs_stays_small(processed, tmp_path: Path) -> None:
    counts = Counts(9800, 9800, {}, {}, {"points": 3_200_000})
    rows = {
        run: {s: Cell(run, s, State.CURRENT, key=Key(f"{run:032d}"), counts=counts, shown=("points",)) for s in STAGES}
        for run in range(1000)
    }
    text = run_table_html(RunTable(STAGES, rows), title="e20009", about="", figures=tmp_path / "none", store=processed.store, base=tmp_path)

    assert len(text) < 1_500_000
    assert text.count("<tr data-states") == 1000


@pytest.mark.slow
def test_in_a_browser_the_page_is_sorted_and_filtered(processed, forgetful: Path, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Debian's package chromium")
    column = RunColumn("x", "s.a", Estimates, counting="rows")
    rows = {n: {"s.a": Cell(n, "s.a", State.STALE if n == 2 else State.CURRENT, counts=Counts(1, 1))} for n in (1, 2, 3)}
    values = {1: ColumnValue(State.CURRENT, 2.0), 2: ColumnValue(State.STALE), 3: ColumnValue(State.CURRENT, 10.0)}
    table = RunTable(("s.a",), rows, (column,), {run: {"x": value} for run, value in values.items()})
    path = write_run_table_html(table, tmp_path / "page.html", processed.experiment, processed.store)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(path.as_uri())

        def shown() -> list[str]:
            return list(page.locator("tbody tr:visible > th").all_inner_texts())

        page.get_by_role("button", name="x", exact=True).click()
        ascending = shown()
        page.get_by_role("button", name="x", exact=True).click()
        descending = shown()
        page.get_by_role("button", name="stale").click()
        stale = shown()
        page.get_by_role("button", name="stale").click()
        page.get_by_role("searchbox").fill("10")
        found = (shown(), page.locator("output").inner_text())
        browser.close()
    assert (ascending, descending, stale) == (["1", "3", "2"], ["3", "1", "2"], ["2"])
    assert found == (["3"], "1 of 3 runs")
    assert said == []
