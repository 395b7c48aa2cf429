"""Ground truth of a VOC devkit folder."""

from __future__ import annotations

from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.errors import LayoutError
from sisegcli.evaluation.labels import read_instances
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.instances import Instance


def load_voc_truth(
    folder: Path | str,
    split: str | None = None,
    *,
    objects: str = "SegmentationObject",
    classes: str = "SegmentationClass",
    categories: Categories | None = None,
) -> GroundTruth:
    """Read the instances of a VOC devkit folder.

    Parameters
    ----------
    folder : path
        Holds the folders `objects` and `classes` of indexed PNGs, and ``ImageSets/Segmentation``.
    split : str, optional
        Name of a list in ``ImageSets/Segmentation``; all images of `objects` without it.

    Raises
    ------
    LayoutError
        Where the folder, the split or a file of the split is missing.
    """
    folder = Path(folder)
    if not (folder / objects).is_dir() or not (folder / classes).is_dir():
        raise LayoutError(f"{folder} holds no {objects}/ and {classes}/, so it is not the ground truth of a VOC devkit.")
    if split is None:
        stems = sorted(path.stem for path in (folder / objects).glob("*.png"))
    else:
        stems = _stems_of_split(folder, split)
    images = {}
    for stem in stems:
        path = folder / objects / f"{stem}.png"
        if not path.is_file():
            raise LayoutError(f"{path} is missing, though the split {split} names it.")
        instances, void = read_instances(path, folder / classes / f"{stem}.png")
        height, width = void.shape
        images[stem] = TruthImage((height, width), instances, void=Instance.from_mask(void, 0) if void.any() else None)
    return GroundTruth(images, categories or Categories())


def _stems_of_split(folder: Path, split: str) -> list[str]:
    path = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise LayoutError(f"{path} is missing: the splits of {folder} are: {known}.")
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
