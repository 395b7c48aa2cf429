"""Instances from pairs of label PNGs: object ids in one, category ids in the other (VOC's layout)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sisegcli.errors import ImageError
from sisegcli.instances import Bool, Instance, Labels, instances_from_labels

_VOID = {"I;16": 65535, "I": 65535}


def read_labels(path: Path) -> tuple[Labels, Bool]:
    """Read an indexed PNG as labels (H, W) of int32 and a void mask (H, W).

    Void is 255 in 8-bit files and 65,535 in 16-bit ones, where 255 is an id like any other.
    """
    try:
        with Image.open(path) as image:
            mode, labels = image.mode, np.asarray(image)
    except OSError as error:
        raise ImageError(f"{path} cannot be read as a label image ({error}).") from error
    if labels.ndim != 2:
        raise ImageError(f"{path} is not an indexed image: its pixels must be ids, but its mode is {mode}.")
    labels = labels.astype(np.int32)
    return labels, labels == _VOID.get(mode, 255)


def read_instances(objects: Path, classes: Path, scores: dict[int, float] | None = None) -> tuple[list[Instance], Bool]:
    """Read the instances of an image, and its void pixels (in either file), as (instances, (H, W) mask).

    An instance's category is that of most of its pixels; instances without category pixels are left out.
    """
    ids, void = read_labels(objects)
    categories, unknown = read_labels(classes)
    if ids.shape != categories.shape:
        raise ImageError(f"{objects} and {classes} differ in size, so one of them belongs to another image.")
    void |= unknown
    named = np.where(void | (categories == 0), 0, ids)
    pairs, counts = np.unique(
        named[named > 0].astype(np.int64) << 32 | categories[named > 0], return_counts=True
    )
    order = np.argsort(counts, kind="stable")  # the last, so the most frequent, category of an id stays
    category_of = {int(pairs[i] >> 32): int(pairs[i] & 0xFFFFFFFF) for i in order}
    ids = np.where(void, 0, ids)
    return instances_from_labels(ids, category_of, scores), void
