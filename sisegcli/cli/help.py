"""Help in plain sections, one for each panel of the options.

Typer would draw boxes with Rich, whose import takes longer than all else that `sisegcli --help` does.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

WIDEST = 120
"""Columns that help takes at most: longer lines are hard to read."""

NARROWEST = 40

NAMES = 26
"""Columns of the names at most; longer names have a line of their own."""

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


class Sections:
    """Makes the help of a command; to be mixed into a command of Typer's."""

    def get_help(self, ctx: Any) -> str:
        """Return the help, as wide as the terminal; escape codes are taken out again where there is none."""
        command: Any = self
        width = max(min(shutil.get_terminal_size().columns, WIDEST), NARROWEST)
        usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
        parts = [textwrap.fill(f"Usage: {usage}", width, subsequent_indent=" " * 7, break_on_hyphens=False)]
        parts += [textwrap.fill(part, width) for part in (command.help or "").split("\n\n")]
        lists = help_sections(command, ctx)
        longest = max(len(name) for rows in lists.values() for name, _ in rows)
        column = min(longest, NAMES) + 2
        for heading, rows in lists.items():
            lines = [line for name, words in rows for line in entry(name, words, column, width)]
            parts.append("\n".join([bold(heading), *lines]))
        return "\n\n".join(parts)


class Command(Sections, TyperCommand):
    """A command whose help has sections."""


class Group(Sections, TyperGroup):
    """A command with commands, whose help has sections."""

    def words_of(self, name: str) -> str:
        """Return what help says of a command."""
        return self.commands[name].get_short_help_str(limit=10_000)


def help_sections(command: Any, ctx: Any) -> dict[str, list[tuple[str, str]]]:
    """Return what the help of a command lists: section by section, names and words."""
    return sections(_rows(command, ctx))


def _rows(command: Any, ctx: Any) -> Iterable[tuple[str, str, str]]:
    """Yield section, name and words of all that the help lists, the unnamed section's last."""
    kinds = {"argument": "Arguments", "option": "Options"}
    for unnamed in (False, True):
        for parameter in command.get_params(ctx):
            panel = getattr(parameter, "rich_help_panel", None)
            heading = panel or kinds[parameter.param_type_name]
            record = parameter.get_help_record(ctx)
            if record is not None and (heading == "Options") is unnamed:
                name, words = record
                yield heading, name.removesuffix(" <bool>"), words
    for name in command.list_commands(ctx) if isinstance(command, Group) else ():
        yield "Commands", name, command.words_of(name)


def sections(rows: Iterable[tuple[str, str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Put rows that have the same heading together.

    >>> sections([("In", "-a", "one"), ("Out", "-b", "two"), ("In", "-c", "three")])
    {'In': [('-a', 'one'), ('-c', 'three')], 'Out': [('-b', 'two')]}
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for heading, name, words in rows:
        found.setdefault(heading, []).append((name, words))
    return found


def entry(name: str, words: str, column: int, width: int) -> list[str]:
    """Write a name and what it stands for, in lines.

    Parameters
    ----------
    name, words : str
        An option, say, and its help.
    column : int
        Columns between the beginnings of the two.
    width : int
        Columns of a line.

    >>> for line in entry("--to NAME", "Format of the output.", 10, 25):
    ...     print(line)
      --to NAME Format of the
                output.
    >>> entry("--polygons", "Polygons.", 6, 25)
    ['  --polygons', '        Polygons.']
    """
    indent = " " * (2 + column)
    lines = textwrap.wrap(" ".join(words.split()), max(width - len(indent), 10), break_on_hyphens=False)
    first = f"  {name:<{column}}"
    if len(name) >= column or not lines:
        return [first.rstrip(), *(indent + line for line in lines)]
    return [first + lines[0], *(indent + line for line in lines[1:])]


def bold(heading: str) -> str:
    """Return a heading in bold, where that is wanted (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return heading if plain else f"{BOLD}{heading}{PLAIN}"
