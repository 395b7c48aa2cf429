"""Measure speed against floors and peers, all in one run: ratios, as medians of runs by turns.

    python benchmarks/speed.py DATA [--images N] [--repeats N] [--only ROW ...] [--dense] [--cpu] [--json]

DATA holds `voc-val-dev` (a VOC folder). The floor of a conversion is the same conversion whose method knows the
instances and does nothing but the networks' forward passes, on inputs that were prepared before, with as many batches
at a time. All networks here, the eager one too, run in memory that the process keeps, as in `sisegcli convert`.
Grouping and forward passes run one after the other, with torch's threads as they are. The dense matrix of the walk is
squared once, on a smaller grid, and its time scaled with n³ and the eight squarings; --dense squares the real one. Rows
that need a GPU are "not measured" without one, those of other engines without their packages. --cpu counts the
seconds of the processor, of programs that rows start, too. With --json the last line holds all ratios.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import timing
from speed_rows import ROWS, Setting
from timing import Row, machine

from sisegcli.errors import SisegError
from sisegcli.running.memory import keep_freed_memory


def number(value: float) -> str:
    """Return a ratio with three digits or so.

    >>> number(3162.3), number(0.256), number(0.00013)
    ('3,162', '0.26', '0.00013')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def show(rows: Sequence[Row]) -> list[str]:
    """Return a table, as lines.

    >>> for line in show([Row("a", "us", "them", 0.5, "<= 1"), Row("b", "us", "GPU", None, "<= 1", "none")]):
    ...     print(line)
    us over them          0.50  <= 1     reached
    us over GPU   not measured  <= 1     none
    """
    cells = []
    for row in rows:
        value = "not measured" if row.value is None else number(row.value)
        verdict = {None: "", True: "reached", False: "NOT reached"}[row.reached]
        words = "; ".join(word for word in (verdict, row.note) if word)
        cells.append((f"{row.what} over {row.peer}", value, row.target, words))
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    return [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:<{max(widths[2], 7)}}  {d}".rstrip() for a, b, c, d in cells]


def measure(setting: Setting, chosen: Sequence[str], hear: Callable[[str], None]) -> list[Row]:
    """Measure the rows that are chosen."""
    rows: list[Row] = []
    for name in chosen:
        hear(f"measuring {name} …")
        rows += ROWS[name](setting)
    return rows


def main() -> None:
    """Print machine, table and, if asked, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--images", type=int, default=100, metavar="N", help="images of VOC val, 100 by default")
    parser.add_argument("--many", type=int, default=500, metavar="N", help="images for the memory of many")
    parser.add_argument("--side", type=int, default=0, metavar="N", help="shrink the images of these to N pixels")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="pairs of runs, 3 by default")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--dense", action="store_true", help="square the dense matrix of the real grid (minutes)")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds, for a busy machine")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()  # as `sisegcli convert` does
    timing.of_processor = options.cpu
    setting = Setting(options.data, options.images, options.many, options.repeats, options.dense, options.side)
    write = sys.stdout.write
    write("\n".join(machine()) + "\n")
    sys.stdout.flush()
    try:
        rows = measure(setting, options.only, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201
    except SisegError as error:
        sys.exit(f"Error: {error}")
    write("\n".join(show(rows)) + "\n")
    if options.json:
        write(json.dumps({row.name: row.value for row in rows}) + "\n")


if __name__ == "__main__":
    main()
