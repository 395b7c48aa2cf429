"""LabelMe's JSON, a file an image: ``labelme/NAME.json``.

``imagePath`` is the image's name, as LabelMe has its files beside their images: copy ``labelme/`` into the image folder
to open it. ``imageData`` is null. Each piece of an instance is a polygon on exact pixel edges; pieces of one instance
share a ``group_id``. A polygon of LabelMe cannot have a hole, so holes are joined by slits of no width, as
`mask_polygons` does. ``score`` is our addition, which LabelMe keeps.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sisegcli.categories import Categories
from sisegcli.formats.files import below, refuse_existing, replacing
from sisegcli.formats.polygons import instance_polygons
from sisegcli.formats.records import ImageResult, Writer

VERSION = "5.5.0"
"""Version of LabelMe whose files these are."""


class LabelMeWriter(Writer):
    """Write ``labelme/`` into a folder.

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
        If a file exists and `overwrite` is off, if it cannot be written, or if a stem leads out of the folder.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.folder = Path(out) / "labelme"
        self.paths = [self.folder]
        self._categories = categories
        self._overwrite = overwrite

    def files(self, stem: str) -> list[Path]:
        """Return the file of an image."""
        return [below(self.folder, stem, ".json")]

    def write(self, result: ImageResult) -> str:
        """Write the shapes of an image."""
        [path] = self.files(result.stem)
        refuse_existing(path, overwrite=self._overwrite)
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": self._shapes(result),
            "imagePath": result.image.name,
            "imageData": None,
            "imageHeight": result.size[0],
            "imageWidth": result.size[1],
        }
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return ""

    def _shapes(self, result: ImageResult) -> list[dict[str, Any]]:
        shapes: list[dict[str, Any]] = []
        for number, instance in enumerate(result.instances, start=1):
            pieces = instance_polygons(instance)
            shapes += [
                {
                    "label": self._categories.name(instance.category),
                    "points": [[float(x), float(y)] for x, y in zip(piece[::2], piece[1::2], strict=True)],
                    "group_id": number if len(pieces) > 1 else None,
                    "description": "",
                    "shape_type": "polygon",
                    "flags": {},
                    "score": round(instance.score, 6),
                }
                for piece in pieces
            ]
        return shapes
