"""Measure the quality of instances on the development sets, and print the tables of the README.

    python benchmarks/quality.py DATA [--only SET ...] [--weights NAME ...] [--unpasted WEIGHTS] [--paper NAME]
        [--nuclei WEIGHTS] [--markdown | --json] [--device DEVICE]

DATA holds `voc-val-dev` (a VOC folder with `SegmentationClassFilled`, `SegmentationPred` and `SegmentationObject`),
`coco-dev` and `nuclei-dev` (`images`, `masks` and `instances`); a set whose folder is not there is left out. Networks
are weights that ship, by name, or files; one that is not there is "not measured". The first of --weights is ablated;
--unpasted names weights like it that never saw a pasted object, --nuclei those that `benchmarks/nuclei.py` made. Each
network answers each question about an image once, for all columns.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from candidates import summary
from measuring import Figures, measure
from plan import SETS, Set, Table, Way, tables
from result_tables import show

from sisegcli.errors import SisegError

NOTES = (
    "AP / AP50 (COCO, by pycocotools) in percent.",
    "The instances of the VOC sets are reconstructed, from the void lines and the bounding boxes of the devkit.",
    "Baselines drop instances under 100 pixels; sisegcli runs with its defaults. On nuclei-dev, which is measured on "
    "every second image, all drop those under 20.",
    "Ceiling: every region split at the true borders, the mask's own edges kept. "
    "Gap closed: how far AP comes from the components' to the ceiling's.",
    "Candidate cuts: borders between the pieces that votes make of a region; true ones part two objects. "
    "AUC: how often a true one has more evidence than a false one.",
)
NOT_MEASURED = "not measured"
Cells = list[list[str]]


def gap_closed(components: float, ours: float, ceiling: float) -> float:
    """Return how far an AP comes from the components' to the ceiling's, in percent; NaN where there is no way to go.

    >>> gap_closed(0.5, 0.625, 1.0)
    25.0
    """
    way = ceiling - components
    return 100 * (ours - components) / way if way else math.nan


def gaps(tables: Sequence[Table], found: Figures) -> dict[str, float | None]:
    """Return how much of the gap the networks of the tables close on a set; None where there is none."""
    closed: dict[str, float | None] = {}
    for title in dict.fromkeys(column.title for table in tables for column in table.networks):
        if all(name in found.reports for name in ("components", title, "ceiling")):
            value = gap_closed(*(found.reports[name].ap for name in ("components", title, "ceiling")))
            closed[title] = None if math.isnan(value) else value
    return closed


# -- tables -----------------------------------------------------------------------------------------------------------


def precision_cells(table: Table, chosen: Sequence[Set], figures: Mapping[str, Figures]) -> Cells:
    """Return AP / AP50 of each column on each set, and how much of the gap the networks close."""
    chosen = [one for one in chosen if table.on(one)]
    shown = [column for column in table.columns if any(column in table.on(one) for one in chosen)]
    names = [f"gap closed, {n.title}" if len(table.networks) > 1 else "gap closed" for n in table.networks]
    cells = [["set", *(column.title for column in shown), *names]]
    for one in chosen:
        found = figures[one.name]
        row = [name_of(one, found)]
        for column in shown:
            report = found.reports.get(column.title)
            measured = f"{100 * report.ap:.1f} / {100 * report.ap50:.1f}" if report else NOT_MEASURED
            row.append(measured if column in table.on(one) else "")
        closed = gaps([table], found)
        for network in table.networks:
            value = closed.get(network.title)
            row.append(NOT_MEASURED if network.title not in closed else "–" if value is None else f"{value:.0f} %")
        cells.append(row)
    return cells


def fault_cells(plan: Sequence[Table], chosen: Sequence[Set], figures: Mapping[str, Figures]) -> Cells:
    """Return objects split / predictions merging objects: a row for each way that was measured, since they are many."""
    cells = [["", *(name_of(one, figures[one.name]) for one in chosen)]]
    titles: dict[Way, str] = {}
    for column in (column for table in plan for column in table.columns):
        titles.setdefault(column.way, column.title)
    for way, title in titles.items():
        found = [figures[one.name].reports.get(title) for one in chosen]
        if any(found) and way.method != "ceiling":
            cells.append([title, *(f"{r.faults.split} / {r.faults.merged}" if r else "" for r in found)])
    return cells


def cut_cells(plan: Sequence[Table], chosen: Sequence[Set], figures: Mapping[str, Figures]) -> Cells:
    """Return how many candidate cuts there are and are true, and the AUC of each kind of evidence."""
    cells = [["set", "network", "borders", "true", "boundary", "+ votes", "+ membership"]]
    for one in chosen:
        for network in (network for table in plan if table.on(one) for network in table.networks):
            row, cuts = [name_of(one, figures[one.name]), network.title], figures[one.name].cuts.get(network.title)
            if cuts is None:
                cells.append([*row, *[NOT_MEASURED] * 5])
                continue
            found = summary(cuts)
            areas = ["–" if area is None else f"{area:.3f}" for area in found["auc"].values()]
            cells.append([*row, str(found["cuts"]), str(found["true"]), *areas])
    return cells


def name_of(chosen: Set, found: Figures) -> str:
    """Return what a set is called in tables."""
    return f"{chosen.name} ({found.images})" + (f", {chosen.masks}" if chosen.masks else "")


def to_json(plan: Sequence[Table], figures: Mapping[str, Figures], notes: Sequence[str]) -> dict[str, Any]:
    """Return all figures as what JSON can hold."""
    return {
        "notes": list(notes),
        "sets": {
            name: {title: report.to_json(curves=False) for title, report in found.reports.items()}
            for name, found in figures.items()
        },
        "gap_closed": {name: gaps(plan, found) for name, found in figures.items()},
        "candidate_cuts": {
            name: {title: summary(cuts) for title, cuts in found.cuts.items()} for name, found in figures.items()
        },
    }


# -- the command ------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in SETS], metavar="SET", help="sets to measure")
    parser.add_argument("--weights", nargs="*", default=["default"], metavar="NAME", help="networks (default)")
    parser.add_argument("--unpasted", metavar="WEIGHTS", help="network that was trained without pasted objects")
    parser.add_argument("--paper", default="paper", metavar="NAME", help="network as in the paper (paper); none: skip")
    parser.add_argument("--nuclei", metavar="WEIGHTS", help="network that was trained by benchmarks/nuclei.py")
    parser.add_argument("--device", default="auto", help="where networks run")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="tables to paste into the README")
    form.add_argument("--json", action="store_true", help="all figures")
    options = parser.parse_args(arguments)
    chosen = [one for one in SETS if not options.only or one.name in options.only]
    there = [one for one in chosen if (options.data / one.folder / (one.masks or "")).is_dir()]
    if not there:
        parser.error(f"{options.data} holds none of {', '.join(sorted({one.folder for one in chosen}))}")
    paper = None if options.paper == "none" else options.paper
    plan = tables(options.weights, paper, options.nuclei, options.unpasted)
    try:
        figures, notes = measure(options.data, there, plan, options.device)
    except SisegError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    notes = [*NOTES, *notes]
    if options.json:
        sys.stdout.write(json.dumps(to_json(plan, figures, notes), indent=2, ensure_ascii=False) + "\n")
        return 0
    titled = {table.title: precision_cells(table, there, figures) for table in plan}
    titled["Objects split / predictions merging objects"] = fault_cells(plan, there, figures)
    titled["Candidate cuts, and the AUC of the evidence for them"] = cut_cells(plan, there, figures)
    show({title: cells for title, cells in titled.items() if len(cells) > 1}, notes, as_markdown=options.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
