"""Ground truth from pairs of label images: object numbers in one file, category ids in another, as VOC has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sisegcli.categories import Categories
from sisegcli.data.images import MAX_PIXELS, opened
from sisegcli.data.layouts import find_pairs, read_split, voc_folder
from sisegcli.data.rasters import TIFF
from sisegcli.errors import ImageError, LayoutError
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.formats.voc import vote_categories
from sisegcli.instances import Bool, Instance, instances_from_labels

SUFFIXES = (".png", *TIFF)
"""Of label images."""

OBJECT_SIGN = "_instances"
CLASS_SIGNS = ("_mask", "-mask", "_masks", "_semantic", "_seg", "_label")
"""How names of label images that lie side by side end."""

_KNOWN = (
    "give a VOC folder with SegmentationObject and SegmentationClass, a COCO file, or other ground truth that is known "
    "(COCO panoptic, Cityscapes, ADE20K, instances/ and masks/, x_instances.png with x_mask.png)."
)


def load_voc_truth(
    folder: Path | str,
    split: str | None = None,
    *,
    objects: str = "SegmentationObject",
    classes: str = "SegmentationClass",
    watch: Watch = unwatched,
) -> GroundTruth:
    """Read the instances of a VOC devkit folder, or of one laid out like it.

    Parameters
    ----------
    folder : path
        Holds the folders `objects` and `classes`, with PNGs or TIFFs of the same names.
    split : str, optional
        Name of a list in ``ImageSets/Segmentation``; without it, all files of `objects`.
    objects, classes : str
        Names of the two folders: numbers of objects from 1, and category ids; 0 is nobody, and the largest value of a
        pixel (255, or 65,535 in files of 16 bits) is void in either.
    watch : Watch
        Sees how it goes on.

    Returns
    -------
    GroundTruth
        An object has the category of most of its pixels; void is kept for each image. Where categories that lie beside
        the images name stuff, its pixels without a number are segments of stuff.

    Raises
    ------
    LayoutError
        If a folder, the split or a file of the split is missing, or there are no files at all.
    ImageError
        If a file is no label image, or the sizes of two differ.
    """
    folder = voc_folder(folder) or Path(folder)
    for name in (objects, classes):
        if not (folder / name).is_dir():
            raise LayoutError(f"{folder} has no {name}, so it is no ground truth; {_KNOWN}")
    there = {path.relative_to(folder / objects).with_suffix("").as_posix(): path for path in _files(folder / objects)}
    stems = sorted(there) if split is None else read_split(folder, split)
    if not stems:
        raise LayoutError(f"{folder / objects} holds no PNGs, so there is nothing to compare with; check the folder.")
    names = named_categories(folder)
    images = {}
    for stem in watch(stems, "Reading ground truth"):
        places = [folder / classes / f"{stem}{suffix}" for suffix in SUFFIXES]
        one = there.get(stem, folder / objects / f"{stem}.png")
        other = next((place for place in places if place.is_file()), places[0])
        images[stem] = _read(one, other, names)
    return GroundTruth(images, names)


def load_flat_truth(folder: Path, split: str | None = None, watch: Watch = unwatched) -> GroundTruth:
    """Read label images side by side, at any depth: ``x_instances.png`` and ``x_mask.png``, or TIFFs.

    Raises
    ------
    LayoutError
        If one has no partner, or a split is asked for.
    ImageError
        If a file is no label image, or the sizes of two differ.
    """
    if split is not None:
        raise LayoutError(f"{folder} has no lists of images, so it has no split {split!r}; leave --split out.")
    names = named_categories(folder)
    images = {}
    objects = [path for path in sorted(_files(folder)) if path.stem.endswith(OBJECT_SIGN)]
    for path in watch(objects, "Reading ground truth"):
        bare = path.with_name(path.stem.removesuffix(OBJECT_SIGN))
        places = [path.with_name(f"{bare.name}{sign}{suffix}") for sign in CLASS_SIGNS for suffix in SUFFIXES]
        other = next((place for place in places if place.is_file()), places[0])
        images[bare.relative_to(folder).as_posix()] = _read(path, other, names)
    return GroundTruth(images, names)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]


def _read(objects: Path, classes: Path, names: Categories) -> TruthImage:
    for path in (objects, classes):
        if not path.is_file():
            raise LayoutError(f"{path} is missing; the ground truth needs an object and a class file for each image.")
    (numbers, no_number), (ids, no_id) = read_ids(objects), read_ids(classes)
    if numbers.shape != ids.shape:
        raise ImageError(
            f"{objects} is {numbers.shape[1]} x {numbers.shape[0]} pixels, but {classes} is {ids.shape[1]} x "
            f"{ids.shape[0]}; give masks of the same image."
        )
    void = no_number | no_id
    labels, ids = np.where(void, 0, numbers), np.where(void, 0, ids)
    if labels.max(initial=0) >= 2**31 or ids.max(initial=0) >= 2**31:
        raise ImageError(f"{objects} or {classes.name} holds a number above {2**31 - 1:,}; number objects from 1.")
    labels = labels.astype(np.int32)
    stuff = None
    if not all(category.isthing for category in names.values()):
        stuff = stuff_segments(np.where(labels > 0, 0, ids).astype(np.int32), names)
    size = (void.shape[0], void.shape[1])
    unknown = Instance.from_mask(void, category=0) if void.any() else None
    return TruthImage(size, instances_from_labels(labels, vote_categories(labels, ids)), void=unknown, stuff=stuff)


def stuff_segments(ids: NDArray[np.int32], names: Categories) -> list[Instance]:
    """Return a segment of each category of stuff that an (H, W) array of category ids has; 0 is nobody."""
    stuff: Mapping[int, int] = {n: n for n, category in names.items() if n and not category.isthing}
    return instances_from_labels(ids, stuff)


def read_ids(path: Path) -> tuple[NDArray[np.int64], Bool]:
    """Read a label image, PNG or TIFF, of 8, 16 or 32 bits: its (H, W) numbers, and where they are void.

    Void is the largest value of an unsigned pixel, and in files with signs every number below 0.

    Raises
    ------
    ImageError
        If the file cannot be read, or has colours or fractions instead of numbers.
    """
    values = _tiff(path) if path.suffix.lower() in TIFF else _png(path)
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise ImageError(f"{path} has {values.ndim} dimensions of {values.dtype} instead of numbers; save ids as grey.")
    ids = values.astype(np.int64)
    bits = 8 * values.dtype.itemsize
    void: Bool = ids < 0 if values.dtype.kind == "i" else ids == 2**bits - 1
    if values.dtype.kind == "b":
        void = np.zeros(values.shape, bool)
    return ids, void


def _png(path: Path) -> NDArray[Any]:
    with opened(path, MAX_PIXELS) as (picture, _):
        mode, values = picture.mode, np.asarray(picture)
    if mode not in {"P", "L", "1"} and not mode.startswith("I"):
        raise ImageError(f"{path} has colours (mode {mode}) instead of numbers; give an indexed or grey PNG.")
    if mode.startswith("I") and values.min(initial=0) >= 0 and values.max(initial=0) < 2**16:
        return values.astype(np.uint16)  # whatever Pillow takes for 16 bits
    return values


def _tiff(path: Path) -> NDArray[Any]:
    from sisegcli.data.tiff import TiffSource  # imports tifffile

    source = TiffSource(path)
    try:
        height, width = source.size
        if height * width > MAX_PIXELS:
            raise ImageError(f"{path} has {height} x {width} pixels, more than the {MAX_PIXELS:,} allowed; cut it.")
        return source.rows(0, height)
    finally:
        source.close()


def named_categories(folder: Path) -> Categories:
    """Return the categories that the layout tells; a folder without images tells none."""
    try:
        return find_pairs(folder).categories or Categories()
    except LayoutError:
        return Categories()
