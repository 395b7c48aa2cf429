"""Large images in tiles: what tiles cost in quality, and what an image costs in time and memory.

    python benchmarks/large.py DATA WEIGHTS [--compare SIDE] [--sides SIDE ...] [--method NAME] [--tile N] [--keep DIR]

Makes square mosaics of the images of DATA/nuclei-dev that no network learned from (the second half, in an order of
their own, over and over), as TIFFs with masks, and runs `sisegcli convert` on them, each in a process of its own. The
mosaic of `--compare` is converted in one pass and in tiles, and both are judged; those of `--sides` are converted in
tiles. Instances below 20 pixels do not count, as in the README.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from plan import halves

from sisegcli.categories import Categories
from sisegcli.evaluation import GroundTruth, Report, TruthImage, evaluate
from sisegcli.formats.coco import read_coco
from sisegcli.instances import instances_from_labels

SET = "nuclei-dev"
SHELF = 256
"""Height of a row of images in a mosaic, in pixels; higher ones are cut off."""
LEAST = 20
"""Smallest instance that counts, in pixels."""
NUCLEUS = 1
"""The category."""


@dataclass(frozen=True)
class Run:
    """What a conversion cost."""

    side: int
    tile: str
    instances: int
    wall: float
    cpu: float
    peak: float

    def line(self, report: Report | None = None) -> str:
        """Return a row of the table."""
        pixels = self.side**2 / 1e6
        quality = "" if report is None else f"{100 * report.ap:.1f} / {100 * report.ap50:.1f}"
        return (
            f"| {self.side:,} | {self.tile} | {self.instances:,} | {self.wall:,.0f} | {self.cpu / pixels:.1f} "
            f"| {self.peak:.2f} | {quality} |"
        )


def shelves(data: Path, side: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32]]]:
    """Yield image, mask and object numbers of each row of a mosaic, (SHELF, side) or less."""
    images = {path.stem: path for path in (data / "images").iterdir()}
    stems = halves(images)[1]
    rng = np.random.default_rng(0)
    order: list[str] = []
    objects = 0
    for top in range(0, side, SHELF):
        height = min(SHELF, side - top)
        image, mask = np.zeros((height, side, 3), np.uint8), np.zeros((height, side), np.uint8)
        labels = np.zeros((height, side), np.int32)
        left = 0
        while left < side:
            order = order or rng.permutation(sorted(stems)).tolist()
            stem = order.pop()
            pixels = np.asarray(Image.open(images[stem]).convert("RGB"))[:height, : side - left]
            place = np.s_[: len(pixels), left : left + pixels.shape[1]]
            image[place] = pixels
            mask[place], numbers = (
                np.asarray(Image.open(data / folder / f"{stem}.png"))[:height, : side - left]
                for folder in ("masks", "instances")
            )
            labels[place] = np.where(numbers > 0, numbers.astype(np.int32) + objects, 0)
            objects += int(numbers.max())
            left += pixels.shape[1]
        yield image, mask, labels


def make_mosaic(data: Path, folder: Path, side: int) -> None:
    """Write a mosaic as ``images/mosaic.tif`` and ``masks/mosaic.tif``."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    image = tifffile.memmap(folder / "images" / "mosaic.tif", shape=(side, side, 3), dtype=np.uint8, photometric="rgb")
    mask = tifffile.memmap(folder / "masks" / "mosaic.tif", shape=(side, side), dtype=np.uint8)
    for row, (pixels, ids, _) in zip(count(0, SHELF), shelves(data, side), strict=False):
        image[row : row + SHELF], mask[row : row + SHELF] = pixels, ids
    image.flush()
    mask.flush()


def truth_of(data: Path, side: int) -> GroundTruth:
    """Return the objects of a mosaic."""
    labels = np.concatenate([numbers for _, _, numbers in shelves(data, side)])
    instances = instances_from_labels(labels, dict.fromkeys(np.unique(labels[labels > 0]).tolist(), NUCLEUS))
    return GroundTruth({"mosaic": TruthImage((side, side), instances)}, Categories())


def convert(folder: Path, side: int, tile: str, options: Sequence[str]) -> Run:
    """Run ``sisegcli convert`` in a process of its own."""
    out = folder / f"tile-{tile}"
    command = [sys.executable, "-m", "sisegcli", "convert", str(folder), "--tile", tile, "--out", str(out), "--json"]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen([*command, "--overwrite", "--min-area", str(LEAST), *options], stdout=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        said.seek(0)
        answer = said.read()
    if child.returncode:
        raise SystemExit(f"sisegcli convert failed:\n{answer}")
    instances = json.loads(answer)["instances"]["total"]
    peak = usage.ru_maxrss / (1e6 if sys.platform != "darwin" else 1e9)
    return Run(side, tile, instances, wall, usage.ru_utime + usage.ru_stime, peak)


def judge(folder: Path, tile: str, truth: GroundTruth) -> Report:
    """Return the figures of a conversion."""
    [annotations] = read_coco(folder / f"tile-{tile}" / "instances.json").annotations.values()
    return evaluate({"mosaic": [annotation.instance for annotation in annotations]}, truth)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make mosaics, convert them and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("weights", metavar="WEIGHTS")
    parser.add_argument("--compare", type=int, metavar="SIDE", help="side of a mosaic that is converted both ways")
    parser.add_argument("--sides", type=int, nargs="*", default=(), metavar="SIDE", help="sides of mosaics in tiles")
    parser.add_argument("--method", default="siseg", help="a method of sisegcli convert")
    parser.add_argument("--tile", default="740", help="side of the tiles, in pixels")
    parser.add_argument("--device", default="auto", help="where the network runs")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder for mosaics and results, which stay there")
    options = parser.parse_args(arguments)
    if not (options.data / SET).is_dir():
        parser.error(f"{options.data} holds no {SET}")
    given = ["--method", options.method, "--device", options.device]
    given += ["--weights", options.weights] if options.method == "siseg" else []
    sys.stdout.write("| side | tiles | instances | seconds | CPU seconds a megapixel | peak GB | AP / AP50 |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        for side in dict.fromkeys([*([options.compare] if options.compare else []), *options.sides]):
            folder = root / str(side)
            make_mosaic(options.data / SET, folder, side)
            truth = truth_of(options.data / SET, side) if side == options.compare else None
            for tile in ("off", options.tile) if truth else (options.tile,):
                run = convert(folder, side, tile, given)
                sys.stdout.write(run.line(judge(folder, tile, truth) if truth else None) + "\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
