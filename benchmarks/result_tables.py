"""Tables of results: for people on a terminal, or in Markdown for the README."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import rich.box
import rich.console
import rich.table

WIDTH = 160
"""Columns of text where there is no terminal."""


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(markdown([["set", "AP"], ["val", "68.2"]]))
    | set | AP |
    |---|---|
    | val | 68.2 |
    """
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def show(titled: Mapping[str, list[list[str]]], notes: Sequence[str], *, as_markdown: bool) -> None:
    """Print tables and notes."""
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    for title, cells in titled.items():
        if as_markdown:
            sys.stdout.write(f"{title}:\n\n{markdown(cells)}\n\n")
            continue
        table = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD)
        for name in cells[0]:
            table.add_column(name, overflow="fold")
        for row in cells[1:]:
            table.add_row(*row)
        console.print(table, markup=False)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
