"""Whether mirrored images give mirrored instances, and batches what images give one by one.

    python benchmarks/mirrors.py DATA [--split val] [--images 80] [--edges keep auto] [--method siseg]

DATA is a folder that `sisegcli convert` understands, of which so many images are taken, evenly spread. An instance is
matched if another one of its category, in the mirror or in the batch of four, has an IoU of 0.5 or more with it, and
equal if it has the same pixels; instances of both sides count. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from sisegcli.categories import Categories
from sisegcli.data.layouts import Layout, Problem, find_pairs
from sisegcli.instances import Instance
from sisegcli.methods import Method, build_method
from sisegcli.running.reading import Sample, read_sample

BATCH = 4


def mirrored(instances: Sequence[Instance]) -> list[Instance]:
    """Return instances as a mirror shows them.

    >>> [one.box for one in mirrored([Instance.from_mask(np.eye(1, 5, 1) > 0, 3)])]
    [(0, 3, 1, 1)]
    """
    return [Instance.from_mask(np.ascontiguousarray(i.mask()[:, ::-1]), i.category, i.score) for i in instances]


def best_overlaps(mine: Sequence[Instance], theirs: Sequence[Instance]) -> list[float]:
    """Return the largest IoU of each instance with one of its category on the other side, for both sides."""
    if not (mine and theirs):
        return [0.0] * (len(mine) + len(theirs))
    iou = np.asarray(coco_mask.iou([i.rle for i in mine], [i.rle for i in theirs], [0] * len(theirs)))
    iou = np.where(np.equal.outer([i.category for i in mine], [i.category for i in theirs]), iou, 0)
    return [*iou.max(1).tolist(), *iou.max(0).tolist()]


def shares(overlaps: Sequence[float]) -> dict[str, float]:
    """Return how many instances there are, and the shares that are matched and equal.

    >>> shares([1.0, 0.5, 0.2, 1.0])
    {'instances': 4, 'matched': 0.75, 'equal': 0.5}
    """
    found = np.array(overlaps)
    return {"instances": len(found), "matched": float((found >= 0.5).mean()), "equal": float((found == 1).mean())}


def samples(layout: Layout, count: int) -> Iterator[Sample]:
    """Read so many images of a layout, evenly spread; what cannot be read is left out."""
    masks = layout.values.reader("auto", "auto", None)
    for pair in layout.pairs[:: max(1, len(layout.pairs) // count)][:count]:
        sample = read_sample(pair, masks)
        if not isinstance(sample, Problem):
            yield sample


def compare(method: Method, found: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Segment images one by one, mirrored, and in batches, and compare."""
    mirror: list[float] = []
    batch: list[float] = []
    for start in range(0, len(found), BATCH):
        part = found[start : start + BATCH]
        together = method.segment([sample.image for sample in part], [sample.mask for sample in part])
        for sample, other in zip(part, together, strict=True):
            [alone] = method.segment([sample.image], [sample.mask])
            image, mask = np.ascontiguousarray(sample.image[:, ::-1]), np.ascontiguousarray(sample.mask[:, ::-1])
            [turned] = method.segment([image], [mask])
            mirror += best_overlaps(alone.instances, mirrored(turned.instances))
            batch += best_overlaps(alone.instances, other.instances)
    return {"mirror": shares(mirror), "batch": shares(batch)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures for each way to treat edges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--split", metavar="NAME")
    parser.add_argument("--images", type=int, default=80, metavar="N")
    parser.add_argument("--edges", nargs="+", default=["keep"], choices=("keep", "auto", "refine"))
    parser.add_argument("--method", default="siseg", choices=("siseg", "components", "watershed"))
    options = parser.parse_args(arguments)
    layout = find_pairs(options.data, split=options.split)
    found = list(samples(layout, options.images))
    figures = {}
    for edges in options.edges:
        method = build_method(options.method, categories=layout.categories or Categories(), edges=edges, device="cpu")
        figures[edges] = compare(method, found)
    sys.stdout.write(json.dumps({"images": len(found), **figures}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
