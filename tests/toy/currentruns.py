"""Many runs of which everything is current: one is computed, the others are copies of it under keys of their own."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

from toybench import ToyExperiment

from penstock.core.selection import RunRange
from penstock.execute import Planner, Quiet, Registrar, Request, ref_name


def make_current_runs(toy: ToyExperiment, n_runs: int) -> None:
    """So many runs of one event through three stages, whose manifests and files lie where commits leave them."""
    first = toy.write_run(1, 1)
    for number in range(2, n_runs + 1):
        shutil.copyfile(first, first.with_name(f"toy_{number:04d}.txt"))
    made = {r.stage: toy.store.manifest(str(r.key)) for r in toy.run("1").results}
    experiment = toy.load()
    registrar = Registrar(experiment, toy.store)
    registrar.register(registrar.available, Quiet().registering)
    for row in Planner(experiment, toy.store, Request(RunRange("all"))).plan():
        if row.run == 1 or row.key is None or row.subject is None:
            continue
        like = made[row.stage.name]
        manifest = replace(like, key=row.key, run=row.run, subject=row.subject.label, recipe=dict(row.recipe), inputs=dict(row.inputs))
        home = toy.store.home(row.key)
        for file in like.files:
            (home / file.name).parent.mkdir(parents=True, exist_ok=True)
            os.link(toy.store.home(like.key) / file.name, home / file.name)
        (home / "manifest.json").write_text(manifest.dumps())
        toy.store.enter(manifest, ref_name(experiment, row.subject.label, row.stage.name))
