"""What is wrong in each image, by ground truth: the faults that ``sisegcli evaluate`` counts, with their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sisegcli.errors import InputError
from sisegcli.evaluation.coco_ap import CocoEvaluation
from sisegcli.evaluation.faults import split_and_merged
from sisegcli.evaluation.matching import align, match, without_void
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.instances import Instance

RIGHT, SPURIOUS, IGNORED = 1, 0, -1
"""What a prediction is: matched with an object at an IoU of 0.5, not matched, or in a crowd or in void."""

Box = tuple[int, int, int, int]


@dataclass(slots=True)
class ImageErrors:
    """What is wrong in an image.

    Attributes
    ----------
    truth : TruthImage
        Its ground truth.
    verdicts : list of int
        `RIGHT`, `SPURIOUS` or `IGNORED` for each instance.
    merged : list of int
        Places of the instances that hold several objects.
    split, missed : list of (int, (int, int, int, int))
        Category and box (top, left, height, width) of the true objects that are split, and that are missed.
    """

    truth: TruthImage
    verdicts: list[int]
    merged: list[int] = field(default_factory=list)
    split: list[tuple[int, Box]] = field(default_factory=list)
    missed: list[tuple[int, Box]] = field(default_factory=list)


@dataclass(slots=True)
class Comparison:
    """What ground truth says.

    Attributes
    ----------
    images : dict
        Errors by stem; images that the truth does not know are not in it.
    curves : dict
        Of each category with true objects in these images, precision by recall, by IoU; see `CocoEvaluation.curves`.
    """

    images: dict[str, ImageErrors] = field(default_factory=dict)
    curves: dict[int, dict[float, list[float]]] = field(default_factory=dict)


def compare(found: Mapping[str, Sequence[Instance]], truth: GroundTruth) -> Comparison:
    """Compare instances with ground truth.

    Parameters
    ----------
    found : mapping
        Instances by stem.
    truth : GroundTruth
        What is to be found; images that are not in `found` are left out.

    Returns
    -------
    Comparison
        Its stems are those of `found`.

    Raises
    ------
    ImageError
        If instances have another size than their image.
    InputError
        If no image is in the ground truth.
    """
    names = {id(instances): stem for stem, instances in found.items()}
    aligned = align(found, truth)
    if not aligned:
        raise InputError(
            f"No image is in the ground truth: one here is called {next(iter(found))}, one there "
            f"{next(iter(truth.images), None)}; give the ground truth of the same images."
        )
    known = truth.subset(aligned)
    errors = [
        ImageErrors(image, [IGNORED] * len(instances))
        for image, instances in zip(known.images.values(), aligned.values(), strict=True)
    ]
    matches = {(m.image, m.category): m for m in match(aligned, known)}
    curves: dict[int, dict[float, list[float]]] = {}
    if matches:
        stems = list(aligned)
        evaluation = CocoEvaluation(list(matches.values()))
        curves = {category: curve for category in evaluation.categories if (curve := evaluation.curves(category))}
        for pairing in evaluation.pairings():
            image = errors[pairing.image]
            predicted = aligned[stems[pairing.image]]
            mine = _order(stems[pairing.image], predicted, image.truth, pairing.category)
            true = [i for i in image.truth.instances if i.category == pairing.category]
            split, merged = split_and_merged(matches[pairing.image, pairing.category])
            for n, place in enumerate(mine):
                if not pairing.ignored[n]:
                    image.verdicts[place] = SPURIOUS if pairing.spurious[n] else RIGHT
                if merged[n]:
                    image.merged.append(place)
            for n, instance in enumerate(true):
                if split[n]:
                    image.split.append((instance.category, instance.box))
                if pairing.missed[n]:
                    image.missed.append((instance.category, instance.box))
    images = {names[id(instances)]: image for instances, image in zip(aligned.values(), errors, strict=True)}
    return Comparison(images, curves)


def _order(stem: str, predicted: Sequence[Instance], truth: TruthImage, category: int) -> list[int]:
    """Return the places of a category's predictions as a match has them: without those in void, best scores first."""
    places = [place for place, i in enumerate(predicted) if i.category == category and without_void(stem, [i], truth)]
    return sorted(places, key=lambda place: -predicted[place].score)
