"""``penstock cluster``: job scripts without a batch system."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock.cli.cluster import cluster
from penstock.core.errors import ConfigError

PROFILE = """
site = "here"
insecure = true
[[jobs]]
name = "tpc"
lanes = ["tpc"]
memory = "4GB"
[[jobs]]
name = "events"
lanes = ["events"]
memory = "4GB"
"""


@pytest.fixture
def profile(tmp_path: Path) -> str:
    (tmp_path / "site.toml").write_text(PROFILE)
    return str(tmp_path / "site.toml")


def test_script_shows_what_would_be_submitted(profile: str) -> None:
    shown = CliRunner().invoke(cluster, ["script", profile])
    assert shown.exit_code == 0
    assert "#SBATCH -J penstock-tpc" in shown.output
    assert "--resources events=1" in shown.output


def test_one_kind_of_job_as_json(profile: str) -> None:
    shown = CliRunner().invoke(cluster, ["script", profile, "--job", "events", "--json"])
    assert list(json.loads(shown.output)) == ["events"]


def test_an_unknown_kind_of_job_is_refused_with_the_nearest(profile: str) -> None:
    shown = CliRunner().invoke(cluster, ["script", profile, "--job", "event"])
    assert isinstance(shown.exception, ConfigError)
    assert "has no job 'event' (tpc, events). Did you mean 'events'?" in str(shown.exception)
