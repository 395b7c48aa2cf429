"""Ground truth of ADE20K: of the Places Challenge with its 100 things, and of the full data set.

The challenge (https://github.com/CSAILVision/placeschallenge, instance segmentation) has ``annotations_instance/``: in
R the thing, from 1 to 100, in G the number of the object. The things are those of SceneParse150, in its order
(`categoryMapping.txt`). Stuff is in ``annotations/``, where that lies beside.

The full data set has ``ADE_*_seg.png``: R // 10 * 256 + G is the category, B the object (its values are spread over 0
to 255). What SceneParse150 calls stuff is stuff. Parts are in files of their own, and left out.

Pixels without label are void to panoptic quality (as in the panoptic set that Mask2Former makes), but not to average
precision, as the challenge has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.data.images import MAX_PIXELS, opened
from sisegcli.data.masks import decode_ade20k
from sisegcli.errors import ImageError
from sisegcli.evaluation.label_truth import named_categories, read_ids, stuff_segments
from sisegcli.evaluation.truth import GroundTruth, TruthImage, of_split
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.instances import Instance, instances_from_labels

FOLDER = "annotations_instance"
SIGN = "_seg.png"


def challenge_folder(folder: Path) -> Path | None:
    """Return the ``annotations_instance`` that a folder is or holds, itself or in ``ADEChallengeData2016``."""
    places = (folder, folder / FOLDER, folder / "ADEChallengeData2016" / FOLDER)
    return next((place for place in places if place.name == FOLDER and place.is_dir()), None)


def load_ade20k_truth(folder: Path, split: str | None = None, watch: Watch = unwatched) -> GroundTruth:
    """Read the Places Challenge's instances, and its stuff where ``annotations/`` lies beside them.

    Parameters
    ----------
    folder : Path
        ``annotations_instance``; stems are like ``validation/ADE_val_00000001``.
    split : str, optional
        ``training`` or ``validation``.
    watch : Watch
        Sees how it goes on.

    Raises
    ------
    ImageError
        If a file cannot be read, holds other categories, or the sizes of two differ.
    LayoutError
        If there is no such split.
    """
    names = load_categories("ade20k")
    things = np.array([0, *(category.id for category in names.values() if category.isthing)])
    paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.png"))}
    images = {}
    for stem, path in watch(list(of_split(paths, split, folder).items()), "Reading ground truth"):
        colours = read_colours(path)
        kinds, objects = colours[..., 0].astype(np.int32), colours[..., 1].astype(np.int32)
        if kinds.max(initial=0) >= len(things):
            raise ImageError(f"{path} has the thing {kinds.max()}, but the challenge has 100; give its instances.")
        semantic = folder.parent / "annotations" / f"{stem}.png"
        stuff = _stuff(semantic, objects, names) if semantic.is_file() else None
        images[stem] = _image(things[kinds], objects, stuff)
    return GroundTruth(images, names)


def load_full_ade20k_truth(folder: Path, split: str | None = None, watch: Watch = unwatched) -> GroundTruth:
    """Read the objects and the stuff of all ``ADE_*_seg.png`` below a folder.

    Parameters
    ----------
    folder : Path
        Any folder of the full data set; names of categories are in the JSON files beside the images.
    split : str, optional
        ``training``, ``validation`` or the name of any folder: only what lies in it.
    watch : Watch
        Sees how it goes on.

    Raises
    ------
    ImageError
        If a file cannot be read.
    LayoutError
        If there is no such folder.
    """
    names = named_categories(folder)
    paths = {
        path.relative_to(folder).as_posix().removesuffix(SIGN): path for path in sorted(folder.rglob(f"ADE_*{SIGN}"))
    }
    images = {}
    for stem, path in watch(list(of_split(paths, split, folder).items()), "Reading ground truth"):
        colours = read_colours(path)
        ids, objects = decode_ade20k(colours), colours[..., 2].astype(np.int32)
        is_stuff = np.isin(ids, [n for n, category in names.items() if not category.isthing])
        images[stem] = _image(
            np.where(is_stuff, 0, ids),
            np.where(is_stuff, 0, objects),
            stuff_segments(np.where(is_stuff, ids, 0), names),
        )
    return GroundTruth(images, names)


def _image(ids: NDArray[Any], objects: NDArray[Any], stuff: list[Instance] | None) -> TruthImage:
    """Make an image of (H, W) categories and numbers of objects; an object is a number of a category."""
    codes = np.where((ids > 0) & (objects > 0), ids.astype(np.int64) << 8 | objects, 0)  # both fit: numbers are a byte
    values = np.flatnonzero(np.bincount(codes.ravel()))
    values = values[values > 0]
    numbers = np.zeros(int(codes.max(initial=0)) + 1, np.int32)
    numbers[values] = np.arange(1, len(values) + 1)
    labels = numbers[codes]
    instances = instances_from_labels(labels, {n: code >> 8 for n, code in enumerate(values.tolist(), start=1)})
    size = (codes.shape[0], codes.shape[1])
    if stuff is None:
        return TruthImage(size, instances)
    labelled = labels > 0
    for segment in stuff:
        labelled |= segment.mask()
    unlabeled = Instance.from_mask(~labelled, 0) if not labelled.all() else None
    return TruthImage(size, instances, stuff=stuff, unlabeled=unlabeled)


def _stuff(path: Path, objects: NDArray[np.int32], names: Categories) -> list[Instance]:
    ids, _ = read_ids(path)
    if ids.shape != objects.shape:
        raise ImageError(
            f"{path} is {ids.shape[1]} x {ids.shape[0]} pixels, but its instances are {objects.shape[1]} x "
            f"{objects.shape[0]}; give annotations of the same image."
        )
    return stuff_segments(np.where(objects > 0, 0, ids).astype(np.int32), names)


def read_colours(path: Path) -> NDArray[np.uint8]:
    """Read the (H, W, 3) colours of a PNG.

    Raises
    ------
    ImageError
        If it cannot be read or has no colours.
    """
    with opened(path, MAX_PIXELS) as (picture, _):
        if picture.mode not in ("RGB", "RGBA"):
            raise ImageError(f"{path} has the mode {picture.mode}, but ADE20K's instances are in colours (RGB).")
        return np.array(picture)[..., :3]
