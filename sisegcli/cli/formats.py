"""``sisegcli formats``."""

from __future__ import annotations

from typing import Annotated

import typer

from sisegcli.formats import FORMATS


def formats(
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON, and nothing else.")] = False,
) -> None:
    """List the formats that convert writes, and the layouts of folders that it reads, with a sentence each."""
    from rich.table import Table
    from rich.text import Text

    from sisegcli.cli.console import Console
    from sisegcli.data.layouts import LAYOUTS

    console = Console(as_json)
    if as_json:
        written = [
            {"name": name, "about": known.about, "outputs": list(known.outputs)} for name, known in FORMATS.items()
        ]
        read = [{"name": name, "about": about} for name, about in LAYOUTS.items()]
        console.print_json({"formats": written, "layouts": read})
        return
    abouts = {name: known.about for name, known in FORMATS.items()}
    for title, rows in (("Formats that --to writes", abouts), ("Layouts of folders that are read", LAYOUTS)):
        table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column()
        for name, about in rows.items():
            table.add_row(Text(name, style="bold"), Text(about))
        console.out.print(table)
        console.out.print()
