"""``penstock certs``: certificates and keys of a site."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli._options import json_option, print_json
from penstock.core.canonical import Json
from penstock.core.errors import ConfigError

__all__ = ["certs"]


@click.command(epilog="Example: penstock certs /etc/penstock/certs --host head.example.org --host 192.0.2.7")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name or address of a node beside localhost; may be given often.")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long the node's certificate is valid.")
@click.option("--renew", is_flag=True, help="Make the node's certificate anew, with the authority that is there.")
@click.option(
    "--mounted-at", type=click.Path(path_type=Path), default=None, help="Where nodes see the folder, if elsewhere: in containers."
)
@json_option
def certs(folder: Path, hosts: tuple[str, ...], days: int, renew: bool, mounted_at: Path | None, as_json: bool) -> None:
    """Make an authority of one's own, a certificate for all nodes, keys of live streams, and Dask's configuration.

    Copy FOLDER to every node without ca-key.pem, which makes further nodes. Start Dask's scheduler and workers with
    DASK_CONFIG=FOLDER/dask.yaml: they then talk to nobody without the certificate.
    """
    from penstock.security.certificates import certificate_end, make_certificates, renew_certificate

    if renew and mounted_at is not None:
        raise ConfigError("--mounted-at goes with new certificates only: --renew leaves dask.yaml as it is.")
    made = renew_certificate(folder, hosts, days=days) if renew else make_certificates(folder, hosts, days=days, mounted_at=mounted_at)
    end = certificate_end(made.node)
    if as_json:
        content: dict[str, Json] = {"folder": str(made.path), "ends": end.isoformat(), "secrets": [str(p) for p in made.secrets()]}
        print_json(content)
        return
    click.echo(f"{made.node}: valid until {end:%Y-%m-%d}")
    if not renew:
        click.echo(f"Keep {made.authority_key.name} off the nodes. Start Dask with: DASK_CONFIG={made.dask}")
