"""Ground truth from whatever a person points at."""

from __future__ import annotations

from pathlib import Path

from sisegcli.data.texts import MAX_JSON
from sisegcli.errors import InputError
from sisegcli.evaluation.coco_truth import load_coco_truth
from sisegcli.evaluation.label_truth import load_voc_truth
from sisegcli.evaluation.panoptic_truth import load_panoptic_truth
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.formats.panoptic_reader import is_panoptic


def load_truth(path: Path | str, split: str | None = None, max_bytes: int = MAX_JSON) -> GroundTruth:
    """Read ground truth.

    Parameters
    ----------
    path : path
        A COCO instances file, a VOC devkit folder, or a folder with ``instances/`` and ``masks/`` of label PNGs.
    split : str, optional
        For a VOC folder, a list in its ``ImageSets/Segmentation``; for a COCO file, a text file of image names.
    max_bytes : int
        A larger COCO file is refused.

    Raises
    ------
    InputError
        If it is none of these, or lacks what it should hold.
    """
    path = Path(path)
    if path.is_file():
        if is_panoptic(path):
            return load_panoptic_truth(path, split, max_bytes)
        return load_coco_truth(path, split, max_bytes)
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give the ground truth as a VOC folder or a COCO file.")
    if (path / "instances").is_dir() and (path / "masks").is_dir():
        return load_voc_truth(path, split, objects="instances", classes="masks")
    return load_voc_truth(path, split)
