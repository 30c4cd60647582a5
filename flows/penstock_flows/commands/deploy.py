"""``penstock deploy``: deployments, schedules, queues, limits and automations on a Prefect server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from penstock.cli._options import json_option, print_json, print_table
from penstock.core.errors import ConfigError
from penstock_flows._specs import POOLS, PoolKind

__all__ = ["deploy"]


@click.command(epilog="Example: penstock deploy e20009/experiment.toml --schedule '0 3 * * *' --limit tpc=4")
@click.argument("experiments", nargs=-1, type=click.Path(path_type=Path))
@click.option("--pool", default="process", show_default=True, type=click.Choice(list(POOLS)), help="Where flow runs are started.")
@click.option("--image", default=None, help="Image of the flow runs, of the pools docker and kubernetes.")
@click.option(
    "--job-variable", "variables", multiple=True, metavar="NAME=JSON", help="Further variable of the work pool's jobs; may be given often."
)
@click.option(
    "--schedule",
    "cron",
    default=None,
    metavar="CRON",
    help="When experiments are reprocessed, in UTC; without, as it is, and of a new one '0 3 * * *'.",
)
@click.option(
    "--interval", default=None, type=click.FloatRange(min=1.0), metavar="SECONDS", help="Reprocess every so many seconds instead."
)
@click.option(
    "--schedules/--no-schedules", "active", default=None, help="Whether schedules fire; without, those that are there stay as they are."
)
@click.option(
    "--notify-url-env", default=None, metavar="NAME", help="Environment variable with the secret address that failures are told to."
)
@click.option("--webhook", default=None, metavar="BLOCK", help="Webhook block of the server that failures are told to.")
@click.option("--limit", "limits", multiple=True, metavar="LANE=N", help="Steps of a lane that run at a time; may be given often.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, and do nothing.")
@json_option
def deploy(
    experiments: tuple[Path, ...],
    pool: PoolKind,
    image: str | None,
    variables: tuple[str, ...],
    cron: str | None,
    interval: float | None,
    active: bool | None,
    notify_url_env: str | None,
    webhook: str | None,
    limits: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the deployments of penstock on the Prefect server, and process, reprocess, watch and prune for each experiment.

    Experiments, presets, plug-ins and pipelines are checked first; where one is wrong nothing is changed. What is there
    and right stays as it is, so the command may be given again at any time.
    """
    from penstock_flows.deployments import apply

    if cron is not None and interval is not None:
        raise click.UsageError("--schedule and --interval exclude each other.")
    if notify_url_env is not None and webhook is not None:
        raise click.UsageError("--notify-url-env and --webhook exclude each other.")
    applied = apply(
        experiments,
        pool,
        job_variables=_job_variables(pool, image, variables),
        schedule=_checked_cron(cron) or interval,
        schedules_active=active,
        limits=dict(_limit(text) for text in limits),
        notify=webhook if notify_url_env is None else _secret(notify_url_env),
        dry_run=dry_run,
    )
    if as_json:
        print_json([{"kind": a.kind, "name": a.name, "outcome": a.outcome, "fields": list(a.fields)} for a in applied])
        return
    print_table(["kind", "name", "", "differed in"], [[a.kind, a.name, a.outcome, ", ".join(a.fields)] for a in applied])
    for name in (a.name for a in applied if a.outcome == "left over"):
        click.echo(f"{name} is of an experiment that has another name now. Remove it with: prefect deployment delete {name}", err=True)
    if not dry_run:
        click.echo(f"Start a worker with: prefect worker start --pool {POOLS[pool]}")


def _job_variables(pool: PoolKind, image: str | None, texts: tuple[str, ...]) -> dict[str, Any]:
    if image is not None and pool == "process":
        raise ConfigError(
            f"--image {image}: the process pool starts processes, not containers. Give --pool docker or --pool kubernetes too."
        )
    variables: dict[str, Any] = {} if image is None else {"image": image}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            variables[name] = json.loads(value)
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"--job-variable {name}{sign}...: not JSON: {error}. Write for example volumes='[\"/data:/data\"]'."
            ) from None
    return variables


def _checked_cron(text: str | None) -> str | None:
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    if text is None:
        return None
    try:
        CronSchedule(cron=text)
    except ValidationError as error:
        raise ConfigError(
            f"--schedule {text!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}. Write for example '0 3 * * *' for every night at 3 (UTC)."
        ) from None
    return text


def _limit(text: str) -> tuple[str, int]:
    lane, _, number = text.partition("=")
    if not lane or not number.isdigit() or int(number) < 1:
        raise ConfigError(f"--limit {text!r} is not understood. Write LANE=N, for example tpc=4.")
    return lane, int(number)


def _secret(variable: str) -> Any:
    from pydantic import SecretStr

    value = os.environ.get(variable)
    if not value:
        raise ConfigError(f"--notify-url-env {variable}: there is no such environment variable, or it is empty. Put the address into it.")
    return SecretStr(value)
