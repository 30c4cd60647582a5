"""A small simulated run, and what each stage before ours makes of it."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet
import pytest

from penstock.core.schema import Records
from penstock.core.stage import load_dotted
from penstock.instruments.attpc import INSTRUMENT
from penstock.simulate.tpc_runs import truth_path, write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.tpc.stages import clusters, estimates, points

EVENTS = 8


@pytest.fixture(scope="session")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 1, protons; among its events is a down-scale trigger, which has no point."""
    return write_run(tmp_path_factory.mktemp("raw"), TpcSimulation(seed=3, downscale_probability=0.2), 1, EVENTS)


@pytest.fixture(scope="session")
def truth(run_file: Path) -> dict[int, dict[str, float]]:
    """What was simulated, by event."""
    return {row["event"]: row for row in pyarrow.parquet.read_table(truth_path(run_file)).to_pylist()}


@pytest.fixture(scope="session")
def made(run_file: Path) -> Mapping[str, Records]:
    """The records of each stage, by slot."""
    with load_dotted(INSTRUMENT.reader)(run_file) as reader:
        traces = reader.read(0, EVENTS)
        assets = {slot: load_dotted(INSTRUMENT.asset_makers[schema.schema_id()])({}) for slot, schema in points.assets.items()}
        cloud = points.load_body()(traces=traces, params=points.params(), **assets)
    groups = clusters.load_body()(points=cloud, params=clusters.params())
    tracks = estimates.load_body()(clusters=groups, params=estimates.params())
    return {"points": cloud, "clusters": groups, "estimates": tracks}
