"""Running all ways to make instances on all images of the sets, and judging what they made."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import rich.console
from candidates import Cut, find_cuts
from ceiling import split_at_truth
from networks import Networks, WatchedSegmenter
from plan import Column, Set, Table, Way, halves
from rich.progress import Progress

from sisegcli.data.layouts import Pair, find_pairs
from sisegcli.data.masks import MaskReader
from sisegcli.errors import CheckpointError, SisegError
from sisegcli.evaluation import GroundTruth, Report, TruthImage, evaluate, load_truth
from sisegcli.instances import Instance
from sisegcli.methods import Method, build_method, needs_images
from sisegcli.running.reading import Sample, read_sample

BASELINE_AREA = 100
"""Instances of baselines have at least so many pixels, unless the set says otherwise."""
LINE_SECONDS = 15.0
"""Time between two lines of progress where there is no terminal."""


@dataclass
class Figures:
    """What was measured on a set, by titles of columns: reports, and the candidate cuts of networks."""

    images: int
    reports: dict[str, Report] = field(default_factory=dict)
    cuts: dict[str, list[Cut]] = field(default_factory=dict)


def measure(
    data: Path, chosen: Sequence[Set], tables: Sequence[Table], device: str
) -> tuple[dict[str, Figures], list[str]]:
    """Measure tables on sets; sets with the same masks share the work on an image that they share.

    Returns
    -------
    figures : dict
        By name of set; columns whose weights are missing have none.
    notes : list of str
        Why some could not be measured, and where two columns cannot differ.
    """
    networks = Networks(device)
    columns = {one.name: _titled(column for table in tables for column in table.on(one)) for one in chosen}
    methods, notes = _build((column.way for found in columns.values() for column in found), networks)
    truths = {one.name: _truth(data, one) for one in chosen}
    places: dict[tuple[str, str | None], list[Set]] = {}
    for one in chosen:
        places.setdefault((one.folder, one.masks), []).append(one)
    work = [(sets, _pairs(data, sets, truths)) for sets in places.values()]
    steps = Steps(sum(len(pairs) for _, pairs in work))
    figures = {one.name: Figures(len(truths[one.name].images)) for one in chosen}
    with steps.bar:
        for sets, pairs in work:
            asked = [column for table in tables if table.on(sets[0]) for column in table.networks]
            images = Images((column.way for column in columns[sets[0].name]), methods, asked, sets[0].min_area)
            for stem, pair in pairs.items():
                truth = next(t.images[stem] for one in sets if stem in (t := truths[one.name]).images)
                images.add(stem, pair, truth)
                networks.forget()
                steps.advance(sets[0].name)
            for one in sets:
                images.judge(columns[one.name], truths[one.name], figures[one.name])
    return figures, notes


class Images:
    """What ways make of the images of a folder.

    Parameters
    ----------
    ways : collection of Way
        Those that apply to these images.
    methods : mapping
        All but the ceiling; ways that are not here are left out.
    asked : sequence of Column
        Networks whose candidate cuts are wanted.
    min_area : int, optional
        Smallest instance, in pixels.
    """

    def __init__(
        self, ways: Iterable[Way], methods: Mapping[Way, Method], asked: Sequence[Column], min_area: int | None
    ) -> None:
        self._methods = {way: methods[way] for way in ways if way in methods}
        self._asked = asked
        self._min_area = min_area
        self._decode = any(map(needs_images, self._methods.values()))
        self._found: dict[Way, dict[str, list[Instance]]] = {}
        self._cuts: dict[Way, dict[str, list[Cut]]] = {column.way: {} for column in asked if column.way in methods}

    def add(self, stem: str, pair: Pair, truth: TruthImage) -> None:
        """Run all ways on an image.

        Raises
        ------
        SisegError
            If it cannot be read.
        """
        sample = read_sample(pair, MaskReader(), decode=self._decode)
        if not isinstance(sample, Sample):
            raise SisegError(sample.sentence)
        self._keep(Way("ceiling"), stem, split_at_truth(sample.mask, truth))
        for way, method in self._methods.items():
            [result] = method.segment([sample.image], [sample.mask])
            self._keep(way, stem, result.instances)
            if way in self._cuts and isinstance(method, WatchedSegmenter):
                self._cuts[way][stem] = find_cuts(method.seen, method.options, truth)

    def _keep(self, way: Way, stem: str, instances: Sequence[Instance]) -> None:
        least = BASELINE_AREA if way.method in ("components", "watershed") else 0
        least = least if self._min_area is None else self._min_area
        self._found.setdefault(way, {})[stem] = [found for found in instances if found.area >= least]

    def judge(self, columns: Sequence[Column], truth: GroundTruth, figures: Figures) -> None:
        """Compare what was made with the truth of a set."""
        known: dict[Way, Report] = {}
        for column in columns:
            found = self._found.get(column.way)
            if not found:
                continue
            if column.way not in known:
                known[column.way] = evaluate({stem: found[stem] for stem in truth.images if stem in found}, truth)
            figures.reports[column.title] = known[column.way]
        for column in self._asked:
            if (cuts := self._cuts.get(column.way)) is not None:
                figures.cuts[column.title] = [cut for stem in truth.images for cut in cuts.get(stem, ())]


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


def _titled(columns: Iterable[Column]) -> list[Column]:
    return list({column.title: column for column in columns}.values())


def _truth(data: Path, chosen: Set) -> GroundTruth:
    truth = load_truth(data / chosen.folder, chosen.split)
    return truth.subset(halves(truth.images)[1]) if chosen.microscopy else truth


def _pairs(data: Path, sets: Sequence[Set], truths: Mapping[str, GroundTruth]) -> dict[str, Pair]:
    """Return the images of sets that share a folder and masks, each once."""
    found: dict[str, Pair] = {}
    for one in sets:
        folder = data / one.folder
        layout = find_pairs(folder, masks=folder / one.masks if one.masks else None, split=one.split)
        found.update((pair.stem, pair) for pair in layout.pairs if pair.stem in truths[one.name].images)
    return found


def _build(ways: Iterable[Way], networks: Networks) -> tuple[dict[Way, Method], list[str]]:
    methods: dict[Way, Method] = {}
    notes: dict[str, None] = {}
    for way in dict.fromkeys(ways):
        if way.method in ("components", "watershed"):
            methods[way] = build_method(way.method)
        elif way.weights is not None:
            try:
                methods[way] = networks.segmenter(way.weights, way.without, way.edges)
                if "membership" in way.without and networks.segmenter(way.weights).asker is None:
                    notes[f"The weights {way.weights} have no membership network; '+ membership' is without one."] = (
                        None
                    )
            except CheckpointError as error:
                notes[f"Not measured: {error}"] = None
    return methods, list(notes)
