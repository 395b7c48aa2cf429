"""Indexed PNGs in VOC's folders: writer and reader.

``SegmentationObject/NAME.png`` holds instance numbers from 1, ``SegmentationClass/NAME.png`` category ids; 0 is
background and the largest value of a pixel (255, or 65535 with 16 bits) is void. See the VOC 2012 development kit,
section 4.4. Scores have no place in a PNG: ``instances.csv`` lists them beside the folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.data.colours import voc_palette
from sisegcli.data.images import MAX_PIXELS, opened
from sisegcli.errors import ImageError, OutputError
from sisegcli.formats.files import replacing
from sisegcli.formats.records import ImageResult
from sisegcli.formats.table import TableWriter
from sisegcli.instances import Bool, Labels, labels_from_instances

VOID_16 = 65535
"""Void in a PNG of 16 bits."""


class VocWriter(TableWriter):
    """Write ``SegmentationObject/``, ``SegmentationClass/`` and ``instances.csv`` into a folder.

    PNGs are indexed with the VOC colour map while their numbers stay below 255, and grey with 16 bits past that.
    A category of id 0 cannot be told from background in ``SegmentationClass``; the CSV names it.
    """

    folders, suffix, table = ("SegmentationObject", "SegmentationClass"), ".png", "instances.csv"

    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write the two PNGs of an image."""
        objects_png, classes_png = paths
        if len(result.instances) >= VOID_16:
            raise OutputError(
                f"{objects_png} cannot hold the number {len(result.instances)}: a PNG ends at 65534; write COCO's "
                "format or TIFF."
            )
        objects = labels_from_instances(result.instances, result.size)
        classes = np.array([0, *(instance.category for instance in result.instances)])[objects]
        pictures = {path: indexed_picture(path, ids) for path, ids in ((objects_png, objects), (classes_png, classes))}
        for path, picture in pictures.items():
            with replacing(path) as temporary:
                picture.save(temporary, format="PNG")


def indexed_picture(path: Path, ids: NDArray[np.integer[Any]]) -> Image.Image:
    """Return ids as an indexed picture, or as a grey one of 16 bits where an id reaches void's 255."""
    highest = int(ids.max(initial=0))
    if highest >= 65535:
        raise OutputError(f"{path} cannot hold the number {highest}: a PNG ends at 65534; write COCO's format.")
    if highest < 255:
        picture = Image.fromarray(ids.astype(np.uint8))
        picture.putpalette(voc_palette())
        return picture
    return Image.fromarray(ids.astype(np.uint16))


def read_voc_instances(
    object_png: Path | str, class_png: Path | str, void: int = 255
) -> tuple[Labels, dict[int, int], Bool]:
    """Read the instances of one image from VOC's two PNGs.

    Parameters
    ----------
    object_png, class_png : Path
        Instance numbers and category ids, indexed or grey, 8 or 16 bits.
    void : int
        Value of ignored pixels in a PNG of 8 bits; it is 65535 in one of 16 bits.

    Returns
    -------
    labels : (H, W) array of int32
        Instance numbers; 0 for background and void.
    categories : dict
        Category id of each instance: the value that most of its pixels have in `class_png`. Background (0) has no vote,
        unless an instance has nothing else. An instance that is void in all its pixels is left out.
    void : (H, W) array of bool
        Pixels that either PNG ignores.

    Raises
    ------
    ImageError
        If a PNG cannot be read or has colours instead of numbers, or if the sizes differ.
    """
    (objects, objects_void), (classes, classes_void) = _read_ids(object_png, void), _read_ids(class_png, void)
    if objects.shape != classes.shape:
        raise ImageError(
            f"{object_png} is {objects.shape[1]} x {objects.shape[0]} pixels, but {class_png} is "
            f"{classes.shape[1]} x {classes.shape[0]}; give masks of the same image."
        )
    ignored = objects_void | classes_void
    labels = np.where(ignored, 0, objects).astype(np.int32)
    return labels, vote_categories(labels, classes), ignored


def vote_categories(labels: Labels, classes: NDArray[np.integer[Any]]) -> dict[int, int]:
    """Return the category of each label: the value that most of its pixels have in `classes`.

    Background (0) has no vote, unless a label has nothing else; ties go to the smaller id.

    >>> vote_categories(np.array([[1, 1, 1, 2, 0]], np.int32), np.array([[0, 0, 8, 0, 5]]))
    {1: 8, 2: 0}
    """
    inside = labels > 0
    codes, votes = np.unique(labels[inside].astype(np.int64) << 32 | classes[inside], return_counts=True)
    numbers, values = codes >> 32, codes & 0xFFFFFFFF
    # Background first, then from the fewest votes to the most, so that the last one stays; ties go to the smaller id.
    order = np.lexsort((-values, votes, values != 0))
    categories = dict(zip(numbers[order].tolist(), values[order].tolist(), strict=True))
    return dict(sorted(categories.items()))


def _read_ids(path: Path | str, void: int) -> tuple[NDArray[np.integer[Any]], Bool]:
    """Return the numbers of a PNG and where they are void."""
    with opened(path, MAX_PIXELS) as (picture, _):
        mode, values = picture.mode, np.asarray(picture)
    if mode not in {"P", "L", "1"} and not mode.startswith("I"):
        raise ImageError(f"{path} has colours (mode {mode}) instead of numbers; give an indexed or grey PNG.")
    ids: NDArray[np.integer[Any]] = values.astype(np.int32)
    ignored: Bool = ids == (65535 if mode.startswith("I") else void)
    return ids, ignored
