"""What execution itself costs: a stage that does nothing, on blocks of one event, in this process.

A step's own part (claim, attempt, commit) is told from what each block adds: its marks, its file, its note, its place in the commit.
The last line printed is JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from figures import Row, format_table, json_line
from machine import cpu_seconds, describe_machine
from tpc_data import RunSet

from penstock.config import load_experiment
from penstock.core.plan import PlanRow
from penstock.core.selection import EventSelection, RunRange
from penstock.execute import Quiet, Request, StepResult, run
from penstock.store import Store

__all__ = ["main", "step_cpu_s"]

_EXPERIMENT = """[experiment]
name = "bench"
instrument = "attpc"
raw = {raw!r}
pipeline = ["bench.nothing"]

[plugins]
modules = ["bench_nothing.py"]
"""

_PLUGIN = '''"""A stage that does nothing: the number of each event, in blocks of one."""

import numpy as np

from penstock.core.params import Params
from penstock.core.schema import Column, Records, Table
from penstock.core.stage import stage
from penstock.tpc.schemas import Traces


class Numbers(Records):
    name = "bench.numbers"
    version = 1
    tables = (Table("events", (Column("event", "i8"),), per=None),)


def do_nothing(traces, params):
    return Numbers(n_events=traces.n_events, columns={"events": {"event": np.array(traces["events"]["event"])}})


nothing = stage(
    "bench.nothing", version=1, body="bench_nothing:do_nothing", params=Params, reads={"traces": Traces}, writes=Numbers, lane="tpc", block=1
)
'''


class _Meter(Quiet):
    """CPU of the step."""

    cpu_s = 0.0

    def began(self, row: PlanRow, n_events: int) -> None:
        self.cpu_s = -cpu_seconds()

    def ended(self, result: StepResult) -> None:
        if result.error is not None:
            raise SystemExit(result.error)
        self.cpu_s += cpu_seconds()


def step_cpu_s(folder: Path, raw: Path, n_events: int) -> float:
    """CPU of one step of so many blocks, in seconds, after another one that loads everything."""
    folder.mkdir()
    (folder / "experiment.toml").write_text(_EXPERIMENT.format(raw=str(raw.resolve())), encoding="utf-8")
    (folder / "bench_nothing.py").write_text(_PLUGIN, encoding="utf-8")
    experiment = load_experiment(folder)
    resources = experiment.resources.model_copy(update={"executor": "inline"})
    meter = _Meter()
    with Store(experiment.store_path) as store:
        run(experiment, store, Request(RunRange("all"), EventSelection.parse("first:2")), resources=resources)
        run(experiment, store, Request(RunRange("all"), EventSelection.parse(f"first:{n_events}")), watcher=meter, resources=resources)
    return meter.cpu_s


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    n = options.blocks
    raw = RunSet("overhead", (1,), n, seed=51).provide(options.data)
    with tempfile.TemporaryDirectory(prefix="penstock-overhead-") as name:
        folder = Path(name)
        few = step_cpu_s(folder / "few", raw, 4)
        inline = step_cpu_s(folder / "inline", raw, n)
        rows = [
            Row("step of four blocks, in the process", "ms", 1e3 * few),
            Row("one more block, in the process", "ms", 1e3 * (inline - few) / (n - 4)),
        ]
    print(describe_machine())
    print("\n" + format_table("CPU of a stage that does nothing, reading one event a block included", rows))
    print(json_line(rows))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    root = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--blocks", type=int, default=200, metavar="N", help="blocks of one event each; default 200")
    parser.add_argument("--data", type=Path, default=root / "bench-data" / "tpc", metavar="DIR", help="where simulated runs are kept")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
