"""Dask with the certificates: nodes talk, others are refused."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import dask
import pytest
import yaml
from distributed import Client, LocalCluster
from distributed.security import Security

from penstock.security import CertificateFolder, make_certificates


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> CertificateFolder:
    return make_certificates(tmp_path_factory.mktemp("site") / "certs")


def security_of(certs: CertificateFolder) -> Security:
    """What Dask reads where DASK_CONFIG names the file."""
    told = dask.config.merge(dask.config.config, yaml.safe_load(certs.dask.read_text()))
    with dask.config.set(told):
        return Security()


@pytest.fixture(scope="module")
def cluster(certs: CertificateFolder) -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=1,
        processes=False,
        protocol="tls",
        host="127.0.0.1",
        security=security_of(certs),
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    ) as cluster:
        yield cluster


def test_scheduler_worker_and_client_talk_encrypted(cluster: LocalCluster, certs: CertificateFolder) -> None:
    with Client(cluster.scheduler_address, security=security_of(certs), set_as_default=False) as client:
        assert client.submit(sum, [1, 2]).result(timeout=10) == 3
        addresses = [cluster.scheduler_address, *client.scheduler_info()["workers"]]
    assert all(address.startswith("tls://") for address in addresses)


def test_a_client_whose_certificate_another_authority_signed_is_refused(cluster: LocalCluster, tmp_path: Path) -> None:
    stranger = security_of(make_certificates(tmp_path / "stranger"))
    with pytest.raises(OSError, match="TLS certificate does not match"):
        Client(cluster.scheduler_address, security=stranger, timeout=1, set_as_default=False)


def test_a_client_without_certificate_is_refused(cluster: LocalCluster, certs: CertificateFolder) -> None:
    only_believes = ssl.create_default_context(cafile=certs.authority)
    parts = urlsplit(cluster.scheduler_address)
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=5) as raw,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
        only_believes.wrap_socket(raw, server_hostname="localhost") as stream,
    ):
        stream.recv(1)


def test_a_plain_client_is_refused(cluster: LocalCluster) -> None:
    address = cluster.scheduler_address.replace("tls://", "tcp://")
    with pytest.raises(OSError, match=r"reset by peer|Timed out"):
        Client(address, timeout=1, set_as_default=False)


def test_a_node_connects_to_no_plain_scheduler(certs: CertificateFolder) -> None:
    with pytest.raises(RuntimeError, match="encryption required"):
        Client("tcp://127.0.0.1:9", security=security_of(certs), timeout=1, set_as_default=False)


@contextmanager
def process(*command: str, environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        running = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
        try:
            yield
        finally:
            running.terminate()
            running.wait(10)


@pytest.mark.slow
def test_processes_that_are_only_told_by_dask_config_talk_encrypted(certs: CertificateFolder, tmp_path: Path) -> None:
    environment = {**os.environ, "DASK_CONFIG": str(certs.dask)}
    dask_command = (sys.executable, "-m", "dask")
    file = tmp_path / "scheduler.json"
    with ExitStack() as stack:
        scheduler = (*dask_command, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        stack.enter_context(process(*scheduler, environment=environment, log=tmp_path / "scheduler.log"))
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        worker = (*dask_command, "worker", "--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard", "--no-nanny")
        stack.enter_context(process(*worker, environment=environment, log=tmp_path / "worker.log"))
        code = "import sys; from distributed import Client\nwith Client(scheduler_file=sys.argv[1], timeout=60) as c: print(c.scheduler.address[:6], c.submit(sum, [1, 2]).result(timeout=60))"
        told = subprocess.run(
            [sys.executable, "-c", code, str(file)], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        stranger = subprocess.run(
            [sys.executable, "-c", code.replace("timeout=60)", "timeout=3)", 1), str(file)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert told.stdout == "tls:// 3\n", told.stderr
    assert stranger.returncode != 0
