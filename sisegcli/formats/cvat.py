"""COCO's instances as CVAT imports them (its format "COCO 1.0"): ``cvat.json``.

CVAT knows labels by name and images by file name; ids of categories count from 1. A COCO polygon has no holes, and CVAT
makes one shape of each polygon. So an instance of one piece without a hole is a polygon, which can be edited, and any
other is a run-length code, which stays one mask in CVAT: by COCO's rule, these have ``iscrowd`` 1. Evaluation would
take them for groups of objects, so evaluate ``--to coco`` instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sisegcli.categories import Category
from sisegcli.formats.coco_stream import CocoStreamWriter, coco_box, coco_entry, coco_rle
from sisegcli.formats.records import ImageResult
from sisegcli.formats.rings import Ring, mask_rings
from sisegcli.instances import Instance


class CvatWriter(CocoStreamWriter):
    """Write ``cvat.json`` into a folder."""

    name = "cvat.json"

    def write(self, result: ImageResult) -> str:
        """Return the entry of an image and its instances."""
        return coco_entry(result, map(self._annotation, result.instances))

    def _annotation(self, instance: Instance) -> dict[str, Any]:
        pieces = mask_rings(instance.crop(), instance.box[:2])
        simple = [len(rings) for rings in pieces] == [1]
        return {
            "category_id": self.categories.number(instance.category) + 1,
            "segmentation": [_polygon(pieces[0][0])] if simple else coco_rle(instance),
            "area": instance.area,
            "bbox": coco_box(instance),
            "iscrowd": int(not simple),
            "score": round(instance.score, 6),
        }

    def listed(self, ids: list[int]) -> Iterator[Category]:
        """Return the categories with their numbers, counted from 1, as ids."""
        numbers = {self.categories.number(id_): id_ for id_ in ids}
        return (replace(self.categories.find(numbers[n]), id=n + 1) for n in sorted(numbers))


def _polygon(ring: Ring) -> list[int]:
    return [value for corner in ring[:-1] for value in corner]
