"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sisegcli import __version__
from sisegcli.cli.commands import COMMANDS, HELP_NAMES, Commands
from sisegcli.cli.help import Group
from sisegcli.cli.printable import printable
from sisegcli.cli.settings import CONFIG, FILE
from sisegcli.errors import INTERRUPTED, SisegError


class _Program(Group):
    """Turns every error that a user can cause into one sentence and an exit code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": Commands()})

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def words_of(self, name: str) -> str:
        return COMMANDS[name]

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SisegError as error:
            typer.echo(f"Error: {printable(str(error))}", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            typer.echo("Interrupted; nothing unfinished was left behind.", err=True)
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="sisegcli",
    cls=_Program,
    help="Turn semantic masks into object instances.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # neither help nor errors import Rich, which takes longer than all else
    context_settings=HELP_NAMES,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sisegcli {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar=CONFIG,
            show_envvar=False,
            help=f"Options of the commands, in TOML: a table for each; by default ./{FILE}. Environment variables "
            "go before it: SISEG_CONVERT_MIN_AREA, say.",
        ),
    ] = None,
) -> None:
    pass  # the commands look for what config says; see sisegcli.cli.settings


def main() -> None:
    """Run the command line and exit; complete it, where a shell asks for that."""
    if "_SISEGCLI_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    sys.exit(app(prog_name="sisegcli"))
