"""Measure grouping on a device against NumPy and SciPy, and a whole conversion with that device, on drawn scenes.

    python benchmarks/on_device.py [--device cuda] [--images N] [--batch N ...] [--many N] [--size HxW]
        [--processes N ...] [--json]

Grouping's parts get what they get in a conversion, in batches of each size; what the device gives is compared with what
NumPy gives, to the last bit. The conversion is from JPEG and PNG to COCO JSON, by the weights that ship, of as many
images as --many says (the same ones again under other names): in this process, which has the networks loaded, and by
the processes of `sisegcli convert --processes N`, whose start counts. How busy the GPU was is what nvidia-smi tells
meanwhile. With --device cpu the same runs on the processor, as a rehearsal.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from floors import Recorder, Scene
from numpy.typing import NDArray
from speed import show
from speed_rows import make_folder
from timing import Row, machine, pairs

from sisegcli.data.layouts import find_pairs
from sisegcli.data.masks import normalise
from sisegcli.grid import sample_cells
from sisegcli.grouping.affinity import boundary_affinity
from sisegcli.grouping.basins import cut_at_ridges
from sisegcli.grouping.group import find_objects
from sisegcli.grouping.on_device.batch import group_together
from sisegcli.grouping.on_device.refinement import refine_together
from sisegcli.grouping.on_device.votes import cluster_together
from sisegcli.grouping.on_device.walk import walk_together
from sisegcli.grouping.refinement import refine_displacement
from sisegcli.grouping.spreading import Contest, find_contest
from sisegcli.grouping.votes import cluster_by_density
from sisegcli.grouping.walk import random_walk
from sisegcli.running.convert import convert
from sisegcli.running.memory import keep_freed_memory
from sisegcli.running.options import ConvertOptions
from sisegcli.running.summary import Summary
from sisegcli.segmenter import Segmenter

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import draw_scenes

Arrays = list[NDArray[Any]]


def scenes_of(images: int, size: tuple[int, int]) -> list[Scene]:
    """Return what grouping gets of drawn scenes, and what the networks that look again say of them."""
    recorder = Recorder("cpu")
    drawn = draw_scenes.draw_scenes(images, seed=11, size=size)
    recorder.segment([scene.image for scene in drawn], [normalise(scene.semantic) for scene in drawn])
    return [scene for batch in recorder.batches.values() for scene in batch.scenes]


def parts(scenes: Sequence[Scene], device: torch.device, size: int, repeats: int) -> list[Row]:
    """Compare the parts of grouping, in batches of a size."""
    batches = [list(scenes[first : first + size]) for first in range(0, len(scenes), size)]
    options = scenes[0].options
    cells = [_categories(scene) for scene in scenes]
    walking = [pair for scene in scenes if (pair := _contest(scene)) is not None]

    def votes() -> Arrays:
        found = []
        for scene, categories in zip(scenes, cells, strict=True):
            clusters = cluster_by_density(scene.displacement, categories, sigma=options.sigma, peak=options.peak)
            found.append(cut_at_ridges(clusters, scene.boundary, sigma=options.basins) if options.basins else clusters)
        return found

    def votes_there() -> Arrays:
        found: Arrays = []
        for number, batch in enumerate(batches):
            found += cluster_together(
                [scene.displacement for scene in batch],
                [scene.boundary for scene in batch],
                cells[number * size : (number + 1) * size],
                device,
                sigma=options.sigma,
                peak=options.peak,
                basins=options.basins,
            )
        return found

    def refine() -> Arrays:
        return [refine_displacement(s.displacement, c >= 0) for s, c in zip(scenes, cells, strict=True)]

    def refine_there() -> Arrays:
        found: Arrays = []
        for number, batch in enumerate(batches):
            active = [c >= 0 for c in cells[number * size : (number + 1) * size]]
            found += refine_together([scene.displacement for scene in batch], active, device)
        return found

    def walk() -> Arrays:
        found: Arrays = []
        for contest, walls in walking:
            links = boundary_affinity(walls, contest.active, options.radius, options.beta, same=contest.cells)
            found.append(random_walk(links, contest.start(walls), options.steps))
        return found

    def walk_there() -> Arrays:
        found: Arrays = []
        for first in range(0, len(walking), size):
            contests, walls = zip(*walking[first : first + size], strict=True)
            found += walk_together(contests, walls, options, device)
        return found

    def group() -> Arrays:
        return [scene.group().labels for scene in scenes]

    def group_there() -> Arrays:
        found: Arrays = []
        for batch in batches:
            fields = [(scene.displacement, scene.boundary) for scene in batch]
            looks = [_looks(scene) for scene in batch]
            made = group_together(
                [scene.mask for scene in batch],
                fields,
                options,
                device,
                outer=[None] * len(batch),
                looks=looks,
                stuff=batch[0].stuff,
            )
            found += [one.labels for one in made]
        return found

    what = [("votes", votes, votes_there), ("refinement", refine, refine_there), ("grouping", group, group_there)]
    if walking:
        what.insert(2, ("walk", walk, walk_there))
    return [_row(f"{name}_{size}", name, ours, theirs, len(scenes), size, repeats) for name, ours, theirs in what]


def _row(
    name: str, what: str, numpy: Callable[[], Arrays], there: Callable[[], Arrays], count: int, size: int, repeats: int
) -> Row:
    same = all(np.array_equal(one, other) for one, other in zip(numpy(), there(), strict=True))
    ours, theirs, ratio = pairs(numpy, there, repeats)
    note = (
        f"{1e3 * ours / count:.1f} and {1e3 * theirs / count:.1f} ms an image; {'the same' if same else 'NOT THE SAME'}"
    )
    return Row(name, f"{what} in NumPy", f"batches of {size} on the device", ratio, ">= 1", note)


def _categories(scene: Scene) -> NDArray[np.int32]:
    cells = sample_cells(scene.mask)
    return np.where((cells >= 0) & ~np.isin(cells, list(scene.stuff)), cells, np.int32(-1))


def _looks(scene: Scene) -> tuple[Any, Any, Any]:
    """Return what says again what the networks said."""
    said = [iter(answers) for answers in (scene.answers, scene.judged, scene.drawn)]
    ask, judge, draw = (
        (lambda _, answers=answers: next(answers)) if there else None
        for answers, there in zip(said, (scene.answers, scene.judged, scene.drawn), strict=True)
    )
    return ask, judge, draw


def _contest(scene: Scene) -> tuple[Contest, NDArray[np.float32]] | None:
    ask, judge, draw = _looks(scene)
    found = find_objects(
        scene.mask,
        scene.displacement,
        scene.boundary,
        scene.options,
        ask=ask,
        judge=judge,
        stuff=scene.stuff,
        rough=draw is not None,
    )
    contest = find_contest(found.regions, found.allowed, found.objects)
    return None if contest is None else (contest, found.walls)


def conversion(
    device: str, images: int, many: int, size: tuple[int, int], batch: int, processes: Sequence[int] = ()
) -> list[Row]:
    """Convert many images with a device, in this process and by several numbers of processes."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "drawn"
        draw_scenes.write_voc(drawn, draw_scenes.draw_scenes(images, seed=11, size=size))
        root = make_folder(Path(folder) / "in", find_pairs(drawn, split="val").pairs, count=many)
        segmenter = Segmenter(device=device)
        options = ConvertOptions(
            root=root, out=Path(folder) / "out", overwrite=True, profile=True, device=device, batch_size=batch
        )
        convert(options, method=segmenter)
        rows = _rate(partial(convert, options, method=segmenter), many, f"convert, batches of {batch}", f"_{batch}")
        for number in processes:
            run, name = replace(options, processes=number), f"_{batch}_in_{number}"
            rows += _rate(partial(convert, run), many, f"convert, batches of {batch}, {number} processes", name)
    return rows


def _rate(run: Callable[[], Summary], many: int, what: str, name: str) -> list[Row]:
    with _busy() as busy:
        summary = run()
    stages = ", ".join(f"{name} {1e3 * taken / many:.1f}" for name, taken in summary.stages.items())
    note = f"ms an image in all threads together: {stages}"
    share = statistics.fmean(busy) / 100 if busy else None
    return [
        Row(f"images_per_second{name}", what, "1 image/s", many / summary.seconds, ">= 500", note),
        Row(f"gpu_busy{name}", "GPU busy", "all the time", share, ">= 0.7", "" if busy else "no nvidia-smi"),
    ]


@contextmanager
def _busy() -> Iterator[list[float]]:
    """Gather the percentages of time that the first GPU is busy, five times a second; none without nvidia-smi."""
    found: list[float] = []
    query = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    try:
        process = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield found
        return
    try:
        yield found
    finally:
        process.terminate()
        said, _ = process.communicate()
        found += [float(line) for line in said.split("\n") if line.strip().isdigit()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print machine, table and, if asked, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=32, metavar="N", help="scenes that are drawn, 32 by default")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32], metavar="N", help="images in a batch")
    parser.add_argument("--many", type=int, default=1024, metavar="N", help="images that are converted")
    parser.add_argument("--size", default="384x512", metavar="HxW", help="of scenes, 384x512 pixels by default")
    parser.add_argument("--processes", type=int, nargs="*", default=[], metavar="N", help="also by N processes")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="pairs of runs, 3 by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("Error: there is no CUDA device here; --device cpu rehearses.")
    keep_freed_memory()  # as `sisegcli convert` does
    height, width = map(int, options.size.split("x"))
    write = sys.stdout.write
    write("\n".join(machine()) + "\n")
    scenes = scenes_of(options.images, (height, width))
    rows = []
    for batch in options.batch:
        rows += parts(scenes, torch.device(options.device), batch, options.repeats)
        rows += conversion(options.device, options.images, options.many, (height, width), batch, options.processes)
    write("\n".join(show(rows)) + "\n")
    if options.json:
        write(json.dumps({row.name: row.value for row in rows}) + "\n")


if __name__ == "__main__":
    main()
