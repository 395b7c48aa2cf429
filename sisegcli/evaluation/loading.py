"""Ground truth from whatever a person points at."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from sisegcli.data.layouts import voc_folder
from sisegcli.data.texts import MAX_JSON
from sisegcli.errors import InputError
from sisegcli.evaluation.ade20k_truth import challenge_folder, load_ade20k_truth, load_full_ade20k_truth
from sisegcli.evaluation.cityscapes_truth import load_cityscapes_truth
from sisegcli.evaluation.coco_truth import load_coco_truth
from sisegcli.evaluation.label_truth import load_flat_truth, load_voc_truth
from sisegcli.evaluation.panoptic_truth import load_panoptic_truth
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.formats.panoptic_reader import is_panoptic

TRUTHS = {
    "coco": "A COCO file of instances.",
    "coco-panoptic": "A COCO panoptic file, PNGs in the folder of its name beside it; or a folder with panoptic.json.",
    "voc": "A PASCAL VOC development kit: SegmentationObject/ and SegmentationClass/.",
    "cityscapes": "Cityscapes: gtFine/ with *_gtFine_instanceIds.png.",
    "ade20k": "ADE20K's challenge: annotations_instance/, and annotations/ beside it for stuff.",
    "ade20k-full": "The full ADE20K: ADE_*_seg.png at any depth.",
    "labels": "instances/ and masks/, or x_instances.png with x_mask.png: PNGs or TIFFs of 8, 16 or 32 bits.",
}
"""Ground truth that is known by itself, a sentence on each."""

Loader = Callable[[Path, str | None, Watch], GroundTruth]

_SIGNS: tuple[tuple[re.Pattern[str], Loader], ...] = (
    (re.compile(r".+_instanceIds\.png"), load_cityscapes_truth),
    (re.compile(r"ADE_\w+_seg\.png"), load_full_ade20k_truth),
    (re.compile(r".+_instances\.(png|tiff?)", re.IGNORECASE), load_flat_truth),
)
"""Names of files that tell the data set, wherever they lie."""


def load_truth(
    path: Path | str, split: str | None = None, max_bytes: int = MAX_JSON, watch: Watch = unwatched
) -> GroundTruth:
    """Read ground truth, of any kind in `TRUTHS`.

    Parameters
    ----------
    path : path
        A file or folder.
    split : str, optional
        For a VOC folder, a list in its ``ImageSets/Segmentation``; for a COCO file, a text file of image names; for
        Cityscapes and ADE20K, the name of a folder.
    max_bytes : int
        A larger COCO file is refused.
    watch : Watch
        Sees how it goes on.

    Raises
    ------
    InputError
        If it is none of these, or lacks what it should hold.
    """
    path = Path(path)
    if (path / "panoptic.json").is_file() and voc_folder(path) is None:
        path = path / "panoptic.json"
    if path.is_file():
        if is_panoptic(path):
            return load_panoptic_truth(path, split, max_bytes, watch)
        return load_coco_truth(path, split, max_bytes)
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give the ground truth as a VOC folder or a COCO file.")
    if (path / "instances").is_dir() and (path / "masks").is_dir():
        return load_voc_truth(path, split, objects="instances", classes="masks", watch=watch)
    challenge = challenge_folder(path)
    if challenge is not None:
        return load_ade20k_truth(challenge, split, watch)
    if voc_folder(path) is None:
        load = _by_names(path)
        if load is not None:
            return load(path, split, watch)
    return load_voc_truth(path, split, watch=watch)


def _by_names(folder: Path) -> Loader | None:
    """Return how to read the data set that the first telling name of a file is from; folders come in order."""
    for _, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            load = next((load for sign, load in _SIGNS if sign.fullmatch(name)), None)
            if load is not None:
                return load
    return None
