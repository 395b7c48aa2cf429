"""What the network sees, run once more for the page: displacement field, boundary map, and what it decided."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from sisegcli.categories import Categories
from sisegcli.data.layouts import Pair, Problem
from sisegcli.data.masks import MaskReader
from sisegcli.errors import SisegError
from sisegcli.formats.colour_wheel import flow_colours
from sisegcli.formats.overlay import PAPER
from sisegcli.grid import sample_cells
from sisegcli.grouping.options import Edges
from sisegcli.instances import Decision
from sisegcli.report.maps import jpeg, shrink
from sisegcli.report.options import ReportOptions
from sisegcli.running.reading import read_sample


@dataclass(slots=True)
class Fields:
    """What the network makes of one image: JPEGs by layer, its decisions, and the seconds that it took."""

    content: Mapping[str, Any] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    seconds: float | None = None
    problem: Problem | None = None


class FieldReader:
    """Runs the network.

    Parameters
    ----------
    options : ReportOptions
        Names weights, device and edges.
    categories : Categories
        Tells which are stuff.
    masks : MaskReader
        Reads semantic masks.
    side : int
        Long side of the pictures of fields, in pixels, at most.

    Raises
    ------
    CheckpointError, OptionError
        If the network cannot be built.
    """

    def __init__(self, options: ReportOptions, categories: Categories, masks: MaskReader, side: int) -> None:
        from sisegcli.segmenter import Segmenter  # imports torch

        self._segmenter = Segmenter(
            options.weights,
            device=options.device,
            edges=cast(Edges, options.edges),
            categories=categories,
        )
        self._limit = self._segmenter.tiling().limit
        self._masks, self._side = masks, side

    def read(self, pair: Pair) -> Fields:
        """Look at one image."""
        sample = read_sample(pair, self._masks)
        if isinstance(sample, Problem):
            return Fields(problem=sample)
        height, width = sample.size
        if height * width > self._limit:
            return Fields(problem=Problem(pair.image, f"{pair.image} is too large for --layers; it has none."))
        start = time.perf_counter()
        try:
            [found] = self._segmenter.segment([sample.image], [sample.mask])
        except SisegError as error:
            return Fields(problem=Problem(pair.image, str(error)))
        seconds = time.perf_counter() - start
        content = {}
        if found.displacement is not None:
            inside = sample_cells(sample.mask) >= 0  # elsewhere vectors have no meaning
            colours = flow_colours(found.displacement, inside)
            colours[~inside] = PAPER
            content["displacement"] = jpeg(shrink(colours, self._side))
        if found.boundary is not None:
            grey = np.rint(255 * np.clip(found.boundary, 0, 1)).astype(np.uint8)
            content["boundary"] = jpeg(shrink(np.repeat(grey[..., None], 3, axis=2), self._side))
        return Fields(content, found.decisions, seconds)
