"""Make the pictures of the Prefect UI that the documentation shows: ``python docs/screenshots.py``.

Simulates four runs, one of them cut short, processes them under a Prefect server of its own, and looks at the result
in headless Chromium. Needs the extra ``dev`` and a Chromium, the system's or the one of ``playwright install chromium``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from playwright.sync_api import Page, sync_playwright

from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock_flows.server import serve

IMAGES = Path(__file__).parent / "images"
DEPLOY = Path(__file__).parents[1] / "deploy"
N_EVENTS = 60
EXPERIMENT = """[experiment]
name = "e20009"
instrument = "attpc"
raw = "raw"

[resources]
executor = "local"
workers = 2
"""


def main() -> None:
    """Run the flow, then take the pictures."""
    with tempfile.TemporaryDirectory(prefix="e20009-") as temporary:
        folder = Path(temporary)
        (folder / "experiment.toml").write_text(EXPERIMENT)
        (folder / "raw").mkdir()
        for run in (94, 95, 96, 97):
            write_run(folder / "raw", TpcSimulation(), run, N_EVENTS)
        broken = folder / "raw" / "run_0097.h5"
        os.truncate(broken, broken.stat().st_size // 2)
        with serve(folder / "prefect") as settings:
            # Prefect reads its settings when it is imported.
            os.environ.update(settings)
            take(settings["PREFECT_API_URL"].removesuffix("/api"), folder)


def take(address: str, folder: Path) -> None:
    """Process the runs and photograph what the UI shows of it."""
    process(folder, runs="94", events="first:2")
    good = process(folder, runs="94-96")
    bad = process(folder, runs="94-97")
    deployment = deploy()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000}, device_scale_factor=1)
        page.goto(f"{address}/runs/flow-run/{good}")
        page.locator("li#artifacts").click()
        shoot(page, "flow-run")
        artifacts = artifacts_of(bad)
        page.goto(f"{address}/artifacts/artifact/{artifacts['e20009-run-table']}")
        shoot(page, "run-table")
        page.goto(f"{address}/artifacts/artifact/{artifacts_of(good)['e20009-tpc-estimates']}")
        shoot(page, "figure")
        page.goto(f"{address}/deployments/deployment/{deployment}/run")
        for stage, name in (("tpc.mesh", "form-mesh"), ("tpc.kinematics", "form")):
            page.get_by_text(stage, exact=False).first.evaluate("label => label.scrollIntoView({block: 'center'})")
            shoot(page, name)
        browser.close()


def process(folder: Path, **fields: Any) -> UUID:
    """Run the flow; the id of the flow run."""
    from penstock.tpc.request import ProcessRequest
    from penstock_flows.process import process as flow

    state = flow(ProcessRequest(experiment=str(folder), **fields), return_state=True)
    assert state.state_details.flow_run_id is not None
    return state.state_details.flow_run_id


def artifacts_of(flow_run_id: UUID) -> dict[str, UUID]:
    """The artifacts of a flow run by key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        return {str(a.key): a.id for a in client.read_artifacts(artifact_filter=wanted)}


def deploy() -> UUID:
    """Make the work pool and the deployments; the id of ``process``."""
    from prefect.client.orchestration import get_client

    for arguments in (("work-pool", "create", "penstock", "--type", "process"), ("deploy", "--all")):
        subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", *arguments], cwd=DEPLOY, check=True)
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name("process/process").id


def shoot(page: Page, name: str) -> None:
    """Save the page when it has come to rest."""
    page.wait_for_load_state("networkidle")
    # The graph of a flow run is drawn and zoomed by an animation after the last answer of the server.
    page.wait_for_timeout(4000)
    page.screenshot(path=IMAGES / f"prefect-{name}.png")


if __name__ == "__main__":
    main()
