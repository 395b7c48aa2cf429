"""GeoJSON for QuPath and other viewers of large images: one file an image, one feature an instance.

``geojson/NAME.geojson`` is a FeatureCollection (RFC 7946) whose coordinates are image pixels (x, y), y downwards; pixel
(y, x) covers the square from (x, y) to (x + 1, y + 1). Properties are QuPath's: ``objectType``, ``classification`` with
the category's name and colour, and ``measurements`` with score and area; ``score`` and ``category_id`` are ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sisegcli.data.colours import voc_colour_map
from sisegcli.formats.files import replacing
from sisegcli.formats.image_files import ImageFilesWriter
from sisegcli.formats.records import ImageResult
from sisegcli.formats.rings import mask_rings
from sisegcli.instances import Instance


class GeoJsonWriter(ImageFilesWriter):
    """Write ``geojson/`` into a folder."""

    name, suffixes = "geojson", (".geojson",)

    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write the instances of an image."""
        [path] = paths
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            for number, instance in enumerate(result.instances):
                file.write(",\n" if number else "\n")
                json.dump(self._feature(instance), file, ensure_ascii=False, separators=(",", ":"))
            file.write("\n]}\n")

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
                    "name": self.categories.name(instance.category),
                    "color": [int(value) for value in colours[instance.category % len(colours)]],
                },
                "measurements": {"score": round(instance.score, 6), "area": instance.area},
                "score": round(instance.score, 6),
                "category_id": instance.category,
            },
        }
