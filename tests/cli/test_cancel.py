"""Cancelling: one way for Ctrl-C and SIGTERM, and the same command goes on afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_cancelled_run_says_so_and_the_same_command_goes_on(penstock, fresh, executor, number) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | {
        "PYTHONWARNINGS": "ignore",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "penstock.cli", "run", "--executor", executor, "--workers", "1"]
    with subprocess.Popen(command, cwd=fresh, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "results wanted" in line:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Cancelled. What was committed stays; run the same command again to go on." in err
    assert "Traceback" not in err
    assert out == ""
    report = penstock("run", "--json", folder=fresh).json
    assert report["computed"] + report["current"] == 9
    assert penstock("store", "verify", folder=fresh).code == 0
