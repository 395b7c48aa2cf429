"""``sisegcli formats``."""

from __future__ import annotations

from typing import Annotated

import typer

from sisegcli.formats import FORMATS


def formats(
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON, and nothing else.")] = False,
) -> None:
    """List the formats that convert writes, the layouts that it reads, and the ground truth that evaluate reads."""
    from rich.table import Table
    from rich.text import Text

    from sisegcli.cli.console import Console
    from sisegcli.data.layouts import LAYOUTS
    from sisegcli.evaluation import TRUTHS

    console = Console(as_json)
    if as_json:
        written = [
            {"name": name, "about": known.about, "outputs": list(known.outputs)} for name, known in FORMATS.items()
        ]
        read = [{"name": name, "about": about} for name, about in LAYOUTS.items()]
        truths = [{"name": name, "about": about} for name, about in TRUTHS.items()]
        console.print_json({"formats": written, "layouts": read, "truths": truths})
        return
    abouts = {name: known.about for name, known in FORMATS.items()}
    tables = {
        "Formats that --to writes": abouts,
        "Layouts of folders that are read": LAYOUTS,
        "Ground truth that evaluate and report read": TRUTHS,
    }
    for title, rows in tables.items():
        table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column()
        for name, about in rows.items():
            table.add_row(Text(name, style="bold"), Text(about))
        console.out.print(table)
        console.out.print()
