"""From a data set to a row of figures: convert it by the command line, read it back, compare it with its truth."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archives import is_archive
from result_tables import show

from sisegcli.cli import app
from sisegcli.errors import SisegError
from sisegcli.evaluation import GroundTruth, Report, evaluate, load_predictions

HEAD = ["method", "masks", "AP", "AP50", "AP75", "boundary AP", "PQ", "SQ", "RQ"]
METHODS = ("components", "watershed")

NOTES = (
    "AP: COCO's, over IoU 0.5 to 0.95, by pycocotools. PQ: of things and stuff where the truth has both, else of "
    "things.",
    "Published figures are the authors' own, with masks of the networks named; empty: not published.",
)


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the literature; figures in percent by column, and where they are from."""

    method: str
    masks: str
    figures: dict[str, float]
    source: str

    def cells(self) -> list[str]:
        """Return the row."""
        numbers = [f"{self.figures[name]:.1f}" if name in self.figures else "" for name in HEAD[2:]]
        return [f"{self.method} ({self.source})", self.masks, *numbers]


@dataclass(frozen=True)
class DataSet:
    """A data set, ready to be converted.

    Attributes
    ----------
    convert : list of str
        Arguments of ``sisegcli convert`` that say what to read.
    masks : str
        What its masks are, for the table.
    truth : callable
        Reads the ground truth.
    """

    convert: list[str]
    masks: str
    truth: Callable[[], GroundTruth] = field(repr=False)


def parser_for(doc: str | None, split: str, paths: str) -> argparse.ArgumentParser:
    """Return a parser of what all data sets have in common."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", metavar=paths)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything goes")
    parser.add_argument("--split", default=split, metavar="NAME", help=f"images to convert and compare ({split})")
    parser.add_argument(
        "--rows", nargs="+", default=["components", "default"], metavar="NAME", help="methods, or names of weights"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="a table to paste")
    form.add_argument("--json", action="store_true", help="all figures")
    return parser


def run(
    options: argparse.Namespace, more: Sequence[str], prepare: Callable[[], DataSet], published: Sequence[Published]
) -> int:
    """Convert, compare and print; `more` goes to ``sisegcli convert``."""
    try:
        missing = next((path for path in options.data if not path.is_dir() and not is_archive(path)), None)
        if missing is not None:
            raise SisegError(f"{missing} is no folder, and no tar or zip file; give what was downloaded.")
        found = prepare()
        truth = found.truth()
        reports: dict[str, Report] = {}
        status = 0
        for name in options.rows:
            out = options.out / name
            what = ["--method", name] if name in METHODS else ["--weights", name]
            arguments = ["convert", *found.convert, *what, "--out", str(out), "--to", "coco", *more]
            with contextlib.redirect_stdout(sys.stderr):  # the table, or JSON, has stdout for itself
                status = max(status, int(app(arguments, standalone_mode=False) or 0))
            if not (out / "instances.json").is_file():
                return status or 1
            read = load_predictions(out / "instances.json", truth)
            reports[name] = evaluate(read.images, truth, categories=read.categories, notes=read.notes)
    except SisegError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    if options.json:
        content: dict[str, Any] = {"rows": {name: report.to_json(curves=False) for name, report in reports.items()}}
        content["published"] = [vars_of(row) for row in published]
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        return status
    cells = [HEAD, *(row_of(name, found.masks, report) for name, report in reports.items())]
    notes = dict.fromkeys(note for report in reports.values() for note in report.notes)
    title = f"{len(truth.images):,} images"
    show({title: [*cells, *(row.cells() for row in published)]}, [*NOTES, *notes], as_markdown=options.markdown)
    return status


def row_of(name: str, masks: str, report: Report) -> list[str]:
    """Return the figures of a report in percent."""
    quality = report.panoptic.get("all", report.panoptic["things"])
    values = [report.ap, report.ap50, report.ap75, report.boundary.ap, quality.pq, quality.sq, quality.rq]
    return [f"sisegcli, {name}", masks, *(f"{100 * value:.1f}" for value in values)]


def vars_of(row: Published) -> dict[str, Any]:
    """Return a published row as JSON has it."""
    return {"method": row.method, "masks": row.masks, "figures": row.figures, "source": row.source}
