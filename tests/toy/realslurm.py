"""A real SLURM of one node on this machine, from Debian's packages slurm-wlm and munge: daemons in a folder, on free ports."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from penstock_flows.server import free_port

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")

CONF = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={here}/munge.sock
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=5
OverTimeLimit=0
NodeName=localhost CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=closed Nodes=ALL MaxTime=INFINITE State=DOWN
"""


def missing() -> str | None:
    """What keeps SLURM from running here."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"{absent[0]} is not installed (Debian: slurm-wlm, munge)"
    return None if os.geteuid() == 0 else "slurmd wants root"


@contextmanager
def slurm() -> Iterator[Path]:
    """The configuration of a SLURM that accepts jobs, to be named by SLURM_CONF."""
    with ExitStack() as stack:
        # Sockets have short names, and munge wants a folder that others cannot write to.
        here = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-", dir="/var/tmp")))
        here.chmod(0o755)
        for name in ("state", "spool"):
            (here / name).mkdir()
        key = here / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 500
        conf = here / "slurm.conf"
        conf.write_text(
            CONF.format(user=getpass.getuser(), here=here, ports=[free_port(), free_port()], cores=os.cpu_count(), memory=memory_mb)
        )
        environment = {**os.environ, "SLURM_CONF": str(conf)}
        files = [
            f"--{name}={here}/munge.{end}"
            for name, end in (("socket", "sock"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"))
        ]
        for command in (
            ["munged", "--foreground", "--force", f"--key-file={key}", *files],
            ["slurmctld", "-D", "-f", str(conf)],
            ["slurmd", "-D", "-f", str(conf), "-N", "localhost"],
        ):
            log = stack.enter_context((here / f"{command[0]}.out").open("wb"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            stack.callback(_end, process)
        _wait(environment)
        yield conf


def _wait(environment: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        shown = subprocess.run(["sinfo", "--noheader", "--format", "%P %T"], env=environment, capture_output=True, text=True, check=False)
        if "all* idle" in shown.stdout:
            return
        time.sleep(0.5)
    raise AssertionError(f"SLURM did not start: {shown.stdout} {shown.stderr}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
