"""GeoJSON for QuPath and other viewers of large images: one file an image, one feature an instance.

``geojson/NAME.geojson`` is a FeatureCollection (RFC 7946) whose coordinates are image pixels (x, y), y downwards; pixel
(y, x) covers the square from (x, y) to (x + 1, y + 1). Properties are QuPath's: ``objectType``, ``classification`` with
the category's name and colour, and ``measurements`` with score and area; ``score`` and ``category_id`` are ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sisegcli.categories import Categories
from sisegcli.data.colours import voc_colour_map
from sisegcli.formats.files import below, refuse_existing, replacing
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.formats.rings import mask_rings
from sisegcli.instances import Instance


class GeoJsonWriter(Writer):
    """Write ``geojson/`` into a folder.

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
        self.folder = Path(out) / "geojson"
        self.paths = [self.folder]
        self._categories = categories
        self._overwrite = overwrite

    def files(self, stem: str) -> list[Path]:
        """Return the file of an image."""
        return [below(self.folder, stem, ".geojson")]

    def write(self, result: ImageResult) -> str:
        """Write the instances of an image."""
        [path] = self.files(result.stem)
        refuse_existing(path, overwrite=self._overwrite)
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            for number, instance in enumerate(result.instances):
                file.write(",\n" if number else "\n")
                json.dump(self._feature(instance), file, ensure_ascii=False, separators=(",", ":"))
            file.write("\n]}\n")
        return ""

    def _feature(self, instance: Instance) -> dict[str, Any]:
        polygons = mask_rings(instance.crop(), instance.box[:2])
        single = len(polygons) == 1
        colours = voc_colour_map()
        return {
            "type": "Feature",
            "geometry": {
                "type": "Polygon" if single else "MultiPolygon",
                "coordinates": polygons[0] if single else polygons,
            },
            "properties": {
                "objectType": "detection",
                "classification": {
                    "name": self._categories.name(instance.category),
                    "color": [int(value) for value in colours[instance.category % len(colours)]],
                },
                "measurements": {"score": round(instance.score, 6), "area": instance.area},
                "score": round(instance.score, 6),
                "category_id": instance.category,
            },
        }
