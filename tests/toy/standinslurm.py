"""A stand-in for SLURM where there is none: ``sbatch``, ``squeue`` and ``scancel`` that start job scripts as processes of this machine."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

SBATCH = """#!{python}
import re, subprocess, sys
from pathlib import Path
here = Path({folder!r})
if (here / "refuse").exists():
    sys.exit((here / "refuse").read_text())
number = len(list(here.glob("*.job"))) + 1
script = Path(sys.argv[-1]).read_text()
names = dict(re.findall(r"^#SBATCH -([eo]) (.*)$", script, re.M))
streams = {{flag: open(name.replace("%j", str(number)), "wb") for flag, name in names.items()}}
process = subprocess.Popen(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=streams["o"], stderr=streams["e"], start_new_session=True)
(here / f"{{number}}.job").write_text(str(process.pid))
print(f"Submitted batch job {{number}}")
"""

SQUEUE = """#!/bin/sh
for job in {folder}/*.job; do
    [ -e "$job" ] || continue
    pid=$(cat "$job")
    if kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status"; then
        echo "$(basename "$job" .job) RUNNING $(cat {folder}/left 2>/dev/null || echo UNLIMITED)"
    fi
done
"""

SCANCEL = """#!/bin/sh
echo "$1" >>{folder}/cancelled
kill -TERM -- "-$(cat {folder}/$1.job)" 2>/dev/null || true
"""


class StandInSlurm:
    """The three commands in a folder, which a test puts on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL)):
            (folder / name).write_text(text.format(python=sys.executable, folder=str(folder)))
            (folder / name).chmod(0o755)

    @property
    def submitted(self) -> int:
        """How many jobs were submitted."""
        return len(list(self.folder.glob("*.job")))

    @property
    def cancelled(self) -> list[str]:
        """The numbers of the jobs that were cancelled."""
        file = self.folder / "cancelled"
        return file.read_text().split() if file.exists() else []

    def end(self) -> None:
        """Stop what still runs."""
        for job in self.folder.glob("*.job"):
            with suppress(ProcessLookupError):
                os.killpg(int(job.read_text()), signal.SIGKILL)
