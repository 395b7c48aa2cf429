"""Predictions, read back from what `sisegcli convert` and other programs write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sisegcli.data.texts import MAX_JSON
from sisegcli.errors import InputError
from sisegcli.evaluation.coco_truth import file_stem
from sisegcli.evaluation.label_predictions import from_ade20k, from_cityscapes, from_npz, from_tiffs, from_voc
from sisegcli.evaluation.listed_predictions import (
    from_datumaro,
    from_geojson,
    from_labelme,
    from_webdataset,
    from_yolo,
)
from sisegcli.evaluation.predicted import WHAT, Predictions, score_by_area
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.formats.coco import CocoFile, read_coco
from sisegcli.formats.panoptic_reader import is_panoptic, read_panoptic
from sisegcli.instances import Instance

__all__ = ["Predictions", "load_predictions"]


Reader = Callable[[Path, GroundTruth | None, Watch], Predictions]

_PLACES: tuple[tuple[str, Reader], ...] = (
    ("labels.csv", from_tiffs),
    ("npz", from_npz),
    ("datumaro/annotations/default.json", from_datumaro),
    ("instances.tar", from_webdataset),
    ("ade20k", from_ade20k),
    ("labelme", from_labelme),
    ("geojson", from_geojson),
    ("gtFine", from_cityscapes),
    ("yolo", from_yolo),
)
"""What else `sisegcli convert` writes, and what reads it: what keeps scores comes first."""


def load_predictions(
    path: Path | str, truth: GroundTruth | None = None, max_bytes: int = MAX_JSON, watch: Watch = unwatched
) -> Predictions:
    """Read predictions.

    Parameters
    ----------
    path : path
        A COCO file of instances with scores, a list of COCO results, a COCO panoptic file with its PNGs, a folder with
        ``SegmentationObject/`` and ``SegmentationClass/`` of indexed PNGs (scores are in ``instances.csv`` beside
        them), or a folder with ``instances.json``, ``panoptic.json`` or anything else that `sisegcli convert` writes
        (but boxes alone); or one of these other folders and files itself.
    truth : GroundTruth, optional
        What a list of COCO results takes its images' names from, YOLO and GeoJSON their sizes, and files that have no
        ids of categories these, by name.
    max_bytes : int
        A larger COCO file is refused.
    watch : Watch
        Sees how it goes on.

    Raises
    ------
    InputError
        If it is none of these, or cannot be understood.
    """
    path = Path(path)
    if path.is_dir():
        if (path / "SegmentationObject").is_dir() and (path / "SegmentationClass").is_dir():
            return from_voc(path, truth, watch)
        names = (name for name in ("instances.json", "panoptic.json") if (path / name).is_file())
        name = next(names, None)
        if name is not None:
            path = path / name
    other = None if path.suffix == ".json" and path.name != "default.json" else _other(path)
    if other is not None:
        place, read = other
        return read(place, truth, watch)
    if path.is_dir():
        raise InputError(
            f"{path} has neither SegmentationObject and SegmentationClass nor instances.json nor panoptic.json nor "
            "anything else that sisegcli convert writes; give its output folder, or a file of COCO results."
        )
    if path.is_file() and is_panoptic(path):
        return _from_panoptic(path, max_bytes, watch)
    coco = read_coco(path, max_bytes)
    if coco.is_results:
        return _from_results(path, coco, truth)
    images: dict[str, list[Instance]] = {}
    for image in coco.images.values():
        instances = [annotation.instance for annotation in coco.annotations[image.id]]
        images.setdefault(file_stem(image.file_name), []).extend(instances)
    return Predictions(images, coco.categories)


def _from_panoptic(path: Path, max_bytes: int, watch: Watch) -> Predictions:
    found = read_panoptic(path, max_bytes)
    images: dict[str, list[Instance]] = {}
    for one in watch(found.listed, WHAT):
        image = one.read()
        segments = [*image.segments, *image.crowds]
        images.setdefault(file_stem(image.file_name), []).extend(segments if found.scored else score_by_area(segments))
    note = f"{path} has no scores, so a segment's score is the part of the image that it covers; PQ needs none."
    return Predictions(images, found.categories, notes=[] if found.scored else [note])


def _from_results(path: Path, coco: CocoFile, truth: GroundTruth | None) -> Predictions:
    stems = {image.id: stem for stem, image in truth.images.items() if image.id is not None} if truth else {}
    if not stems:
        raise InputError(f"{path} names images by number alone; give the COCO file of its data set as --gt.")
    images = {
        stems[number]: [annotation.instance for annotation in found]
        for number, found in coco.annotations.items()
        if number in stems
    }
    foreign = len(coco.annotations) - len(images)
    notes = [f"Ignored: predictions of image ids that are not in the ground truth ({foreign})."]
    return Predictions(images, notes=notes if foreign else [])


def _other(path: Path) -> tuple[Path, Reader] | None:
    """Return what else convert wrote: in a folder, or what was named itself."""
    inside = [(path / place, read) for place, read in _PLACES if (path / place).exists()]
    itself = [(path, read) for place, read in _PLACES if path.name == Path(place).name and path.exists()]
    return next(iter(inside + itself), None)
