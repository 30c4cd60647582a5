"""The command line: one file a command group, imported when it is called; further commands come in by entry point."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import click

from penstock.core.errors import ConfigError, PenstockError, RunCancelled, nearest
from penstock.core.extras import missing_extra
from penstock.core.stage import load_dotted

__all__ = ["cli", "main"]

_COMMANDS = {
    "demo": ("penstock.cli.demo:demo", "Simulate, process, summarise, draw; in a few minutes on a laptop."),
    "init": ("penstock.cli.init:init", "Write a commented experiment.toml, ready to run."),
    "simulate": ("penstock.cli.simulate:simulate", "Simulated runs with known truth."),
    "run": ("penstock.cli.run:run", "Bring the results of some runs up to date."),
    "plan": ("penstock.cli.plan:plan", "What a run would compute, and why."),
    "runs": ("penstock.cli.plan:runs", "The run table: a row a run, a column a stage."),
    "explain": ("penstock.cli.explain:explain", "What made an artifact."),
    "diff": ("penstock.cli.explain:diff", "What differs between two artifacts."),
    "replay": ("penstock.cli.replay:replay", "A worker and a reducer over captured events."),
    "inspect": ("penstock.cli.inspect:inspect", "What is in captures of event streams."),
    "new-worker": ("penstock.cli.new_worker:new_worker", "A worker and a reducer to begin with, from a capture."),
    "gate": ("penstock.cli.gate:gate", "Draw a particle gate on the estimates."),
    "lost": ("penstock.cli.lost:lost", "At which stage each track of an event was lost, and why."),
    "tune": ("penstock.cli.tune:tune", "Compare values of a parameter in one picture."),
    "stability": ("penstock.cli.stability:stability", "How rates and medians move from run to run."),
    "calibrate": ("penstock.cli.calibrate:calibrate", "Values of the detector from its own data."),
    "store": ("penstock.cli.store:store", "The artifact store."),
    "export": ("penstock.cli.export:export", "Results of an experiment in a layout that other programs read."),
    "import-spyral": ("penstock.cli.import_spyral:import_spyral", "Settings and results of Spyral."),
    "stages": ("penstock.cli.stages:stages", "Registered stages, plug-ins, and the lock."),
    "view": ("penstock.cli.view:view", "A figure of an event, a pad or a run."),
    "cluster": ("penstock.cli.cluster:cluster", "Jobs of a batch system that compute."),
    "certs": ("penstock.cli.certs:certs", "Certificates and keys of a site."),
    "metrics": ("penstock.cli.metrics:metrics", "Numbers for Prometheus."),
    "doctor": ("penstock.cli.doctor:doctor", "What is missing on this machine."),
}

_FURTHER = {
    "deploy": "Deployments, schedules and queues on a Prefect server.",
    "up": "Prefect server, Dask cluster and worker of this machine.",
    "watch": "Compute runs as they arrive in the raw folder.",
}
"""What those of penstock_flows do, which come by entry point; they are not imported to be listed."""


class _Commands(click.Group):
    """Commands by name; each module is imported when its command is called, so that the others stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *sorted(p.name for p in entry_points(group="penstock.commands"))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found: click.Command
        if cmd_name in _COMMANDS:
            found = load_dotted(_COMMANDS[cmd_name][0])
            return found
        for point in entry_points(group="penstock.commands"):
            if point.name == cmd_name:
                found = point.load()
                return found
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"no command {args[0]!r}.{nearest(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, what) for name, (_, what) in _COMMANDS.items()]
        rows += [
            (p.name, _FURTHER.get(p.name, f"from {p.value}")) for p in sorted(entry_points(group="penstock.commands"), key=lambda p: p.name)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="penstock", prog_name="penstock")
def cli() -> None:
    """Lead detector runs through the stages that make sense of them.

    \b
    First steps:
      penstock demo
      penstock init DIR --instrument attpc --raw RAWDIR
      penstock run DIR/experiment.toml --runs 94-110

    Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
    """  # noqa: D301  click wants the character itself


def main() -> None:
    """Run the command line; our own errors become one message and an exit code."""
    try:
        cli.main(prog_name="penstock", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt, RunCancelled):
        click.echo("Cancelled. What was committed stays; run the same command again to go on.", err=True)
        sys.exit(1)
    except PenstockError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except ModuleNotFoundError as error:
        if (missing := missing_extra(error)) is None:
            raise
        click.echo(f"Error: {missing}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
