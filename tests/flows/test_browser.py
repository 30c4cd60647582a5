"""The Prefect UI in headless Chromium: pick a deployment, fill its form, start it, see it done; be refused; cancel."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from upsite import Site, running_up, slow_experiment, until

from penstock_flows.up._health import ask

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(900)]

PATIENCE_MS = 120_000
"""A page on a busy machine may take so long."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_up(tmp_path_factory.mktemp("browser"), "--lane", "toy=2", "--no-schedules") as running:
        yield running


@pytest.fixture
def page() -> Iterator[Page]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Debian's package chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1400, "height": 1000})
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
        browser.close()


def open_form(page: Page, site: Site) -> None:
    """From the address that `up` prints to the form of `process`, by clicking."""
    page.goto(str(site.state["ui"]))
    page.get_by_role("link", name="Deployments").first.click()
    page.get_by_role("link", name="process", exact=True).first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    page.get_by_label("Experiment").wait_for()


def fill(page: Page, folder: Path, runs: str, **others: str) -> None:
    values = {"Experiment": str(folder), "Runs": runs, **others}
    for label, value in values.items():
        page.get_by_label(label, exact=label == "Experiment").first.fill(value)


def submit(page: Page) -> None:
    page.get_by_role("button", name="Submit").click()


def flow_run_of(site: Site, before: list[dict[str, Any]]) -> str:
    """The flow run that was not there before."""
    known = {run["id"] for run in before}
    until(lambda: [run for run in site.flow_runs() if run["id"] not in known], 60)
    return next(str(run["id"]) for run in site.flow_runs() if run["id"] not in known)


def test_form_starts_a_run_that_completes_with_artifacts(site: Site, page: Page, tmp_path: Path) -> None:
    folder = slow_experiment(tmp_path / "forms", 0.02, n_events=12)
    before = site.flow_runs()
    open_form(page, site)
    fill(page, folder, "1-2")
    submit(page)
    identity = flow_run_of(site, before)
    assert site.ended(identity)["message"] == "6 computed"
    page.goto(f"{site.state['ui']}/v2/runs/flow-run/{identity}")
    page.get_by_text("Completed", exact=True).first.wait_for()
    page.get_by_role("tab", name="Artifacts").click()
    for artifact in ("plan", "progress", "run-table"):
        page.get_by_text(f"forms-{artifact}").first.wait_for()


def test_value_out_of_bounds_is_refused_at_its_field_and_starts_nothing(site: Site, page: Page, tmp_path: Path) -> None:
    before = site.flow_runs()
    open_form(page, site)
    fill(page, tmp_path, "1", min_points="-3")
    submit(page)
    page.get_by_text("'request.overrides.clusters.hdbscan.min_points'").first.wait_for()
    page.get_by_text("-3 is less than or equal to the minimum of 0", exact=True).first.wait_for()
    assert site.flow_runs() == before


def test_value_out_of_bounds_is_refused_over_rest_with_the_name_of_its_field(site: Site) -> None:
    request = {"experiment": "/data", "overrides": {"clusters": {"hdbscan": {"min_points": -3}}}}
    with pytest.raises(
        OSError, match=r"409 .*'request.overrides.clusters.hdbscan.min_points'.*-3 is less than or equal to the minimum of 0"
    ):
        ask(f"{site.api}/deployments/{site.deployment()}/create_flow_run", {"parameters": {"request": request}})


def test_cancel_button_ends_the_run_and_its_batches(site: Site, page: Page, tmp_path: Path) -> None:
    identity = site.trigger(experiment=str(slow_experiment(tmp_path / "toys", 60.0)), runs="1-2")
    page.goto(f"{site.state['ui']}/v2/runs/flow-run/{identity}")
    until(lambda: site.batches() == 4, 200)
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("menuitem", name="Cancel").click()
    asked = time.monotonic()
    page.get_by_role("button", name="Cancel Flow Run").click()
    until(lambda: site.batches() == 0, 30)
    stopped = time.monotonic() - asked
    until(lambda: site.flow_run(identity)["state"]["type"] == "CANCELLED", 30)
    page.get_by_text("Cancelled", exact=True).first.wait_for()
    print(f"no batch after {stopped:.1f} s, the page says Cancelled after {time.monotonic() - asked:.1f} s")
    until(lambda: not site.flow_processes(), 60)
