"""Ground truth from pairs of label PNGs: object numbers in one folder, category ids in another, as VOC has them."""

from __future__ import annotations

from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.data.layouts import find_pairs, read_split, voc_folder
from sisegcli.errors import LayoutError
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.formats.voc import read_voc_instances
from sisegcli.instances import Instance, instances_from_labels


def load_voc_truth(
    folder: Path | str,
    split: str | None = None,
    *,
    objects: str = "SegmentationObject",
    classes: str = "SegmentationClass",
) -> GroundTruth:
    """Read the instances of a VOC devkit folder, or of one laid out like it.

    Parameters
    ----------
    folder : path
        Holds the folders `objects` and `classes`, with PNGs of the same names.
    split : str, optional
        Name of a list in ``ImageSets/Segmentation``; without it, all files of `objects`.
    objects, classes : str
        Names of the two folders: numbers of objects from 1, and category ids; 0 is nobody, and 255 (or 65,535 in files
        of 16 bits) is void in either.

    Returns
    -------
    GroundTruth
        An object has the category of most of its pixels; void is kept for each image.

    Raises
    ------
    LayoutError
        If a folder, the split or a file of the split is missing, or there are no files at all.
    ImageError
        If a file is no label image, or the sizes of two differ.
    """
    folder = voc_folder(folder) or Path(folder)
    for name in (objects, classes):
        if not (folder / name).is_dir():
            raise LayoutError(
                f"{folder} has no {name}, so it is no ground truth; give a VOC folder with SegmentationObject and "
                "SegmentationClass, or a COCO file."
            )
    if split is None:
        found = (path.relative_to(folder / objects) for path in (folder / objects).rglob("*.png"))
        stems = sorted(path.with_suffix("").as_posix() for path in found)
    else:
        stems = read_split(folder, split)
    if not stems:
        raise LayoutError(f"{folder / objects} holds no PNGs, so there is nothing to compare with; check the folder.")
    images = {stem: _read(folder / objects / f"{stem}.png", folder / classes / f"{stem}.png") for stem in stems}
    return GroundTruth(images, _names(folder))


def _read(objects: Path, classes: Path) -> TruthImage:
    for path in (objects, classes):
        if not path.is_file():
            raise LayoutError(f"{path} is missing; the ground truth needs an object and a class file for each image.")
    labels, categories, void = read_voc_instances(objects, classes)
    size = (void.shape[0], void.shape[1])
    unknown = Instance.from_mask(void, category=0) if void.any() else None
    return TruthImage(size, instances_from_labels(labels, categories), void=unknown)


def _names(folder: Path) -> Categories:
    """Return the categories that the layout tells; a folder without images tells none."""
    try:
        return find_pairs(folder).categories or Categories()
    except LayoutError:
        return Categories()
