"""Ground truth of a COCO instances file."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sisegcli.data.texts import MAX_JSON, read_text
from sisegcli.errors import InputError
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.formats.coco import read_coco


def load_coco_truth(path: Path | str, split: Path | str | None = None, max_bytes: int = MAX_JSON) -> GroundTruth:
    """Read the instances of a COCO file.

    Parameters
    ----------
    path : path
        The JSON file. Annotations with ``iscrowd`` become crowds; the areas that the file states decide what is small.
    split : path, optional
        A text file of image names, one a line, with or without suffix: only these are kept.
    max_bytes : int
        A larger JSON file is refused.

    Raises
    ------
    InputError
        If the file is no COCO file of instances or names two images alike, or the split names an image it lacks.
    """
    coco = read_coco(path, max_bytes)
    if coco.is_results:
        raise InputError(f"{path} is a list of COCO results; the ground truth must be a file with images.")
    images: dict[str, TruthImage] = {}
    for image in coco.images.values():
        stem = file_stem(image.file_name)
        if stem in images:
            raise InputError(f"{path} has two images called {stem}; predictions are found by name, so rename one.")
        found = coco.annotations[image.id]
        objects = [a for a in found if not a.crowd]
        crowds = [a.instance for a in found if a.crowd]
        images[stem] = TruthImage(
            image.size, [a.instance for a in objects], crowds, areas=[a.area for a in objects], id=image.id
        )
    if not images:
        raise InputError(f"{path} has no images, so there is nothing to compare with; check the file.")
    truth = GroundTruth(images, coco.categories)
    return truth if split is None else subset_by_list(truth, Path(split), path)


def file_stem(name: str) -> str:
    """Return the path of an image without its suffix.

    >>> file_stem("street/0001.front.jpg")
    'street/0001.front'
    """
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.name else ""


def subset_by_list(truth: GroundTruth, split: Path, path: Path | str) -> GroundTruth:
    """Keep the images of `path` that a text file names, one a line, with or without suffix.

    Raises
    ------
    InputError
        If the text file cannot be read, or names an image that is not there.
    """
    try:
        names = read_text(split).split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{split} cannot be read; for a COCO file, --split names a text file of images.") from error
    stems = []
    for name in dict.fromkeys(line.strip() for line in names if line.strip()):
        stem = name if name in truth.images else file_stem(name)
        if stem not in truth.images:
            raise InputError(f"{split} names {name}, which is not among the images of {path}; take it out.")
        stems.append(stem)
    return truth.subset(stems)
