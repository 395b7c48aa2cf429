"""Draw what the method makes of one scene, step by step, in one picture.

    python examples/draw_method.py

writes ``examples/method.png``: the image, its mask, the displacement field and where votes end; the boundary map, the
candidate pieces, the instances found and the true ones. ``docs/method.md`` says what they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sisegcli import Segmenter, load_categories
from sisegcli.data.masks import normalise
from sisegcli.formats.colour_wheel import flow_colours
from sisegcli.formats.overlay import draw_overlay
from sisegcli.formats.palette import choose_colours
from sisegcli.grid import STRIDE, sample_cells
from sisegcli.grouping.basins import cut_at_ridges
from sisegcli.grouping.components import label_components
from sisegcli.grouping.pieces import find_pieces
from sisegcli.grouping.votes import cluster_by_density

SCENES = Path(__file__).with_name("scenes")
GAP = 5  # pixels between panels
COLUMNS = 4
GROUND = (38, 40, 46)  # where there is nothing
PAPER = (255, 255, 255)
VOID = 255  # in true instances

Picture = NDArray[np.uint8]


def draw_method(segmenter: Segmenter, scene: str) -> Image.Image:
    """Draw the steps for one of the example scenes."""
    image = np.asarray(Image.open(SCENES / "JPEGImages" / f"{scene}.jpg"))
    shown = Image.open(SCENES / "SegmentationClass" / f"{scene}.png")
    mask = normalise(np.asarray(shown))
    true = np.asarray(Image.open(SCENES / "SegmentationObject" / f"{scene}.png")).astype(np.int32)
    [found] = segmenter.segment([image], [mask])
    field, boundary = found.displacement, found.boundary
    assert field is not None and boundary is not None
    regions, category_of = label_components(mask, connectivity=4)
    cells = sample_cells(regions)
    categories = np.array([-1, *(category_of[label] for label in range(1, len(category_of) + 1))])[cells]
    inside = categories >= 0
    options = segmenter.options
    clusters = cluster_by_density(field, categories, sigma=options.sigma, peak=options.peak)
    pieces = find_pieces(cut_at_ridges(clusters, boundary, sigma=options.basins), cells, categories, field).labels
    panels = [
        image,
        np.asarray(shown.convert("RGB")),
        _enlarge(np.where(inside[..., None], flow_colours(field, inside), np.array(GROUND, np.uint8)), image),
        _enlarge(_heat(_density(field, inside, options.sigma)), image),
        _enlarge(_heat(boundary), image),
        _enlarge(_colours(pieces), image),
        draw_overlay(image, found.instances, categories=load_categories(SCENES / "classes.txt")),
        _colours(true),
    ]
    height, width = image.shape[:2]
    rows = -(-len(panels) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (width + GAP) - GAP, rows * (height + GAP) - GAP), PAPER)
    for number, panel in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        sheet.paste(Image.fromarray(panel), (column * (width + GAP), row * (height + GAP)))
    return sheet


def _density(field: NDArray[np.float32], inside: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    """Return how many votes end near each cell, in [0, 1]; its root, to see the faint ones, too."""
    ends = np.rint(np.argwhere(inside) + field[inside]).astype(np.intp)
    rows, columns = np.clip(ends, 0, np.array(inside.shape) - 1).T
    votes = np.zeros(inside.shape, np.float32)
    np.add.at(votes, (rows, columns), 1)
    density: NDArray[np.float32] = np.sqrt(ndimage.gaussian_filter(votes, sigma, mode="constant"))
    return density / max(float(density.max()), 1e-6)


def _heat(values: NDArray[np.float32]) -> Picture:
    """Colour values in [0, 1], from the ground over orange to white."""
    stops = np.array([GROUND, (214, 96, 40), (255, 250, 235)], float)
    channels = [np.interp(values, (0, 0.5, 1), stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _colours(labels: NDArray[np.int32]) -> Picture:
    """Give labels colours that differ from their neighbours'."""
    labels = np.where(labels == VOID, 0, labels)
    colours = choose_colours(labels, int(labels.max(initial=0)), reach=2)
    return np.concatenate((np.array([GROUND], np.uint8), colours))[labels]


def _enlarge(cells: Picture, image: Picture) -> Picture:
    """Bring a picture of the grid to the size of the image."""
    return cells.repeat(STRIDE, axis=0).repeat(STRIDE, axis=1)[: image.shape[0], : image.shape[1]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Draw what the method makes of a scene, step by step.")
    beside = Path(__file__).with_name("method.png")
    parser.add_argument("out", type=Path, nargs="?", default=beside, help="picture to write, a PNG (%(default)s)")
    parser.add_argument("--scene", default="scene-09", help="name of a scene (%(default)s)")
    options = parser.parse_args(arguments)
    sheet = draw_method(Segmenter(device="cpu", edges="keep"), options.scene)
    indexed = sheet.quantize(palette=sheet.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)
    indexed.save(options.out, optimize=True)


if __name__ == "__main__":
    main()
