"""Help: every command has one, with an example."""

from __future__ import annotations

import click
import pytest

from penstock.cli import cli


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        path = (*prefix, name)
        found += commands(command, path) if isinstance(command, click.Group) else [(path, command)]
    return found


ALL = commands(cli)


@pytest.mark.parametrize("path, command", ALL, ids=[" ".join(p) for p, _ in ALL])
def test_every_command_says_what_it_does_and_shows_an_example(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    assert command.epilog
    assert command.epilog.startswith("Example: ")
    assert f"penstock {' '.join(path)}" in command.epilog


@pytest.mark.parametrize("path, command", ALL, ids=[" ".join(p) for p, _ in ALL])
def test_every_option_says_what_it_does(path: tuple[str, ...], command: click.Command) -> None:
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not silent


def test_every_command_that_reports_takes_json() -> None:
    without = [" ".join(path) for path, command in ALL if not any(p.name == "as_json" for p in command.params)]
    assert without == ["store show"]


def test_help_lists_the_commands_and_the_exit_codes(penstock, tmp_path) -> None:
    result = penstock("--help", folder=tmp_path)
    assert result.code == 0
    assert "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration." in result.out
    assert all(path[0] in result.out for path, _ in ALL)
    assert "  from penstock" not in result.out


def test_help_of_a_command_is_a_process_of_its_own(penstock, tmp_path) -> None:
    result = penstock("run", "-h", folder=tmp_path)
    assert result.code == 0
    assert "Example: penstock run experiment.toml --runs 94-110,115" in result.out


def test_a_misspelt_command_is_answered_with_the_nearest_one(penstock, tmp_path) -> None:
    result = penstock("plann", folder=tmp_path)
    assert result.code == 2
    assert "no command 'plann'. Did you mean 'plan'?" in result.err


def test_an_unknown_option_is_wrong_usage(penstock, tmp_path) -> None:
    assert penstock("plan", "--frobnicate", folder=tmp_path).code == 2
