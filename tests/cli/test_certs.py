"""`penstock certs`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock.cli.certs import certs
from penstock.core.errors import ConfigError
from penstock.security import CertificatesExist


def test_certs_says_what_it_made_and_what_is_secret(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    told = json.loads(CliRunner().invoke(certs, [str(folder), "--host", "head.example.org", "--json"]).output)
    assert told["folder"] == str(folder)
    assert sorted(Path(p).name for p in told["secrets"]) == ["ca-key.pem", "client.key_secret", "node-key.pem", "server.key_secret"]
    assert {p.name for p in folder.iterdir()} == {"ca.pem", "ca-key.pem", "node.pem", "node-key.pem", "dask.yaml", "curve"}


def test_certs_tells_people_where_the_key_of_the_authority_belongs(tmp_path: Path) -> None:
    output = CliRunner().invoke(certs, [str(tmp_path / "certs")]).output
    assert "node.pem: valid until 20" in output
    assert "Keep ca-key.pem off the nodes. Start Dask with: DASK_CONFIG=" in output


def test_certs_renews_only_where_it_is_asked_to(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    CliRunner().invoke(certs, [str(folder)])
    before = (folder / "node.pem").read_bytes()
    with pytest.raises(CertificatesExist):
        CliRunner().invoke(certs, [str(folder)], catch_exceptions=False)
    assert (folder / "node.pem").read_bytes() == before
    assert CliRunner().invoke(certs, [str(folder), "--renew", "--days", "20"]).exit_code == 0
    assert (folder / "node.pem").read_bytes() != before


def test_certs_says_what_does_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--mounted-at goes with new certificates only: --renew leaves dask\.yaml as it is\.$"):
        CliRunner().invoke(certs, [str(tmp_path), "--renew", "--mounted-at", "/certs"], catch_exceptions=False)
