"""The report from beginning to end: outputs, input, truth and network → one page."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.data.colours import read_colour_table
from sisegcli.data.layouts import Layout, Pair, Problem, find_pairs
from sisegcli.data.mask_values import MaskValues
from sisegcli.errors import InputError, OptionError
from sisegcli.evaluation import load_truth
from sisegcli.formats.files import refuse_existing, replacing
from sisegcli.report.budget import choose_sizes
from sisegcli.report.doubt import cut_doubts, instance_doubts, scores_by_evidence, scores_by_size
from sisegcli.report.doubtful import Row, by_evidence, by_scores, write_doubtful
from sisegcli.report.errors import Comparison, ImageErrors, compare
from sisegcli.report.fields import FieldReader, Fields
from sisegcli.report.imaging import ImageReader, Seen
from sisegcli.report.options import DOUBTFUL, ReportOptions
from sisegcli.report.outputs import Outputs, read_outputs
from sisegcli.report.page import build_page
from sisegcli.report.table import Table
from sisegcli.running.listener import Listener
from sisegcli.running.reading import map_ahead

SUFFIX = "-instances"
"""What conversions append to the name of their input, where no output folder is named."""


@dataclass
class ReportSummary:
    """What a report holds.

    Attributes
    ----------
    page : Path
        The page.
    images, instances : int
        How many are in it.
    size : int
        Bytes of the page.
    layers : list of str
        What can be shown of an image.
    doubtful : int
        Decisions in ``doubtful.csv``.
    outputs : list of Path
        Files written.
    problems : list of Problem
        Images and masks that could not be read, a sentence each; their instances are in the page all the same.
    notes : list of str
        What a reader must know.
    seconds : float
        Wall time.
    """

    page: Path
    images: int = 0
    instances: int = 0
    size: int = 0
    layers: list[str] = field(default_factory=list)
    doubtful: int = 0
    outputs: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 if all went well, 1 if there were problems."""
        return 1 if self.problems else 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "page": str(self.page),
            "images": self.images,
            "instances": self.instances,
            "bytes": self.size,
            "layers": self.layers,
            "doubtful": self.doubtful,
            "seconds": round(self.seconds, 3),
            "outputs": [str(path) for path in self.outputs],
            "problems": [{"path": str(problem.path), "sentence": problem.sentence} for problem in self.problems],
            "notes": self.notes,
        }


def write_report(
    options: ReportOptions, listener: Listener | None = None, told: Callable[[str], str] = str
) -> ReportSummary:
    """Write the report.

    Parameters
    ----------
    options : ReportOptions
        What to show, and where to look for it.
    listener : Listener, optional
        Hears how it goes.
    told : callable
        Turns text with local places into what the user knows them as.

    Raises
    ------
    InputError
        If the outputs, the input folder or the ground truth cannot be read, or are of different images.
    OutputError
        If the page exists already, or cannot be written.
    OptionError, CheckpointError
        If layers are asked for and the network cannot be built.
    """
    start = time.perf_counter()
    listener = listener or Listener()
    page = options.output
    listed = page.with_name(DOUBTFUL)
    refuse_existing(page, listed, overwrite=options.overwrite)
    found = read_outputs(options.found)
    layout = _find_input(options, found)
    if options.layers and layout is None:
        raise OptionError("--layers needs the photographs and masks; name the folder that was converted by --input.")
    known = load_categories(options.categories).values() if options.categories else ()
    named = layout.categories.values() if layout and layout.categories else ()
    truth = load_truth(options.truth, options.truth_split) if options.truth else None
    judged = compare({stem: o.instances for stem, o in found.images.items()}, truth) if truth else Comparison()
    true = truth.categories.values() if truth else ()
    categories = Categories([*true, *named, *found.categories.values(), *known])

    summary = ReportSummary(page, len(found.images), sum(len(o.instances) for o in found.images.values()))
    writer = _Writer(options, found, layout, categories, judged, summary, listener, told)
    for note in (*found.notes, *_notes(options, found, layout, judged.images)):
        summary.notes.append(told(note))
        listener.noticed(note)
    listener.found(_shown(options, found, layout), page)
    with replacing(page, tidy=True) as temporary, temporary.open("w", encoding="utf-8") as file:
        for part in build_page(f"{_title(options)}: instances", writer.pictures(), writer.table()):
            file.write(part)
    summary.doubtful = write_doubtful(listed, writer.doubtful, categories)
    summary.size = page.stat().st_size
    summary.outputs += [page, listed]
    summary.seconds = time.perf_counter() - start
    return summary


def _title(options: ReportOptions) -> str:
    folder = options.found if options.found.is_dir() else options.found.parent
    return folder.resolve().name


def _find_input(options: ReportOptions, found: Outputs) -> Layout | None:
    """Find the images and masks that were converted."""
    root = options.root
    if root is None and options.images is None and options.masks is None:
        folder = options.found.resolve()
        if not folder.name.endswith(SUFFIX):
            return None
        name = folder.name[: -len(SUFFIX)]
        root = next((place for place in (folder.parent / name, Path(name)) if name and place.is_dir()), None)
        if root is None:
            return None
    layout = find_pairs(root, images=options.images, masks=options.masks, split=options.split)
    if not any(pair.stem in found.images for pair in layout.pairs):
        raise InputError(
            f"No image of {root or options.images} is in {options.found}: one is called {layout.pairs[0].stem}, the "
            f"other {next(iter(found.images))}; give the folder that was converted as --input."
        )
    return layout


def _shown(options: ReportOptions, found: Outputs, layout: Layout | None) -> Layout:
    """Return a layout of the images that are in the page, for whoever counts them."""
    description = layout.description if layout else f"{options.found}: {len(found.images):,} images."
    pairs = [Pair(stem, Path(stem), Path(stem)) for stem in found.images]
    return Layout("report", description, pairs, [])


def _notes(
    options: ReportOptions, found: Outputs, layout: Layout | None, errors: dict[str, ImageErrors]
) -> Iterator[str]:
    if layout is None:
        yield "Without --input DIR, the folder that was converted, the report shows no photographs and no masks."
    else:
        stems = {pair.stem for pair in layout.pairs}
        if missing := sum(stem not in stems for stem in found.images):
            yield f"Not in the input folder, and so without pictures: {missing:,} of {len(found.images):,} images."
        if missing := sum(stem not in found.images for stem in stems):
            yield f"In the input folder, but not in the outputs: {missing:,} of {len(stems):,} images."
    if options.truth and len(errors) < len(found.images):
        yield f"Without ground truth: {len(found.images) - len(errors):,} of {len(found.images):,} images."


@dataclass
class _Writer:
    """Makes the parts of the page's data in the order in which the page has them."""

    options: ReportOptions
    found: Outputs
    layout: Layout | None
    categories: Categories
    judged: Comparison
    summary: ReportSummary
    listener: Listener
    told: Callable[[str], str]

    def __post_init__(self) -> None:
        lists = [output.instances for output in self.found.images.values()]
        self._by_evidence = scores_by_evidence(lists, self.categories)
        self._table = Table(
            self.categories,
            doubted=not scores_by_size(lists),
            judged=bool(self.judged.images),
            curves=self.judged.curves,
        )
        self._layers = {"instances"}
        colours = read_colour_table(self.options.colours) if self.options.colours else None
        values = self.layout.values if self.layout else MaskValues()
        masks = values.reader(self.options.background, self.options.ignore, colours)
        sizes = choose_sizes(len(lists), self.options.embed)
        self._reader = ImageReader(masks, sizes)
        self._fields = FieldReader(self.options, self.categories, masks, sizes.grid) if self.options.layers else None
        self.doubtful: list[Row] = []

    def pictures(self) -> Iterator[dict[str, Any]]:
        """Yield pictures and maps image by image, and fill the table on the way."""
        pairs: dict[str, Pair] = {pair.stem: pair for pair in self.layout.pairs} if self.layout else {}
        jobs = [
            (stem, output.instances, pairs.get(stem), self.judged.images.get(stem))
            for stem, output in self.found.images.items()
        ]
        workers = min(4, os.cpu_count() or 1)
        with ThreadPoolExecutor(workers, thread_name_prefix="sisegcli") as pool:
            try:
                for seen in map_ahead(lambda job: self._reader.read(*job), jobs, pool, 2 * workers):
                    self._append(seen)
                    yield seen.content
                    self.listener.advanced(1)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _append(self, seen: Seen) -> None:
        output = self.found.images[seen.stem]
        self._layers |= seen.layers
        self.summary.problems += seen.problems
        for category in seen.content.get("mask", {}).get("c", ()):
            self._table.place(category)
        doubts = instance_doubts(output.instances)
        fields = self._fields.read(seen.pair) if self._fields and seen.pair and not seen.problems else Fields()
        if fields.problem is not None:
            self.summary.problems.append(fields.problem)
        seen.content.update(fields.content)
        self._layers |= set(fields.content)
        seconds = output.seconds if output.seconds is not None else fields.seconds
        took = "" if seconds is None else f", {seconds:.2f} s"
        self.listener.detailed(f"{seen.stem}: instances: {len(output.instances):,}{took}")
        if seen.labels is not None and self._fields is not None:
            self.doubtful += by_evidence(seen.stem, fields.decisions, output.instances, seen.labels)
        elif seen.labels is not None and self._table.doubted:
            cuts = cut_doubts(output.instances, self.categories) if self._by_evidence else doubts
            self.doubtful += by_scores(seen.stem, cuts, output.instances, seen.labels)
        self._table.add(
            seen.stem,
            seen.size,
            output.instances,
            doubts,
            seen.colours,
            link=self._link(seen.pair),
            seconds=seconds,
            errors=self.judged.images.get(seen.stem),
        )

    def _link(self, pair: Pair | None) -> str | None:
        """Return the address of an image file as seen from the page."""
        if pair is None or self.options.embed == "all":
            return None
        known = self.told(str(pair.image))
        if known != str(pair.image):  # not on this machine; a browser opens some of these
            return quote(known, safe=":/") if known.startswith(("http://", "https://")) else None
        try:
            path = Path(os.path.relpath(pair.image.resolve(), self.summary.page.parent.resolve()))
        except ValueError:  # on another drive
            return pair.image.resolve().as_uri()
        return quote(path.as_posix())

    def table(self) -> Iterator[dict[str, Any]]:
        """Yield the table, once all pictures are made."""
        order = ("image", "mask", "instances", "truth", "displacement", "boundary")
        self.summary.layers = [name for name in order if name in self._layers]
        yield {**self._table.to_json(), "layers": self.summary.layers, "notes": self.summary.notes}
