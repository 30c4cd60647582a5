"""CURVE: a known client is heard, others are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from penstock.security import make_certificates
from penstock.security.curve import CurveKeyMissing, arm_client, arm_server, authorised_clients_only, make_curve_keys

WAIT_MS = 500


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("site") / "certs").curve


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    with zmq.Context() as context:
        context.linger = 0
        yield context


def serve(context: zmq.Context[Any], folder: Path) -> tuple[zmq.Socket[Any], str]:
    pull = context.socket(zmq.PULL)
    arm_server(pull, folder)
    port = pull.bind_to_random_port("tcp://127.0.0.1")
    return pull, f"tcp://127.0.0.1:{port}"


def test_a_known_client_is_heard(context: zmq.Context[Any], keys: Path) -> None:
    with authorised_clients_only(context, keys):
        pull, address = serve(context, keys)
        push = context.socket(zmq.PUSH)
        arm_client(push, keys)
        push.connect(address)
        push.send(b"frame")
        assert pull.poll(5000)
        assert pull.recv() == b"frame"
        push.close()
        pull.close()


def test_a_client_with_a_key_that_nobody_let_in_is_not_heard(context: zmq.Context[Any], keys: Path, tmp_path: Path) -> None:
    make_curve_keys(tmp_path / "stranger")
    (tmp_path / "stranger/server.key").write_bytes((keys / "server.key").read_bytes())
    with authorised_clients_only(context, keys):
        pull, address = serve(context, keys)
        push = context.socket(zmq.PUSH)
        arm_client(push, tmp_path / "stranger")
        push.connect(address)
        push.send(b"frame", zmq.NOBLOCK) if push.poll(WAIT_MS, zmq.POLLOUT) else None
        assert not pull.poll(WAIT_MS)
        push.close()
        pull.close()


def test_a_client_without_a_key_is_not_heard(context: zmq.Context[Any], keys: Path) -> None:
    with authorised_clients_only(context, keys):
        pull, address = serve(context, keys)
        push = context.socket(zmq.PUSH)
        push.connect(address)
        push.send(b"frame")
        assert not pull.poll(WAIT_MS)
        push.close()
        pull.close()


def test_a_server_with_another_key_is_not_told_anything(context: zmq.Context[Any], keys: Path, tmp_path: Path) -> None:
    make_curve_keys(tmp_path / "other")
    pull, address = serve(context, tmp_path / "other")
    push = context.socket(zmq.PUSH)
    arm_client(push, keys)
    push.connect(address)
    assert not push.poll(WAIT_MS, zmq.POLLOUT) or not (push.send(b"frame") or pull.poll(WAIT_MS))
    push.close()
    pull.close()


def test_a_key_that_is_missing_is_named(context: zmq.Context[Any], tmp_path: Path) -> None:
    message = r"server\.key_secret: no key can be read there \(.*\)\. Copy it from the folder that penstock certs made\.$"
    with context.socket(zmq.PULL) as pull, pytest.raises(CurveKeyMissing, match=message):
        arm_server(pull, tmp_path)


def test_a_public_key_is_no_secret_key(context: zmq.Context[Any], keys: Path, tmp_path: Path) -> None:
    (tmp_path / "server.key_secret").write_bytes((keys / "server.key").read_bytes())
    with context.socket(zmq.PULL) as pull, pytest.raises(CurveKeyMissing, match=r"server\.key_secret: holds no secret key\."):
        arm_server(pull, tmp_path)


def test_without_a_folder_of_clients_nobody_is_let_in(context: zmq.Context[Any], tmp_path: Path) -> None:
    message = r"clients: no such folder\. Put the public keys of those who may connect there, or make it with: penstock certs$"
    with pytest.raises(CurveKeyMissing, match=message), authorised_clients_only(context, tmp_path):
        pass
