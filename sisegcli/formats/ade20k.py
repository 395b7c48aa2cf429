"""ADE20K's instances in the layout of its full data set: ``ade20k/NAME_seg.png`` and ``ade20k/NAME.json``.

In the PNG, the category is R // 10 * 256 + G and the instance is B, counted from 1; 0 is nobody. (The real files
stretch B over 0 to 255; its order is what counts.) The JSON lists the same instances as objects, ``id`` being B,
``name_ndx`` the category's id, with one polygon for each (see `one_outline`) and a score, which is our addition. It has
what ADE20K's own loader asks for; nothing is known of parts and attributes, so they are empty.

A category of id 0 has the colours of nobody, but B and the JSON tell its instances. What a channel of 8 bits cannot
hold is refused: more than 255 instances in an image, and ids above 6655.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import Categories
from sisegcli.errors import OutputError
from sisegcli.formats.files import below, refuse_existing, replacing
from sisegcli.formats.one_outline import one_outline
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.instances import labels_from_instances

MOST = 255
"""Instances in an image."""

LAST_ID = 25 * 256 + 255
"""The largest category id: R // 10 is 25 at most."""


class Ade20kWriter(Writer):
    """Write ``ade20k/`` into a folder.

    Parameters
    ----------
    out : Path
        The folder; it is made where it is missing.
    categories : Categories
        Names of categories.
    polygons : bool
        Without meaning here; taken so that all writers are made alike.
    overwrite : bool
        Replace files that exist.

    Raises
    ------
    OutputError
        If a file exists and `overwrite` is off, if it cannot be written, if a stem leads out of the folder, or if there
        are too many instances or an id is too large.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.folder = Path(out) / "ade20k"
        self.paths = [self.folder]
        self._categories = categories
        self._overwrite = overwrite

    def files(self, stem: str) -> list[Path]:
        """Return the PNG and the JSON of an image."""
        return [below(self.folder, stem, suffix) for suffix in ("_seg.png", ".json")]

    def write(self, result: ImageResult) -> str:
        """Write the PNG and the JSON of an image."""
        picture, listing = self.files(result.stem)
        refuse_existing(picture, listing, overwrite=self._overwrite)
        highest = max((instance.category for instance in result.instances), default=0)
        if len(result.instances) > MOST or highest > LAST_ID:
            what = f"the id {highest}, but ids up to {LAST_ID}"
            if len(result.instances) > MOST:
                what = f"{len(result.instances):,} instances, but {MOST}"
            raise OutputError(f"{picture} cannot hold {what}, in ADE20K's channels of 8 bits; write COCO's format.")
        with replacing(picture) as temporary:
            Image.fromarray(_colours(result)).save(temporary, format="PNG")
        with replacing(listing) as temporary:
            temporary.write_text(json.dumps(self._listing(result), ensure_ascii=False) + "\n", encoding="utf-8")
        return ""

    def _listing(self, result: ImageResult) -> dict[str, object]:
        objects = []
        for number, instance in enumerate(result.instances, start=1):
            corners = one_outline(instance)
            name = self._categories.name(instance.category)
            objects.append(
                {
                    "id": number,
                    "name": name,
                    "name_ndx": instance.category,
                    "raw_name": name,
                    "attributes": [],
                    "crop": "0",
                    "parts": {"hasparts": [], "ispartof": [], "part_level": 0},
                    "polygon": {"x": [x for x, _ in corners], "y": [y for _, y in corners]},
                    "score": round(instance.score, 6),
                }
            )
        folder = str(PurePosixPath(result.file_name).parent)
        about = {"filename": result.image.name, "folder": folder, "imsize": [*result.size, 3]}
        return {"annotation": {**about, "object": objects}}


def _colours(result: ImageResult) -> NDArray[np.uint8]:
    """Return the PNG's (H, W, 3) values."""
    table = np.zeros((len(result.instances) + 1, 3), np.uint8)
    for number, instance in enumerate(result.instances, start=1):
        table[number] = instance.category // 256 * 10, instance.category % 256, number
    return table[labels_from_instances(result.instances, result.size)]
