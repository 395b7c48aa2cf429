"""Writers, readers and pictures of instances, one file a format.

records  what a writer is given (`ImageResult`) and what it can do (`Writer`)
files    files that appear whole or not at all
coco     COCO's ``instances.json``: writer and reader; with `polygons` (masks to exact polygons) and
         `run_lengths` (any of COCO's segmentations to run-length codes)
voc      indexed PNGs in VOC's folders: writer and reader; with `table` (a CSV of instances)
tiff     tiled label images of 32 bits, for images of any size
geojson  polygons with holes for viewers of large images, by `rings`
webdataset  a tar of an indexed PNG and a JSON for each image
joining  several outputs of these writers into one
overlay  pictures for people: instances outlined and named; `colour_wheel` colours displacement fields

A new format is one new file and one line in `WRITERS`.
"""

from __future__ import annotations

from collections.abc import Callable

from sisegcli.formats.coco import CocoWriter
from sisegcli.formats.geojson import GeoJsonWriter
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.formats.tiff import TiffWriter
from sisegcli.formats.voc import VocWriter
from sisegcli.formats.webdataset import WebDatasetWriter

WRITERS: dict[str, Callable[..., Writer]] = {
    "coco": CocoWriter,
    "voc": VocWriter,
    "tiff": TiffWriter,
    "geojson": GeoJsonWriter,
    "webdataset": WebDatasetWriter,
}
"""Writers by name, each called as ``writer(out, categories, polygons=False, overwrite=False)``."""

__all__ = [
    "WRITERS",
    "CocoWriter",
    "GeoJsonWriter",
    "ImageResult",
    "TiffWriter",
    "VocWriter",
    "WebDatasetWriter",
    "Writer",
]
