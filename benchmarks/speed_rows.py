"""The rows of `speed.py`: each function measures some ratios."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from floors import Batch, Floor, Recorder, contiguous, exported, variants
from PIL import Image
from scipy import ndimage
from timing import Row, median, pairs, peak_memory, seconds
from walk import make_graph

from sisegcli.data.layouts import Pair, find_pairs
from sisegcli.data.masks import MaskReader
from sisegcli.errors import OptionError, SisegError
from sisegcli.grid import STRIDE
from sisegcli.grouping.components import label_components
from sisegcli.grouping.spreading import settle_borders
from sisegcli.grouping.walk import dense_walk, random_walk
from sisegcli.running.convert import convert
from sisegcli.running.options import ConvertOptions
from sisegcli.running.reading import Sample, read_sample
from sisegcli.segmenter import Segmenter

GRID, LABELS, STEPS = (94, 125), 10, 256
BATCH = ConvertOptions().batch_size


@dataclass(frozen=True)
class Setting:
    """What to measure on."""

    data: Path
    images: int
    many: int
    repeats: int
    dense: bool
    side: int = 0

    @property
    def root(self) -> Path:
        """The VOC folder."""
        return self.data / "voc-val-dev"

    def pairs(self, count: int) -> list[Pair]:
        """Return the first images."""
        return find_pairs(self.root, split="val").pairs[:count]


def walk(setting: Setting) -> list[Row]:
    """Compare the expansion with the dense matrix, squared eight times."""
    affinity, seeds = make_graph(*GRID, LABELS)
    ours = median(seconds(lambda: random_walk(affinity, seeds, STEPS)) for _ in range(max(5, setting.repeats)))
    side = GRID if setting.dense else (60, 80)
    count = side[0] * side[1]
    squaring = median(_square(count) for _ in range(1 if setting.dense else setting.repeats))
    dense = 8 * squaring * (GRID[0] * GRID[1] / count) ** 3
    small, start = make_graph(30, 40, LABELS)
    error = float(np.abs(random_walk(small, start, STEPS) - dense_walk(small, start, STEPS)).max())
    how = (
        "one squaring, times 8" if setting.dense else f"one squaring of {side[0]} x {side[1]}, scaled with n³, times 8"
    )
    grown = _walk_memory(2 * GRID[0], 2 * GRID[1]) / _walk_memory(*GRID) / 4
    return [
        Row("walk_speedup", "dense squaring", "the walk", dense / ours, ">= 1500", f"{how}; {1e3 * ours:.0f} ms"),
        Row("walk_error", "error of the walk", "1 (30 x 40 cells)", error, "<= 0.001"),
        Row("walk_memory_growth", "memory of a walk on 4 times the cells", "4 times that", grown, "<= 1.05"),
    ]


def _square(count: int) -> float:
    matrix = np.random.default_rng(0).random((count, count), np.float32)
    return seconds(lambda: matrix @ matrix)


def _walk_memory(height: int, width: int) -> int:
    tracemalloc.start()
    random_walk(*make_graph(height, width, LABELS), STEPS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@functools.lru_cache(maxsize=1)
def _recorded(setting: Setting, device: str) -> Recorder:
    """Segment the images as a conversion does, batch by batch, and keep what the networks are asked."""
    recorder = Recorder(device)
    samples = [read_sample(pair, MaskReader()) for pair in setting.pairs(setting.images)]
    for sample in samples:
        if not isinstance(sample, Sample):
            raise SisegError(sample.sentence)
    read = [sample for sample in samples if isinstance(sample, Sample)]
    for first in range(0, len(read), BATCH):
        batch = read[first : first + BATCH]
        recorder.segment([sample.image for sample in batch], [sample.mask for sample in batch])
    return recorder


def grouping(setting: Setting) -> list[Row]:
    """Compare all of grouping, and the run-length codes, with the forward passes for the same images."""
    recorder = _recorded(setting, "cpu")
    batches = list(recorder.batches.values())
    scenes = [scene for batch in batches for scene in batch.scenes]

    def forward() -> None:
        for batch in batches:
            batch.forward(half=recorder.half)

    ours, theirs, ratio = pairs(lambda: [scene.group() for scene in scenes], forward, setting.repeats)
    note = f"{1e3 * ours / len(scenes):.1f} and {1e3 * theirs / len(scenes):.1f} ms an image"
    return [Row("grouping_over_forward", "grouping and run-lengths", "forward passes", ratio, "<= 0.25", note)]


def forward(setting: Setting) -> list[Row]:
    """Compare the forward passes, as they are run, with eager float32 in contiguous layout, and with other ways."""
    recorder = _recorded(setting, "cpu")
    batches = list(recorder.batches.values())[:4]
    rows = []
    for name, (networks, half) in variants(recorder).items():

        def other(networks: dict[int, Any] = networks, half: bool = half) -> list[Any]:
            return [batch.forward(networks, half) for batch in batches]

        def ours() -> list[Any]:
            return [batch.forward(half=recorder.half) for batch in batches]

        first = name == "eager, contiguous"
        if first:
            with contiguous():
                _, _, ratio = pairs(other, ours, setting.repeats)
            note = f"outputs differ by {_difference(batches[0], networks, recorder.half):.0e} at most, of their largest"
            rows.append(Row("forward_speedup", "eager float32 forward", "ours", ratio, ">= 2.5", note))
        else:
            _, _, ratio = pairs(other, ours, setting.repeats)
            rows.append(Row(f"forward: {name}", f"{name} forward", "ours", ratio, ">= 0", "for comparison"))
    plain, _ = variants(recorder)["eager, contiguous"]
    return [*rows, *(_engine(kind, recorder, batches, plain, setting.repeats) for kind in ("onnx", "openvino"))]


def _engine(kind: str, recorder: Recorder, batches: list[Batch], plain: dict[int, Any], repeats: int) -> Row:
    """Compare eager float32 in contiguous layout with what another engine makes of the exported weights."""
    name, what, peer = f"forward_speedup_{kind}", "eager float32 forward", f"exported to {kind}"
    try:
        networks = exported(recorder, kind)
    except OptionError as error:
        return Row(name, what, peer, None, ">= 2.5", str(error))
    with contiguous():
        _, _, ratio = pairs(
            lambda: [batch.forward(plain) for batch in batches],
            lambda: [batch.forward(networks) for batch in batches],
            repeats,
        )
    note = f"outputs differ by {_difference(batches[0], networks, recorder.half):.0e} at most, of their largest"
    return Row(name, what, peer, ratio, ">= 2.5", note)


def _difference(batch: Batch, networks: dict[int, Any], half: bool) -> float:
    answers = zip(_tensors(batch.forward(half=half)), _tensors(batch.forward(networks)), strict=True)
    return max(float((a.float() - b).abs().max() / b.abs().max()) for a, b in answers)


def _tensors(made: list[Any]) -> list[Any]:
    return [tensor for one in made for tensor in (one if isinstance(one, tuple) else (one,))]


def conversion(setting: Setting) -> list[Row]:
    """Compare a conversion from files to files with the same one that has nothing but the forward passes in it."""
    rows = [_conversion(setting, "cpu", "convert_over_floor")]
    if torch.cuda.is_available():
        return [*rows, _conversion(setting, "cuda", "convert_over_floor_gpu")]
    what, peer = "convert on a GPU", "decode + forward + encode"
    return [*rows, Row("convert_over_floor_gpu", what, peer, None, "<= 1.15", "no GPU")]


def _conversion(setting: Setting, device: str, name: str) -> Row:
    recorder = _recorded(setting, device)
    segmenter = Segmenter(device=device)
    with tempfile.TemporaryDirectory() as folder:
        root = make_folder(Path(folder) / "in", setting.pairs(setting.images))
        options = ConvertOptions(root=root, out=Path(folder) / "out", overwrite=True)

        def run(method: Any) -> None:
            summary = convert(options, method=method)
            if summary.skipped:
                raise SisegError(f"{summary.skipped} images could not be converted; remove them.")

        floor = Floor(recorder)
        ours, theirs, ratio = pairs(lambda: run(segmenter), lambda: run(floor), setting.repeats)
    note = f"{setting.images / ours:.1f} and {setting.images / theirs:.1f} images/s"
    what = "convert" if device == "cpu" else "convert on a GPU"
    return Row(name, what, "decode + forward + encode", ratio, "<= 1.15", note)


def make_folder(root: Path, chosen: list[Pair], count: int = 0, side: int = 0) -> Path:
    """Make a folder of links to images and masks, `count` of them, or of copies whose longer side is `side` pixels."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(count or len(chosen)):
        pair = chosen[number % len(chosen)]
        stem = f"{pair.image.stem}-{number // len(chosen)}" if number >= len(chosen) else pair.image.stem
        for name, path in (("images", pair.image), ("masks", pair.mask)):
            target = root / name / f"{stem}{path.suffix}"
            if side:
                with Image.open(path) as image:
                    image.thumbnail((side, side), Image.Resampling.NEAREST)
                    image.save(target)
            else:
                target.symlink_to(path.resolve())
    return root


def start(setting: Setting) -> list[Row]:
    """Compare the start of the program with the import of what its command line is made of."""

    def run(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)

    ours, theirs, ratio = pairs(
        run("-m", "sisegcli", "--help"), run("-c", "import typer, rich"), max(7, setting.repeats)
    )
    note = f"{1e3 * ours:.0f} and {1e3 * theirs:.0f} ms"
    return [Row("start_over_imports", "sisegcli --help", "import typer, rich", ratio, "<= 1.5", note)]


def components(setting: Setting) -> list[Row]:
    """Compare connected components with SciPy's, category by category."""
    masks = [MaskReader().read(pair.mask) for pair in setting.pairs(setting.images)]

    def scipy() -> None:
        for mask in masks:
            for category in np.unique(mask[mask >= 0]):
                ndimage.label(mask == category)

    ours, theirs, ratio = pairs(lambda: [label_components(m, connectivity=4) for m in masks], scipy, setting.repeats)
    note = f"{1e3 * ours / len(masks):.2f} and {1e3 * theirs / len(masks):.2f} ms an image"
    return [Row("components_over_scipy", "components", "scipy.ndimage.label", ratio, "<= 0.5", note)]


def peers(setting: Setting) -> list[Row]:
    """Settle borders by our walk, and by scikit-image's random walker and watershed, on regions with several objects.

    All give labels of the pixels, from the same markers: objects less their rims. Theirs see the boundary map enlarged
    to the image, in the box around the region.
    """
    names = (("walk_over_random_walker", "random_walker", "<= 1"), ("walk_over_watershed", "watershed", ">= 0"))
    try:
        peers: Any = importlib.import_module("skimage.segmentation")
    except ImportError:
        return [Row(name, "the walk", peer, None, target, "scikit-image is missing") for name, peer, target in names]
    calls, regions = _contested(setting)

    def walker() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for boundary, markers in regions:
                peers.random_walker(boundary, markers, mode="cg_j")

    def flood() -> None:
        for boundary, markers in regions:
            peers.watershed(boundary, np.maximum(markers, 0), mask=markers >= 0)

    found = [pairs(lambda: [call() for call in calls], other, setting.repeats)[2] for other in (walker, flood)]
    note = f"{len(regions)} regions in {len(calls)} images"
    return [
        Row(name, "the walk", peer, value, target, note if name.endswith("walker") else f"for comparison; {note}")
        for (name, peer, target), value in zip(names, found, strict=True)
    ]


def _contested(setting: Setting) -> tuple[list[Callable[[], Any]], list[tuple[Any, Any]]]:
    """Return our way to settle the borders of images, and the boundary and markers (-1: outside) of their regions."""
    calls: list[Callable[[], Any]] = []
    found = []

    def watch(*given: Any) -> Any:
        regions, allowed, objects, boundary, _ = given
        if any(len(indices) > 1 for indices in allowed.values()):
            calls.append(functools.partial(settle_borders, *given))
        deep = ndimage.minimum_filter(objects, 5) == ndimage.maximum_filter(objects, 5)
        height, width = regions.shape
        markers, edges = (
            np.kron(field, np.ones((STRIDE, STRIDE), field.dtype))[:height, :width]
            for field in (np.where(deep, objects, 0), boundary)
        )
        for region, indices in allowed.items():
            if len(indices) > 1:
                box = ndimage.find_objects((regions == region).astype(np.uint8))[0]
                own = np.where(np.isin(markers[box], [index + 1 for index in indices]), markers[box], 0)
                found.append((edges[box], np.where(regions[box] == region, own, -1)))
        return settle_borders(*given)

    batches = list(_recorded(setting, "cpu").batches.values())
    with mock.patch("sisegcli.grouping.group.settle_borders", watch):
        for batch in batches:
            for scene in batch.scenes:
                scene.group()
    # Their random walker wants two markers at least, and something between them.
    several = [(edges, own) for edges, own in found if len(np.unique(own[own > 0])) > 1 and (own == 0).any()]
    return calls, several


def memory(setting: Setting) -> list[Row]:
    """Compare the peak memory of converting many images with that of converting 100, by network and by components.

    Where there are not as many images, they are taken again under other names.
    """
    return [row for method in ("siseg", "components") for row in _memory(setting, method)]


def _memory(setting: Setting, method: str) -> list[Row]:
    few = min(100, setting.many)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in {few, setting.many}:
            root, out = Path(folder) / f"{count}", Path(folder) / f"out-{count}"
            make_folder(root, setting.pairs(count), count=count, side=setting.side)
            found[count] = peak_memory(
                [sys.executable, "-m", "sisegcli", "convert", str(root), "--out", str(out), "--method", method]
            )
    ratio = found[setting.many] / found[few] if len(found) > 1 else None
    note = " and ".join(f"{found[count] / 1024:.0f} MiB" for count in (setting.many, few))
    name = "memory_many_over_100" if method == "siseg" else f"memory_many_over_100_{method}"
    return [Row(name, f"memory of {setting.many} images, {method}", f"{few}", ratio, "<= 1.1", note)]


ROWS: Mapping[str, Callable[[Setting], list[Row]]] = {
    "walk": walk,
    "grouping": grouping,
    "convert": conversion,
    "forward": forward,
    "start": start,
    "components": components,
    "peers": peers,
    "memory": memory,
}
