"""Writers, readers and pictures of instances, one file a format.

records  what a writer is given (`ImageResult`) and what it can do (`Writer`)
files    files that appear whole or not at all; `run_file` has those that all images go into
coco     COCO's ``instances.json``: writer (by `coco_stream`, as are `coco_panoptic` and `cvat`) and reader; with
         `polygons` (masks to exact polygons) and `run_lengths` (any of COCO's segmentations to run-length codes)
voc      indexed PNGs in VOC's folders: writer and reader; with `table` (a CSV of instances)
tiff     tiled label images of 32 bits, for images of any size
geojson  polygons with holes for viewers of large images, by `rings`
webdataset  a tar of an indexed PNG and a JSON for each image
yolo     one polygon an object, by `one_outline`, as in `ade20k`
joining  several outputs of these writers into one
overlay  pictures for people: `outlining` in the colours of `palette`, `tags` with names (`fonts`), `legend`;
         `colour_wheel` colours displacement fields

A new format is one new file and one entry in `FORMATS`. Nothing heavy is imported before a writer is asked for, so that
the command line can list them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sisegcli.formats.records import Writer

JOIN_FOLDERS = "joining:join_folders"


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be written.

    Attributes
    ----------
    about : str
        A sentence about it.
    place : str
        ``module:class`` of its writer, in this package.
    outputs : mapping of str to str
        Each file and folder that it writes, and ``module:function`` of what joins several of them (see `merge`).
    """

    about: str
    place: str
    outputs: Mapping[str, str]

    @property
    def writer(self) -> Callable[..., Writer]:
        """Its writer, called as ``writer(out, categories, polygons=False, overwrite=False)``."""
        found: Callable[..., Writer] = _load(self.place)
        return found


def joiner(output: str) -> Callable[..., int]:
    """Return what joins several files or folders of a name: ``join(paths, target, disjoint=False)`` counts images.

    >>> joiner("instances.csv").__name__
    'join_tables'
    """
    found: Callable[..., int] = _load(next(f.outputs[output] for f in FORMATS.values() if output in f.outputs))
    return found


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(f"{__name__}.{module}"), name)


FORMATS: dict[str, Format] = {
    "coco": Format(
        "COCO instances in instances.json: run-lengths (--polygons: polygons), scores, boxes and areas.",
        "coco:CocoWriter",
        {"instances.json": "joining:join_coco"},
    ),
    "voc": Format(
        "Indexed PNGs in VOC's folders, SegmentationObject/ and SegmentationClass/; scores in instances.csv.",
        "voc:VocWriter",
        {"instances.csv": "joining:join_tables", "SegmentationObject": JOIN_FOLDERS, "SegmentationClass": JOIN_FOLDERS},
    ),
    "tiff": Format(
        "Tiled label images of 32 bits in labels/, for images of any size; categories and scores in labels.csv.",
        "tiff:TiffWriter",
        {"labels.csv": "joining:join_tables", "labels": JOIN_FOLDERS},
    ),
    "geojson": Format(
        "Polygons with holes in geojson/, a file an image, for QuPath and other viewers of large images.",
        "geojson:GeoJsonWriter",
        {"geojson": JOIN_FOLDERS},
    ),
    "webdataset": Format(
        "instances.tar as WebDataset reads it: an indexed PNG and a JSON for each image.",
        "webdataset:WebDatasetWriter",
        {"instances.tar": "joining:join_archives"},
    ),
    "coco-panoptic": Format(
        "COCO panoptic: PNGs of segment numbers in panoptic/, things and stuff, and panoptic.json.",
        "coco_panoptic:CocoPanopticWriter",
        {"panoptic.json": "joining:join_coco", "panoptic": JOIN_FOLDERS},
    ),
    "coco-results": Format(
        "COCO results, a list of scored instances, in coco_results.json; coco_results.csv says which image has which "
        "number.",
        "coco_results:CocoResultsWriter",
        {"coco_results.json": "coco_results:join_results", "coco_results.csv": "coco_results:join_image_numbers"},
    ),
    "cvat": Format(
        'cvat.json for CVAT\'s import of "COCO 1.0": polygons where they are exact, masks elsewhere.',
        "cvat:CvatWriter",
        {"cvat.json": "joining:join_coco"},
    ),
    "voc-boxes": Format(
        "VOC's boxes as XML in Annotations/, a file an image.",
        "voc_boxes:VocBoxesWriter",
        {"Annotations": JOIN_FOLDERS},
    ),
    "cityscapes": Format(
        "Cityscapes' *_instanceIds.png and *_labelIds.png in gtFine/, up to 1000 instances of a category.",
        "cityscapes:CityscapesWriter",
        {"gtFine": "cityscapes:join_pairs"},
    ),
    "ade20k": Format(
        "The full ADE20K's *_seg.png (category in R and G, instance in B) and JSON in ade20k/, up to 255 instances.",
        "ade20k:Ade20kWriter",
        {"ade20k": "cityscapes:join_pairs"},
    ),
    "yolo": Format(
        "Ultralytics' segmentation labels in yolo/: a text file an image, a polygon an object, and data.yaml.",
        "yolo:YoloWriter",
        {"yolo/data.yaml": "yolo:join_data", "yolo/labels": JOIN_FOLDERS},
    ),
    "labelme": Format(
        "LabelMe's JSON in labelme/, a file an image, to be opened beside the images.",
        "labelme:LabelMeWriter",
        {"labelme": JOIN_FOLDERS},
    ),
    "datumaro": Format(
        "Datumaro's own JSON in datumaro/annotations/, masks with scores.",
        "datumaro:DatumaroWriter",
        {"datumaro/annotations/default.json": "datumaro:join_datumaro"},
    ),
    "npz": Format(
        "NumPy archives in npz/, a file an image: labels, categories, names and scores.",
        "npz:NpzWriter",
        {"npz": JOIN_FOLDERS},
    ),
}
"""Formats by name."""
