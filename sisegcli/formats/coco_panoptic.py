"""COCO's panoptic format: ``panoptic/NAME.png`` and ``panoptic.json``.

A PNG's pixel belongs to the segment R + 256 G + 65536 B; 0 is nobody, whom the format calls unlabeled. The JSON has one
annotation an image, whose ``segments_info`` names the segments, things and stuff alike; see
https://cocodataset.org/#format-data, section 4, and panopticapi. ``score`` is our addition.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.errors import OutputError
from sisegcli.formats.coco_stream import CocoStreamWriter, coco_box, coco_entry
from sisegcli.formats.files import below, refuse_existing, replacing
from sisegcli.formats.records import ImageResult
from sisegcli.instances import Labels, labels_from_instances

MOST = 2**24 - 1
"""Segments that an image may have: numbers of 24 bits."""


class CocoPanopticWriter(CocoStreamWriter):
    """Write ``panoptic/`` and ``panoptic.json`` into a folder."""

    name, numbered = "panoptic.json", False

    def begin(self) -> None:
        """Begin the file, and name the folder."""
        super().begin()
        self.folder = self.out / "panoptic"
        self.paths.append(self.folder)

    def files(self, stem: str) -> list[Path]:
        """Return the PNG of an image."""
        return [below(self.folder, stem, ".png")]

    def write(self, result: ImageResult) -> str:
        """Write the PNG of an image; return the entry of its segments, numbered from 1."""
        [path] = self.files(result.stem)
        refuse_existing(path, overwrite=self.overwrite)
        if len(result.instances) > MOST:
            raise OutputError(
                f"{path} cannot hold {len(result.instances):,} segments: panoptic PNGs end at {MOST:,}; write COCO's "
                "instances."
            )
        labels = labels_from_instances(result.instances, result.size)
        with replacing(path) as temporary:
            Image.fromarray(segment_colours(labels)).save(temporary, format="PNG")
        segments = [
            {
                "id": number,
                "category_id": instance.category,
                "area": instance.area,
                "bbox": coco_box(instance),
                "iscrowd": 0,
                "score": round(instance.score, 6),
            }
            for number, instance in enumerate(result.instances, start=1)
        ]
        return coco_entry(result, [{"file_name": f"{result.stem}.png", "segments_info": segments}])


def segment_colours(labels: Labels) -> NDArray[np.uint8]:
    """Return the (H, W, 3) colours of (H, W) segment numbers.

    >>> segment_colours(np.array([[0, 255, 256, 65536 + 2]], np.int32)).tolist()
    [[[0, 0, 0], [255, 0, 0], [0, 1, 0], [2, 0, 1]]]
    """
    return np.stack([labels & 255, labels >> 8 & 255, labels >> 16], axis=-1).astype(np.uint8)
