"""One image and its mask: converted, and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.data.colours import read_colour_table
from sisegcli.data.layouts import Pair, Problem
from sisegcli.data.mask_values import AUTO, MaskValues, Value
from sisegcli.errors import ImageError
from sisegcli.formats.overlay import draw_overlay
from sisegcli.instances import Instance
from sisegcli.methods import build_method
from sisegcli.running.reading import read_sample


@dataclass(frozen=True)
class PreviewOptions:
    """Options of a preview; see `sisegcli.running.options.ConvertOptions` for those that it shares.

    Attributes
    ----------
    image, mask : Path
        The two files.
    scale : int
        How many times as large the picture is as the image.
    legend, field : bool
        Whether there is a legend below, and the displacement field in a second panel.
    """

    image: Path
    mask: Path
    background: Value = AUTO
    ignore: Value = AUTO
    colours: Path | None = None
    categories: str | None = None
    method: str = "siseg"
    weights: str = "default"
    edges: str = "auto"
    device: str = "auto"
    min_area: int = 0
    scale: int = 1
    legend: bool = False
    field: bool = False


@dataclass(frozen=True)
class Preview:
    """A picture (H, W, 3) of uint8, and the instances in it, best first, with their categories."""

    picture: NDArray[np.uint8]
    instances: list[Instance]
    categories: Categories


def draw_preview(options: PreviewOptions) -> Preview:
    """Convert and draw one image.

    Raises
    ------
    ImageError
        If a file cannot be read, or image and mask differ in size.
    CategoryError, CheckpointError, OptionError
        If the category list, the weights or the method cannot be had.
    """
    categories = load_categories(options.categories) if options.categories else Categories()
    colours = read_colour_table(options.colours) if options.colours else None
    pair = Pair(options.image.stem, options.image, options.mask)
    sample = read_sample(pair, MaskValues().reader(options.background, options.ignore, colours))
    if isinstance(sample, Problem):
        raise ImageError(sample.sentence)
    method = build_method(
        options.method,
        categories=categories,
        min_area=options.min_area,
        weights=options.weights,
        device=options.device,
        edges=options.edges,
    )
    [found] = method.segment([sample.image], [sample.mask])
    picture = draw_overlay(
        sample.image,
        found.instances,
        found.displacement if options.field else None,
        categories=categories,
        scale=options.scale,
        legend=options.legend,
    )
    return Preview(picture, found.instances, categories)
