"""A scheduler and a worker that talk to nobody without the certificates of their site."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from distributed import Security
from toybench import ToyExperiment
from toyworkers import open_fleet

from penstock.config import Resources
from penstock.core.errors import ConfigError, LaneMissing
from penstock.execute._security import security_of, warn_if_open
from penstock.security.certificates import make_certificates


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates as ``penstock certs`` makes them."""
    folder = tmp_path_factory.mktemp("site") / "certs"
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def address(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler with these certificates, and a worker process that reads them from its environment."""
    ca, node, key = (str(site / name) for name in ("ca.pem", "node.pem", "node-key.pem"))
    roles = {f"tls_{role}_{kind}": path for role in ("scheduler", "worker", "client") for kind, path in (("cert", node), ("key", key))}
    tls = "DASK_DISTRIBUTED__COMM__TLS"
    variables = {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        f"{tls}__CA_FILE": ca,
        **{f"{tls}__{role}__{kind}": path for role in ("WORKER", "SCHEDULER") for kind, path in (("CERT", node), ("KEY", key))},
    }
    with open_fleet(tmp_path_factory.mktemp("fleet"), Security(require_encryption=True, tls_ca_file=ca, **roles)) as fleet:
        fleet.start("--resources", "toy=1", variables=variables)
        yield fleet.address


@pytest.mark.server
def test_batches_go_to_workers_over_tls(toy: ToyExperiment, address: str, site: Path) -> None:
    toy.write_run(1, n_events=4)

    report = toy.run(resources=Resources(executor=address, tls=str(site)))

    assert address.startswith("tls://")
    assert report.ok


@pytest.mark.server
def test_certificates_of_another_site_are_refused(
    toy: ToyExperiment, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.execute._dask.CONNECT_S", 2.0)
    toy.write_run(1, n_events=4)
    make_certificates(tmp_path / "other")

    with pytest.raises(
        LaneMissing, match=r"^Dask scheduler tls://\S+: cannot be reached .*Check that both have certificates of one authority\.$"
    ):
        toy.run(resources=Resources(executor=address, tls=str(tmp_path / "other")))


@pytest.mark.server
def test_a_client_without_certificates_is_told_where_to_name_them(
    toy: ToyExperiment, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.execute._dask.CONNECT_S", 2.0)
    toy.write_run(1, n_events=4)

    with pytest.raises(ConfigError, match=r"^Dask scheduler tls://\S+: no certificates are named\. .*\[resources\] tls"):
        toy.run(resources=Resources(executor=address))


def test_a_folder_without_certificates_is_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^\[resources\] tls: \S+ has no ca\.pem, node\.pem, node-key\.pem\. Make the folder with: penstock certs"
    ):
        security_of("tls://head:8786", tmp_path)


def test_files_that_are_no_certificates_are_refused(tmp_path: Path) -> None:
    for name in ("ca.pem", "node.pem", "node-key.pem"):
        (tmp_path / name).write_text("nothing")

    with pytest.raises(ConfigError, match=r"^\[resources\] tls: the certificates in \S+ cannot be used"):
        security_of("tls://head:8786", tmp_path)


@pytest.mark.parametrize(("days", "name", "anew"), [(400, "node.pem", "FOLDER --renew"), (4000, "ca.pem", "NEW-FOLDER")])
def test_certificates_that_ended_are_refused_by_name(tmp_path: Path, days: int, name: str, anew: str) -> None:
    made = make_certificates(tmp_path / "certs", now=datetime.now(UTC) - timedelta(days=days))
    with pytest.raises(
        ConfigError, match=rf"^\[resources\] tls: \S+/{name} ended on \d{{4}}-\d\d-\d\d, so nobody takes it\..*penstock certs {anew}\)"
    ):
        security_of("tls://127.0.0.1:8786", made.path)


def test_certificates_are_left_alone_where_the_address_is_plain(tmp_path: Path) -> None:
    assert security_of("tcp://127.0.0.1:8786", tmp_path) is None


def test_a_plain_address_beyond_this_machine_is_one_warning() -> None:
    with pytest.warns(UserWarning, match=r"^Dask scheduler tcp://head:8786: whoever reaches it can run code on its workers\. Use tls://"):
        warn_if_open("tcp://head:8786")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786", "tls://head:8786"])
def test_addresses_that_are_closed_to_others_are_no_warning(address: str) -> None:
    warn_if_open(address)
