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

from sisegcli.formats.files import replacing
from sisegcli.formats.image_files import ImageFilesWriter
from sisegcli.formats.polygons import instance_polygons
from sisegcli.formats.records import ImageResult

VERSION = "5.5.0"
"""Version of LabelMe whose files these are."""


class LabelMeWriter(ImageFilesWriter):
    """Write ``labelme/`` into a folder."""

    name, suffixes = "labelme", (".json",)

    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write the shapes of an image."""
        [path] = paths
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

    def _shapes(self, result: ImageResult) -> list[dict[str, Any]]:
        shapes: list[dict[str, Any]] = []
        for number, instance in enumerate(result.instances, start=1):
            pieces = instance_polygons(instance)
            shapes += [
                {
                    "label": self.categories.name(instance.category),
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
