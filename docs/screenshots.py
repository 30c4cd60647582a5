"""Make the pictures of the Prefect UI that the documentation shows: ``python docs/screenshots.py``.

Simulates four runs, one of them cut short, processes them under `penstock up`, and looks at the result in headless
Chromium. Needs the extra ``dev`` and a Chromium, the system's or the one of ``playwright install chromium``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock_flows.up._health import ask

IMAGES = Path(__file__).parent / "images"
N_EVENTS = 60
EXPERIMENT = """[experiment]
name = "e20009"
instrument = "attpc"
raw = "raw"
"""
UP = (sys.executable, "-c", "from penstock_flows.commands.up import up; up()")
LONGEST_S = 1800.0


def main() -> None:
    """Process the runs, then take the pictures."""
    with tempfile.TemporaryDirectory(prefix="e20009-") as temporary:
        folder = Path(temporary)
        (folder / "experiment.toml").write_text(EXPERIMENT)
        (folder / "raw").mkdir()
        for run in (94, 95, 96, 97):
            write_run(folder / "raw", TpcSimulation(), run, N_EVENTS)
        broken = folder / "raw" / "run_0097.h5"
        os.truncate(broken, broken.stat().st_size // 2)
        with services(folder) as state:
            take(state["ui"], state["api"], folder)


@contextmanager
def services(folder: Path) -> Iterator[dict[str, Any]]:
    """`penstock up` on free ports; yields its state."""
    home = folder / "home"
    ports = ("--port", "0", "--scheduler-port", "0", "--dashboard-port", "0")
    process = subprocess.Popen([*UP, str(folder), "--home", str(home), *ports, "--workers", "2", "--no-schedules"])
    try:
        wait(lambda: (home / "up.json").exists() or process.poll() is not None)
        yield json.loads((home / "up.json").read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def take(ui: str, api: str, folder: Path) -> None:
    """Process the runs and photograph what the UI shows of it."""
    with opened() as page:
        take_forms(page, ui, api)
    process(api, folder, runs="94", events="first:2")
    good = process(api, folder, runs="94-96")
    bad = process(api, folder, runs="94-97")
    with opened() as page:
        page.goto(f"{ui}/v2/runs/flow-run/{good}")
        page.get_by_role("tab", name="Artifacts").click()
        shoot(page, "flow-run")
        page.goto(f"{ui}/v2/artifacts/artifact/{artifact(api, bad, 'e20009-run-table')}")
        shoot(page, "run-table")
        page.goto(f"{ui}/v2/artifacts/artifact/{artifact(api, good, 'e20009-tpc-estimates')}")
        shoot(page, "figure")


def take_forms(page: Page, ui: str, api: str) -> None:
    """The deployments, and the form of ``process``, filled and refused."""
    page.goto(f"{ui}/v2/deployments")
    page.get_by_role("link", name="process", exact=True).first.wait_for()
    shoot(page, "deployments")
    page.goto(f"{ui}/v2/deployments/deployment/{deployment(api)}/run")
    page.get_by_label("Experiment").fill("/data/e20009")
    page.get_by_label("Runs").first.fill("94-110")
    shoot(page, "form")
    page.get_by_label("min_points").first.fill("-3")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("less than or equal to the minimum").first.wait_for()
    page.get_by_label("min_points").first.evaluate("field => field.scrollIntoView({block: 'center'})")
    # The message in the corner goes by itself.
    shoot(page, "form-refused", rest_ms=500)


@contextmanager
def opened() -> Iterator[Page]:
    """A page of headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000}, device_scale_factor=1)
        page.set_default_timeout(120_000)
        yield page
        browser.close()


def process(api: str, folder: Path, **fields: Any) -> str:
    """Run the deployment and wait for its end; the id of the flow run."""
    request = {"experiment": str(folder), **fields}
    body = {"parameters": {"request": request}, "state": {"type": "SCHEDULED"}}
    identity = str(ask(f"{api}/deployments/{deployment(api)}/create_flow_run", body)["id"])
    wait(lambda: ask(f"{api}/flow_runs/{identity}")["state"]["type"] in ("COMPLETED", "FAILED"))
    return identity


def deployment(api: str) -> str:
    """The id of the deployment ``process``."""
    return str(ask(f"{api}/deployments/name/process/process")["id"])


def artifact(api: str, identity: str, key: str) -> str:
    """The id of an artifact of a flow run."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [identity]}, "key": {"any_": [key]}}}
    return str(ask(f"{api}/artifacts/filter", wanted)[0]["id"])


def wait(holds: Any) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + LONGEST_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {LONGEST_S:.0f} s")
        time.sleep(0.3)


def shoot(page: Page, name: str, *, rest_ms: float = 4000) -> None:
    """Save the page when it has come to rest: graphs are drawn and zoomed by an animation after the last answer of the server."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(rest_ms)
    page.screenshot(path=IMAGES / f"prefect-{name}.png")


if __name__ == "__main__":
    main()
