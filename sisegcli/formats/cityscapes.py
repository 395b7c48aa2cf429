"""Cityscapes' label images: ``gtFine/NAME_gtFine_instanceIds.png`` and ``gtFine/NAME_gtFine_labelIds.png``.

``labelIds`` holds category ids, ``instanceIds`` (16 bits) 1000 times the id plus a number from 0 for things, and the id
alone for stuff; 0 is unlabeled. Ids are the masks' own: train ids stay train ids. Images called ``x_leftImg8bit.png``
become ``x_gtFine_instanceIds.png``, any other ``x`` becomes ``x_instanceIds.png``. Scores have no place here. See
cityscapesscripts, `json2instanceImg.py`.

What 16 bits cannot hold is refused: a thing's id goes from 1 to 65, a stuff category's from 1 to 999, and an image has
at most 1000 instances of a category. ``labelIds`` has 8 bits, and 16 where an id needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.errors import OutputError
from sisegcli.formats.files import replacing
from sisegcli.formats.image_files import ImageFilesWriter
from sisegcli.formats.joining import join_folders
from sisegcli.formats.records import ImageResult
from sisegcli.instances import labels_from_instances

MOST = 1000
"""Instances of a category in an image."""

_IMAGE = "_leftImg8bit"


class CityscapesWriter(ImageFilesWriter):
    """Write ``gtFine/`` into a folder. Ids and numbers that are too large are refused."""

    name, suffixes = "gtFine", ("_instanceIds.png", "_labelIds.png")

    def files(self, stem: str) -> list[Path]:
        """Return the two PNGs of an image."""
        return super().files(f"{stem.removesuffix(_IMAGE)}_gtFine" if stem.endswith(_IMAGE) else stem)

    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write the two PNGs of an image."""
        numbers = self._numbers(result, paths[0])
        labels = labels_from_instances(result.instances, result.size)
        ids = [0, *(instance.category for instance in result.instances)]
        width = np.uint8 if max(ids) < 256 else np.uint16
        pictures: list[NDArray[Any]] = [np.array([0, *numbers], np.uint16)[labels], np.array(ids, width)[labels]]
        for path, picture in zip(paths, pictures, strict=True):
            with replacing(path) as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")

    def _numbers(self, result: ImageResult, path: Path) -> list[int]:
        """Return the value of each instance in ``instanceIds``."""
        way_out = "write COCO's format instead"
        seen: Counter[int] = Counter()
        numbers = []
        for instance in result.instances:
            category = instance.category
            if not self.categories.isthing(category):
                name = self.categories.name(category)
                if category >= 1000 or (category == 0 and name != "unlabeled"):
                    raise OutputError(
                        f"{path} cannot hold the stuff {name!r} of the id {category}, but ids from 1 to 999, as 0 is "
                        f"unlabeled; {way_out}."
                    )
                numbers.append(category)
                continue
            if not 1 <= category <= 65 or (category == 65 and seen[65] > 535):
                raise OutputError(
                    f"{path} cannot hold instances of the id {category}: Cityscapes' numbers, 1000 times the id and "
                    f"more, go from 1000 to 65535; {way_out}."
                )
            if seen[category] == MOST:
                raise OutputError(
                    f"{path} cannot hold more than {MOST} instances of {self.categories.name(category)!r}, as "
                    f"Cityscapes counts from 0 to {MOST - 1}; {way_out}."
                )
            numbers.append(category * 1000 + seen[category])
            seen[category] += 1
        return numbers


def join_pairs(folders: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Join folders with two files an image, ADE20K's too; see `join_folders`."""
    return join_folders(folders, target, disjoint=disjoint) // 2
