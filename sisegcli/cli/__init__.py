"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sisegcli import __version__
from sisegcli.cli.categories import categories
from sisegcli.cli.convert import convert
from sisegcli.cli.doctor import doctor
from sisegcli.cli.evaluate import evaluate
from sisegcli.cli.export import export
from sisegcli.cli.formats import formats
from sisegcli.cli.help import Command, Group
from sisegcli.cli.merge import merge
from sisegcli.cli.preview import preview
from sisegcli.cli.report import report
from sisegcli.cli.settings import CONFIG, FILE, Configurable
from sisegcli.cli.train import train
from sisegcli.cli.weights import weights
from sisegcli.errors import INTERRUPTED, SisegError

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class _Program(Group):
    """Turns every error that a user can cause into one sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SisegError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            typer.echo("Interrupted; nothing unfinished was left behind.", err=True)
            raise typer.Exit(INTERRUPTED) from error


class _Command(Configurable, Command):
    """A command whose options may also come from the environment and from a file."""


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


for _command in (convert, merge, train, evaluate, report, preview, formats, categories, weights, export, doctor):
    app.command(cls=_Command, context_settings=HELP_NAMES)(_command)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(app(prog_name="sisegcli"))
