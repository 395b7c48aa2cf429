"""``sisegcli merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sisegcli.cli import options as shared
from sisegcli.cli.options import OUTPUT, RUNNING


def merge(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="OUT…", help="Output folders of sisegcli convert.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="Folder of the joined outputs.", show_default=False, rich_help_panel=OUTPUT
        ),
    ],
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="Join what is there, though shards are missing (exit code 1).", rich_help_panel=RUNNING
        ),
    ] = False,
    overwrite: shared.Overwrite = False,
    as_json: shared.Json = False,
    verbose: shared.Verbose = False,
    quiet: shared.Quiet = False,
) -> None:
    """Join the outputs of shards, as if they had been converted in one run.

    What the shards could not convert is listed again (exit code 1).
    """
    from sisegcli.cli.console import Console
    from sisegcli.running.anywhere import merge_anywhere as run

    console = Console(as_json, verbose=verbose, quiet=quiet)
    summary = run(folders, out, partial=partial, overwrite=overwrite, detailed=console.detail)
    console.show_merged(summary)
    raise typer.Exit(summary.exit_code)
