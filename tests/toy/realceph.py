"""A real Ceph object gateway for tests, of Debian's packages: one monitor, one storage daemon that keeps objects in memory, one gateway."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

__all__ = ["PROGRAMS", "serve_ceph"]

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
"""Of the packages ceph-common, ceph-mon, ceph-osd, ceph-base and radosgw."""

_SETTINGS = """
[global]
fsid = {fsid}
mon_host = v1:127.0.0.1:{port}
public_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_supported = none
ms_bind_msgr2 = false
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
keyring = {folder}/keyring
mon_data = {folder}/mon
osd_data = {folder}/osd
rgw_data = {folder}
mon_data_avail_crit = 1
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 2147483648
rgw_rados_pool_pg_num_min = 4
"""


@contextmanager
def serve_ceph(folder: Path, monitor_port: int, port: int, users: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Start a cluster in an empty folder; the address of its gateway, which listens at `port`.

    Parameters
    ----------
    users
        (access key, secret) by name.
    """
    settings = folder / "ceph.conf"
    fsid = str(uuid.uuid4())
    settings.write_text(_SETTINGS.format(fsid=fsid, port=monitor_port, folder=folder))
    (folder / "keyring").touch()
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    address = f"http://127.0.0.1:{port}"

    def call(program: str, *words: str) -> None:
        subprocess.run([program, "-c", str(settings), *words], cwd=folder, check=True, capture_output=True, timeout=240)

    with ExitStack() as stack:

        def start(program: str, *words: str) -> None:
            out: IO[str] = stack.enter_context((folder / f"{program}.out").open("w"))
            process = subprocess.Popen([program, "-c", str(settings), "-f", *words], cwd=folder, stdout=out, stderr=out)
            stack.callback(process.wait)
            stack.callback(process.kill)

        subprocess.run(
            ["monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{monitor_port}]", "--fsid", fsid, str(folder / "map")],
            check=True,
            capture_output=True,
        )
        call("ceph-mon", "-i", "a", "--mkfs", "--monmap", str(folder / "map"))
        start("ceph-mon", "-i", "a")
        call("ceph", "osd", "create")
        call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(uuid.uuid4()))
        start("ceph-osd", "-i", "0")
        call("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=here")
        start("radosgw", "-n", "client.rgw", "--rgw-frontends", f"beast endpoint=127.0.0.1:{port}")
        for name, (access, secret) in users.items():
            call("radosgw-admin", "user", "create", "--uid", name, "--display-name", name, "--access-key", access, "--secret", secret)
        _wait_for(address)
        yield address


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + 120.0
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
