"""``penstock metrics``: an experiment's numbers for Prometheus."""

from __future__ import annotations

import logging
import ssl
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli._options import experiment_argument, json_option, nearest_experiment, print_json
from penstock.core.canonical import Json
from penstock.core.errors import ConfigError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.applications import Starlette

__all__ = ["metrics"]


@click.command(epilog="Example: penstock metrics experiment.toml --port 9105")
@experiment_argument
@click.option("--once", is_flag=True, help="Print the numbers of this moment and end.")
@click.option("--port", type=click.IntRange(0, 65535), default=9105, show_default=True, help="Where Prometheus asks; 0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on; any other than this machine's needs --token.")
@click.option("--token", envvar="PENSTOCK_TOKEN", default=None, help="What Prometheus must send as bearer token [env: PENSTOCK_TOKEN].")
@click.option("--tls", type=click.Path(path_type=Path), default=None, help="Folder of penstock certs: serve HTTPS, to its holders only.")
@json_option
def metrics(experiment: Path | None, once: bool, port: int, host: str, token: str | None, tls: Path | None, as_json: bool) -> None:
    """Serve what is to be watched: artifacts, events, steps by state, failures, claims, disks; flow runs where Prefect is configured.

    Everything comes from the index, so a scrape costs little. Metrics of plug-ins come in by the entry point penstock.metrics.
    """
    if as_json and not once:
        raise ConfigError("--json goes with --once; without it the numbers are served over HTTP.")
    from prometheus_client import generate_latest

    registry = _registry(nearest_experiment(experiment).path)
    if as_json:
        print_json([_as_json(sample) for family in registry.collect() for sample in family.samples])
    elif once:
        click.echo(generate_latest(registry).decode(), nl=False)
    else:
        _serve(registry, host, port, token, tls)


def _registry(path: Path) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry

    from penstock.views.metrics import ExperimentMetrics

    registry = CollectorRegistry()
    registry.register(ExperimentMetrics(path))
    for point in entry_points(group="penstock.metrics"):
        collector = point.load()()
        if collector is not None:
            registry.register(collector)
    return registry


def _as_json(sample: object) -> dict[str, Json]:
    from prometheus_client.samples import Sample

    assert isinstance(sample, Sample)
    return {"name": sample.name, "labels": dict(sample.labels), "value": sample.value}


def _serve(registry: CollectorRegistry, host: str, port: int, token: str | None, tls: Path | None) -> None:
    import uvicorn

    from penstock.security import CertificateFolder, certificate_end
    from penstock.views.serving import listen, refuse_open

    refuse_open(host, token)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    config = uvicorn.Config(
        _app(registry, token), log_config=None, log_level="warning", access_log=False, lifespan="off", ws="none", server_header=False
    )
    if tls is not None:
        files = CertificateFolder(tls)
        certificate_end(files.node)
        config.ssl_certfile, config.ssl_keyfile, config.ssl_ca_certs = files.node, files.node_key, str(files.authority)
        config.ssl_cert_reqs = ssl.CERT_REQUIRED
    with listen(host, port) as socket:
        scheme = "https" if tls is not None else "http"
        click.echo(f"serving on {scheme}://{host}:{socket.getsockname()[1]}/metrics; press Ctrl-C to stop", err=True)
        uvicorn.Server(config).run(sockets=[socket])


def _app(registry: CollectorRegistry, token: str | None) -> Starlette:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from penstock.views.serving import Access

    def answer(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", answer)], middleware=[Middleware(Access, token=token, allow_origins=())])
