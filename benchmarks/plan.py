"""Planning 1,000 runs x 4 stages: CPU seconds inside the process, where nothing and where everything is current.

The runs are those of the tests' toy instrument, one event each. Usage: ``python benchmarks/plan.py``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "toy"))

from toybench import ToyExperiment
from toyline.raw import write_run

from penstock.execute import Planner, Quiet, prepare
from penstock.store import IndexedArtifact, Store

RUNS = 1000
REPEATS = 5


def plan_seconds(toy: ToyExperiment) -> float:
    """Median CPU seconds of one plan, reading experiment.toml and looking at the raw folder included."""
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        rows = Planner(toy.load(), toy.store, toy.request()).plan()
        seconds.append(time.process_time() - began)
        assert len(rows) == 4 * RUNS
    return sorted(seconds)[REPEATS // 2]


def main() -> None:
    """Print both figures, and as the last line JSON."""
    with tempfile.TemporaryDirectory() as name, Store(Path(name) / "store") as store:
        toy = ToyExperiment(Path(name), store)
        toy.configure(pipeline=("toy.hits", "toy.scaled", "toy.groups", "toy.summary"))
        for number in range(1, RUNS + 1):
            write_run(toy.folder / "raw", number, n_events=1)
        rows = prepare(toy.load(), store, toy.request(), Quiet())
        missing = plan_seconds(toy)
        for row in rows:
            assert row.key is not None
            store.index.put(IndexedArtifact(row.key, row.stage.name, "run", row.recipe, 1, 1, 1, "2026-01-01"))
        current = plan_seconds(toy)
    print(f"plan of {RUNS} runs x 4 stages: {missing:.2f} s of CPU where nothing is computed, {current:.2f} s where all is current")
    figures = (("plan 4000 rows, all missing", missing), ("plan 4000 rows, all current", current))
    print(json.dumps([{"name": n, "unit": "s", "ours": round(s, 3), "peer": None, "ratio": None} for n, s in figures]))


if __name__ == "__main__":
    main()
