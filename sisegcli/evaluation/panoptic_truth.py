"""Ground truth of a COCO panoptic file and its PNGs."""

from __future__ import annotations

from pathlib import Path

from sisegcli.data.texts import MAX_JSON
from sisegcli.errors import InputError
from sisegcli.evaluation.coco_truth import file_stem, subset_by_list
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.formats.panoptic_reader import read_panoptic


def load_panoptic_truth(
    path: Path | str, split: Path | str | None = None, max_bytes: int = MAX_JSON, watch: Watch = unwatched
) -> GroundTruth:
    """Read the things and the stuff of a COCO panoptic file.

    Parameters
    ----------
    path : path
        The JSON file; its PNGs are in the folder of the same name. Segments of things are objects, those with
        ``iscrowd`` are crowds, and pixels of no segment (unlabeled) are void.
    split : path, optional
        A text file of image names, one a line, with or without suffix: only these are kept.
    max_bytes : int
        A larger JSON file is refused.
    watch : Watch
        Sees how it goes on.

    Raises
    ------
    InputError
        If the file or a PNG cannot be used, two images are named alike, or the split names an image it lacks.
    """
    found = read_panoptic(path, max_bytes)
    isthing = found.categories.isthing
    images: dict[str, TruthImage] = {}
    for one in watch(found.listed, "Reading ground truth"):
        image = one.read()
        stem = file_stem(image.file_name)
        if stem in images:
            raise InputError(f"{path} has two images called {stem}; predictions are found by name, so rename one.")
        images[stem] = TruthImage(
            image.size,
            [i for i in image.segments if isthing(i.category)],
            image.crowds,
            void=image.unlabeled,
            id=image.id,
            stuff=[i for i in image.segments if not isthing(i.category)],
        )
    if not images:
        raise InputError(f"{path} has no annotations, so there is nothing to compare with; check the file.")
    truth = GroundTruth(images, found.categories)
    return truth if split is None else subset_by_list(truth, Path(split), path)
