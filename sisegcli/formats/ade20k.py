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

from sisegcli.errors import OutputError
from sisegcli.formats.files import replacing
from sisegcli.formats.image_files import ImageFilesWriter
from sisegcli.formats.one_outline import one_outline
from sisegcli.formats.records import ImageResult
from sisegcli.instances import labels_from_instances

MOST = 255
"""Instances in an image."""

LAST_ID = 25 * 256 + 255
"""The largest category id: R // 10 is 25 at most."""


class Ade20kWriter(ImageFilesWriter):
    """Write ``ade20k/`` into a folder. More than 255 instances and ids above 6655 are refused."""

    name, suffixes = "ade20k", ("_seg.png", ".json")

    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write the PNG and the JSON of an image."""
        picture, listing = paths
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

    def _listing(self, result: ImageResult) -> dict[str, object]:
        objects = []
        for number, instance in enumerate(result.instances, start=1):
            corners = one_outline(instance)
            name = self.categories.name(instance.category)
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
