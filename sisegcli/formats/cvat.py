"""COCO's instances as CVAT imports them (its format "COCO 1.0"): ``cvat.json``.

CVAT knows labels by name and images by file name; ids of categories count from 1. A COCO polygon has no holes, and CVAT
makes one shape of each polygon. So an instance of one piece without a hole is a polygon, which can be edited, and any
other is a run-length code, which stays one mask in CVAT: by COCO's rule, these have ``iscrowd`` 1. Evaluation would
take them for groups of objects, so evaluate ``--to coco`` instead.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sisegcli.categories import Categories
from sisegcli.formats.coco_stream import CocoStream, coco_box, coco_entry, coco_rle
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.formats.rings import Ring, mask_rings
from sisegcli.instances import Instance


class CvatWriter(Writer):
    """Write ``cvat.json`` into a folder.

    Parameters
    ----------
    out : Path
        The folder; it is made where it is missing.
    categories : Categories
        Categories to list; ids that only occur in instances follow them.
    polygons : bool
        Without meaning here; taken so that all writers are made alike.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, or if it cannot be written.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.paths = [Path(out) / "cvat.json"]
        self._categories = categories
        self._stream = CocoStream(self.paths[0], overwrite=overwrite)

    def write(self, result: ImageResult) -> str:
        """Return the entry of an image and its instances."""
        return coco_entry(result, map(self._annotation, result.instances))

    def _annotation(self, instance: Instance) -> dict[str, Any]:
        pieces = mask_rings(instance.crop(), instance.box[:2])
        simple = [len(rings) for rings in pieces] == [1]
        return {
            "category_id": self._categories.number(instance.category) + 1,
            "segmentation": [_polygon(pieces[0][0])] if simple else coco_rle(instance),
            "area": instance.area,
            "bbox": coco_box(instance),
            "iscrowd": int(not simple),
            "score": round(instance.score, 6),
        }

    def append(self, entry: str) -> None:
        """Append an image and its instances; both are numbered from 1 in order of arrival."""
        self._stream.append(entry)

    def close(self) -> None:
        """Give the file its name; a second call does nothing."""
        listed = {self._categories.number(id_): id_ for id_ in (*self._categories, *self._stream.seen)}
        self._stream.close(replace(self._categories.find(listed[n]), id=n + 1) for n in sorted(listed))

    def abort(self) -> None:
        """Remove the temporary files."""
        self._stream.abort()


def _polygon(ring: Ring) -> list[int]:
    return [value for corner in ring[:-1] for value in corner]
