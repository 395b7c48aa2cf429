"""``sisegcli categories``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer


def categories(
    name: Annotated[
        str | None,
        typer.Argument(metavar="LIST", help="A list that comes along, or a file of one's own.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Print a list of categories as CSV, which --categories reads back; without LIST, name those that come along."""
    import csv
    import io

    from sisegcli.cli.console import Console
    from sisegcli.data.category_lists import COLUMNS, LISTS, load_categories

    console = Console(as_json)
    if name is None:
        if as_json:
            console.print_json([{"name": known, "about": about} for known, about in LISTS.items()])
        else:
            width = max(map(len, LISTS))
            for known, about in LISTS.items():
                console.tell(f"{known:<{width}}  {about}")
        return
    rows = [{**asdict(category), "isthing": int(category.isthing)} for category in load_categories(name).values()]
    if as_json:
        console.print_json(rows)
        return
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    typer.echo(text.getvalue(), nl=False)
