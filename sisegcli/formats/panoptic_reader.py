"""Reader of COCO's panoptic format: a JSON of segments, and a folder of PNGs beside it; see `coco_panoptic`."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sisegcli.categories import Categories, Category
from sisegcli.data.images import MAX_PIXELS, opened
from sisegcli.data.layouts.records import leads_out
from sisegcli.data.texts import MAX_JSON, parse_json, read_text
from sisegcli.errors import ImageError, InputError
from sisegcli.instances import Instance, Labels, instances_from_labels

_SIGN = b'"segments_info"'
_BLOCK = 2**20
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class PanopticImage:
    """The segments of an image.

    Attributes
    ----------
    id : int or None
        COCO's id of the image; None where it is a name, as Cityscapes' own converter has it.
    file_name : str
        Its file name; that of the PNG where the file does not tell it.
    segments : list of Instance
        Things and stuff, in the file's order; a score is 1 where the file has none.
    crowds : list of Instance
        Segments with ``iscrowd``.
    unlabeled : Instance or None
        Pixels that no segment has.
    size : tuple of int
        Height and width, in pixels.
    """

    id: int | None
    file_name: str
    segments: list[Instance]
    crowds: list[Instance]
    unlabeled: Instance | None
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PanopticFile:
    """What a panoptic file holds: its images, yet to be read, its categories, and whether all segments have scores."""

    listed: list[ListedImage]
    categories: Categories
    scored: bool


def is_panoptic(path: Path) -> bool:
    """Return whether a file speaks of panoptic segments; it is searched, as parsing a large one twice would be slow."""
    kept = b""
    with suppress(OSError), path.open("rb") as file:  # whoever reads it next says what is wrong
        while block := file.read(_BLOCK):
            if _SIGN in kept + block:
                return True
            kept = block[-len(_SIGN) :]
    return False


def read_panoptic(path: Path | str, max_bytes: int = MAX_JSON) -> PanopticFile:
    """Read a panoptic file; its PNGs are in the folder of the same name, without ``.json``.

    Parameters
    ----------
    path : path
        The JSON file.
    max_bytes : int
        A larger JSON file is refused.

    Raises
    ------
    InputError
        If the file or the folder cannot be read or is none of its kind, or a name leads out of the folder.
    """
    path = Path(path)
    try:
        content = parse_json(read_text(path, "utf-8", limit=max_bytes))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); give a COCO panoptic file.") from error
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise InputError(f"{path} has no annotations, so it is no COCO panoptic file; check the name.")
    folder = path.with_suffix("")
    if not folder.is_dir():
        raise InputError(f"{folder}, the folder of the PNGs of {path.name}, is missing; put it beside the file.")
    try:
        categories = Categories(
            Category(int(c["id"]), str(c["name"]), bool(c.get("isthing", 1)), str(c.get("supercategory") or ""))
            for c in content.get("categories", [])
        )
        names = {image["id"]: str(image.get("file_name", "")) for image in content.get("images", [])}
        listed = [ListedImage(annotation, names, folder) for annotation in content["annotations"]]
    except _MALFORMED as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path} is not a COCO panoptic file as it should be ({reason}); export it again.") from error
    return PanopticFile(listed, categories, all(one.scored for one in listed))


class ListedImage:
    """An annotation of the JSON, checked; its PNG is not read yet."""

    def __init__(self, annotation: dict[str, Any], names: dict[Any, str], folder: Path) -> None:
        self._folder = folder
        number = annotation["image_id"]
        self.id = number if isinstance(number, int) else None
        self.png = str(annotation["file_name"])
        if leads_out(self.png):
            raise ValueError(f"the name {self.png[:99]!r} leads out of its folder")
        self.file_name = names.get(number) or self.png
        self.categories: dict[int, int] = {}
        self.scores: dict[int, float] = {}
        self.crowds: set[int] = set()
        self.scored = True
        for segment in annotation["segments_info"]:
            number, category = int(segment["id"]), int(segment["category_id"])
            if not 0 < number < 2**24 or number in self.categories or not 0 <= category < 2**31:
                raise ValueError(f"the segment {str(number)[:20]} of {self.png} is there twice, or has no possible id")
            score = float(segment.get("score", 1.0))
            if not math.isfinite(score):
                raise ValueError(f"the score of the segment {number} of {self.png} is not a finite number")
            self.categories[number], self.scores[number] = category, score
            self.scored = self.scored and "score" in segment
            if segment.get("iscrowd"):
                self.crowds.add(number)

    def read(self) -> PanopticImage:
        """Read the PNG.

        Raises
        ------
        ImageError
            If it cannot be read, or its segments are not those of the JSON.
        """
        path = self._folder / self.png
        labels = _read_numbers(path)
        present = np.unique(labels[labels > 0]).tolist()
        unknown = next((number for number in present if number not in self.categories), None)
        if unknown is not None:
            raise ImageError(
                f"{path} has the segment {unknown}, which the JSON does not list; export both again, together."
            )
        found = dict(zip(present, instances_from_labels(labels, self.categories, self.scores), strict=True))
        missing = next((number for number in self.categories if number not in found), None)
        if missing is not None:
            raise ImageError(
                f"{path} has no pixel of the segment {missing}, which the JSON lists; export both again, together."
            )
        nobody = labels == 0
        return PanopticImage(
            self.id,
            self.file_name,
            [found[number] for number in self.categories if number not in self.crowds],
            [found[number] for number in self.categories if number in self.crowds],
            Instance.from_mask(nobody, 0) if nobody.any() else None,
            (labels.shape[0], labels.shape[1]),
        )


def _read_numbers(path: Path) -> Labels:
    """Return the segment of each pixel, R + 256 G + 65536 B."""
    with opened(path, MAX_PIXELS) as (picture, _):
        if picture.mode not in ("RGB", "RGBA"):
            raise ImageError(f"{path} has the mode {picture.mode}, but panoptic PNGs hold numbers as RGB colours.")
        colours = np.asarray(picture)[..., :3].astype(np.int32)
    numbers: Labels = colours[..., 0] | colours[..., 1] << 8 | colours[..., 2] << 16
    return numbers
