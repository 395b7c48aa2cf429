"""Measure baselines and networks on the development sets, and print the tables of the README.

    python benchmarks/results.py DATA [--only SET ...] [--weights NAME ...] [--paper NAME] [--markdown | --json]

DATA holds `voc-val-dev` (a VOC folder with `SegmentationClassFilled`, `SegmentationPred` and `SegmentationObject`) and
`coco-dev` (`images`, `masks` and `instances`); a set whose folder is not there is left out. Networks are weights that
ship, by name, or files; one that is not there is "not measured". Each network sees each image once, for all of its
columns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rich.console
from ceiling import split_at_truth
from numpy.typing import NDArray
from result_tables import show
from rich.progress import Progress

from sisegcli.data.layouts import Pair, find_pairs
from sisegcli.data.masks import MaskReader
from sisegcli.errors import CheckpointError, SisegError
from sisegcli.evaluation import GroundTruth, Report, evaluate, load_truth
from sisegcli.instances import Instance
from sisegcli.methods import Method, build_method, needs_images
from sisegcli.running.reading import Sample, read_sample

NOTES = (
    "AP / AP50 (COCO, by pycocotools) in percent.",
    "The instances of the VOC sets are reconstructed, from the void lines and the bounding boxes of the devkit.",
    "Baselines drop instances under 100 pixels; sisegcli runs with its defaults.",
    "Ceiling: every region split at the true borders, the mask's own edges kept.",
)
LINE_SECONDS = 15.0
"""Time between two lines of progress where there is no terminal."""


@dataclass(frozen=True)
class Set:
    """Images to measure on: a folder of DATA, a list of it, and semantic masks in place of its own."""

    name: str
    folder: str
    split: str | None = None
    masks: str | None = None


SETS = (
    Set("val", "voc-val-dev", "val"),
    Set("clean_touching_same_class", "voc-val-dev", "clean_touching_same_class"),
    Set("with_pred", "voc-val-dev", "with_pred", masks="SegmentationPred"),
    Set("coco-dev", "coco-dev"),
)


@dataclass(frozen=True)
class Column:
    """A way to make instances; `on_predictions`: only of masks that a network predicted."""

    title: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    on_predictions: bool = False

    def applies(self, chosen: Set) -> bool:
        """Return whether a set has a figure in this column."""
        return chosen.masks is not None or not self.on_predictions


Scores = dict[str, dict[str, Report]]
"""Reports by set and column."""


# -- what is measured -------------------------------------------------------------------------------------------------


def tables(weights: Sequence[str], paper: str | None) -> dict[str, list[Column]]:
    """Return the tables of the README: the results, and the ablation of the paper's method."""
    components = Column("components", "components", {"min_area": 100})
    results = [components, Column("watershed", "watershed", {"min_area": 100})]
    for name in weights:
        title = "sisegcli" if name == "default" else f"sisegcli ({Path(name).stem})"
        results.append(Column(title, "siseg", {"weights": name}))
        results.append(Column(f"{title} --edges refine", "siseg", {"weights": name, "edges": "refine"}, True))
    ablation = [
        components,
        Column("+ DFM", "siseg", {"weights": paper, "refine": False}),
        Column("+ DFM + CBR", "siseg", {"weights": paper}),
        Column("+ DFM + CBR, --edges refine", "siseg", {"weights": paper, "edges": "refine"}, True),
    ]
    return {
        "Results": [*results, Column("ceiling", "ceiling")],
        "The paper's ablation": ablation if paper else [],
    }


def build(columns: Iterable[Column], device: str) -> tuple[dict[str, Method], list[str]]:
    """Build the methods of columns by title; return them, and why some cannot be measured."""
    methods: dict[str, Method] = {}
    reasons: list[str] = []
    predictors: dict[str, Any] = {}
    for column in columns:
        if column.title in methods or column.method == "ceiling":
            continue
        try:
            method = build_method(column.method, **{"device": device, **column.options})
        except CheckpointError as error:
            reasons += [f"Not measured: {error}"] * (f"Not measured: {error}" not in reasons)
            continue
        if column.method == "siseg":
            share_predictions(method, predictors, column.options["weights"])
        methods[column.title] = method
    return methods, reasons


def share_predictions(method: Any, predictors: dict[str, Any], weights: str) -> None:
    """Let the methods with the same weights have one predictor, which remembers what it saw in the last image."""
    from sisegcli.network.inference import Predictor

    class Remembering(Predictor):
        last: Any = None
        known: dict[bytes, Any]

        def predict(self, images: Sequence[NDArray[np.uint8]], things: Sequence[NDArray[np.int8]]) -> Any:
            if self.last is not images[0]:
                self.last, self.known = images[0], {}
            key = things[0].tobytes()
            if key not in self.known:
                self.known[key] = super().predict(images, things)
            return self.known[key]

    if weights not in predictors:
        own = method.predictor
        predictors[weights] = Remembering(own.network, own.config, own.device)
    method.predictor = predictors[weights]


# -- measuring --------------------------------------------------------------------------------------------------------


class Steps:
    """A progress bar on a terminal; elsewhere a line now and then."""

    def __init__(self, total: int) -> None:
        console = rich.console.Console(stderr=True, highlight=False)
        self.console, self.total, self.done, self.said = console, total, 0, time.monotonic()
        self.bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task("Measuring", total=total)

    def advance(self, chosen: str) -> None:
        """Count an image."""
        self.done += 1
        self.bar.update(self.task, advance=1, description=chosen)
        if self.bar.disable and (self.done == self.total or time.monotonic() - self.said >= LINE_SECONDS):
            self.said = time.monotonic()
            self.console.print(f"{chosen}: {self.done} of {self.total} images")


def measure(data: Path, chosen: Sequence[Set], columns: Sequence[Column], device: str) -> tuple[Scores, list[str]]:
    """Measure columns on sets; sets with the same masks share the work on an image that they share."""
    methods, notes = build(columns, device)
    truths: dict[str, GroundTruth] = {}
    work: dict[tuple[str, str | None], dict[str, Pair]] = {}
    for one in chosen:
        folder = data / one.folder
        truths[one.name] = load_truth(folder, one.split)
        masks = folder / one.masks if one.masks else None
        layout = find_pairs(folder, masks=masks, split=one.split)
        work.setdefault((one.folder, one.masks), {}).update((pair.stem, pair) for pair in layout.pairs)
    scores: Scores = {one.name: {} for one in chosen}
    steps = Steps(sum(map(len, work.values())))
    with steps.bar:
        for place, pairs in work.items():
            sets = [one for one in chosen if (one.folder, one.masks) == place]
            mine = [column for column in columns if column.applies(sets[0])]
            found: dict[str, dict[str, list[Instance]]] = {column.title: {} for column in mine}
            decode = any(needs_images(methods[column.title]) for column in mine if column.title in methods)
            for stem, pair in pairs.items():
                sample = read_sample(pair, MaskReader(), decode=decode)
                if not isinstance(sample, Sample):
                    raise SisegError(sample.sentence)
                for column in mine:
                    if column.method == "ceiling":
                        truth = next(t.images[stem] for one in sets if stem in (t := truths[one.name]).images)
                        found[column.title][stem] = split_at_truth(sample.mask, truth)
                    elif column.title in methods:
                        [result] = methods[column.title].segment([sample.image], [sample.mask])
                        found[column.title][stem] = result.instances
                steps.advance(sets[0].name)
            for one in sets:
                truth_of = truths[one.name]
                for title, by_stem in found.items():
                    if by_stem:
                        predicted = {stem: by_stem[stem] for stem in truth_of.images if stem in by_stem}
                        scores[one.name][title] = evaluate(predicted, truth_of)
    return scores, notes


# -- printing ---------------------------------------------------------------------------------------------------------


def rows(chosen: Sequence[Set], columns: Sequence[Column], scores: Scores, *, faults: bool = False) -> list[list[str]]:
    """Return the cells of a table, the header first: AP / AP50, or how many objects were split and merged."""
    shown = [column for column in columns if any(column.applies(one) for one in chosen)]
    shown = [column for column in shown if not (faults and column.method == "ceiling")]
    cells = [["set", *(column.title for column in shown)]]
    for one in chosen:
        images = next((report.images for report in scores[one.name].values()), 0)
        row = [f"{one.name} ({images})" + (f", {one.masks}" if one.masks else "")]
        for column in shown:
            report = scores[one.name].get(column.title)
            if not column.applies(one):
                row.append("")
            elif report is None:
                row.append("not measured")
            elif faults:
                row.append(f"{report.faults.split} / {report.faults.merged}")
            else:
                row.append(f"{100 * report.ap:.1f} / {100 * report.ap50:.1f}")
        cells.append(row)
    return cells


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print tables or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in SETS], metavar="SET", help="sets to measure")
    parser.add_argument("--weights", nargs="*", default=["default"], metavar="NAME", help="networks (default)")
    parser.add_argument(
        "--paper", default="paper", metavar="NAME", help="network of the ablation (paper); none: skip it"
    )
    parser.add_argument("--device", default="auto", help="where networks run")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="tables to paste into the README")
    form.add_argument("--json", action="store_true", help="all figures")
    options = parser.parse_args(arguments)
    chosen = [one for one in SETS if (not options.only or one.name in options.only)]
    there = [one for one in chosen if (options.data / one.folder / (one.masks or "")).is_dir()]
    if not there:
        parser.error(f"{options.data} holds none of {', '.join(sorted({one.folder for one in chosen}))}")
    plan = tables(options.weights, None if options.paper == "none" else options.paper)
    columns = list({column.title: column for part in plan.values() for column in part}.values())
    try:
        scores, notes = measure(options.data, there, columns, options.device)
    except SisegError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    notes = [*NOTES, *notes]
    if options.json:
        plain = {name: {title: report.to_json() for title, report in found.items()} for name, found in scores.items()}
        sys.stdout.write(json.dumps({"notes": notes, "sets": plain}, indent=2, ensure_ascii=False) + "\n")
        return 0
    titled = {title: rows(there, part, scores) for title, part in plan.items() if part}
    every = rows(there, columns, scores, faults=True)
    show({**titled, "Objects split / predictions merging objects": every}, notes, as_markdown=options.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
