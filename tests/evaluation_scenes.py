"""Random little scenes for the tests of the evaluation, and dense twins of what it computes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sisegcli.evaluation import GroundTruth, TruthImage
from sisegcli.instances import Instance, instances_from_labels

CATEGORIES = (3, 7)


@dataclass
class Scenes:
    """Predictions and truth, sparse."""

    predictions: dict[str, list[Instance]]
    truth: GroundTruth


def draw_scenes(seed: int, *, crowds: bool = True) -> Scenes:
    """Draw one to three images: blocky labels for the truth, and a disturbed copy of them as predictions."""
    rng = np.random.default_rng(seed)
    predictions, images = {}, {}
    for number in range(rng.integers(1, 4)):
        size = int(rng.integers(3, 9)), int(rng.integers(3, 9))
        true = blocks(rng, size, 4)
        category = {label: int(rng.choice(CATEGORIES)) for label in range(1, 5)}
        void = rng.random(size) < 0.15
        found = np.where(rng.random(size) < 0.7, true, blocks(rng, size, 5))
        guess = {label: category.get(label, 3) if rng.random() < 0.8 else 7 for label in range(1, 6)}
        score = {label: int(rng.integers(1, 5)) / 4 for label in guess}  # equal ones occur
        objects = instances_from_labels(np.where(void, 0, true), category)
        is_crowd = rng.random(len(objects)) < (0.2 if crowds else 0)
        stem = f"image-{number}"
        predictions[stem] = instances_from_labels(found, guess, score)
        images[stem] = TruthImage(
            size,
            [i for i, crowd in zip(objects, is_crowd, strict=True) if not crowd],
            [i for i, crowd in zip(objects, is_crowd, strict=True) if crowd],
            void=Instance.from_mask(void, 0) if void.any() else None,
        )
    return Scenes(predictions, GroundTruth(images))


def blocks(rng: np.random.Generator, size: tuple[int, int], most: int) -> np.ndarray:
    """Draw up to `most` rectangles of labels over each other."""
    labels = np.zeros(size, np.int32)
    for label in range(1, int(rng.integers(0, most + 1)) + 1):
        top, left = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        height, width = rng.integers(1, 5, 2)
        labels[top : top + height, left : left + width] = label
    return labels


def dense_predictions(scenes: Scenes, category: int) -> list[tuple[float, str, np.ndarray]]:
    """Return (score, stem, mask without void) of all predictions of a category that hold a pixel, best first."""
    found = []
    for stem, image in scenes.truth.images.items():
        void = image.void.mask() if image.void else np.zeros(image.size, bool)
        for instance in scenes.predictions.get(stem, []):
            mask = instance.mask()
            for y in range(image.size[0]):
                for x in range(image.size[1]):
                    if void[y, x]:
                        mask[y, x] = False
            if instance.category == category and mask.any():
                found.append((instance.score, stem, mask))
    return sorted(found, key=lambda entry: -entry[0])


def dense_truth(scenes: Scenes, category: int) -> tuple[dict[str, list[np.ndarray]], dict[str, list[np.ndarray]]]:
    """Return the masks of the objects and of the crowds of a category, by stem."""
    images = scenes.truth.images.items()
    objects = {stem: [i.mask() for i in image.instances if i.category == category] for stem, image in images}
    crowds = {stem: [i.mask() for i in image.crowds if i.category == category] for stem, image in images}
    return objects, crowds


def dense_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Count pixels."""
    return int((one & other).sum()) / int((one | other).sum())


def dense_voc_ap(scenes: Scenes, category: int, threshold: float) -> float | None:
    """Compute VOC's AP of a category by its definition, step by step."""
    objects, crowds = dense_truth(scenes, category)
    count = sum(len(masks) for masks in objects.values())
    if not count:
        return None
    taken = set()
    right = []
    for _, stem, mask in dense_predictions(scenes, category):
        best, best_iou = None, -1.0
        for place, truth in enumerate(objects[stem]):
            if dense_iou(mask, truth) > best_iou:
                best, best_iou = place, dense_iou(mask, truth)
        if best_iou >= threshold:
            right.append((stem, best) not in taken)
            taken.add((stem, best))
        elif not any((mask & crowd).sum() / mask.sum() >= threshold for crowd in crowds[stem]):
            right.append(False)
    curve = [(sum(right[: n + 1]) / count, sum(right[: n + 1]) / (n + 1)) for n in range(len(right))]
    area, before = 0.0, 0.0
    for recall, _ in curve:
        area += (recall - before) * max(precision for other, precision in curve if other >= recall)
        before = recall
    return area


def dense_faults(scenes: Scenes) -> tuple[int, int]:
    """Count split objects and merging predictions."""
    split = merged = 0
    for category in CATEGORIES:
        objects, _ = dense_truth(scenes, category)
        predicted = dense_predictions(scenes, category)
        for stem, masks in objects.items():
            mine = [mask for _, other, mask in predicted if other == stem]
            for truth in masks:
                common = [int((mask & truth).sum()) for mask in mine]
                pieces = [c > mask.sum() / 2 and c >= truth.sum() / 10 for c, mask in zip(common, mine, strict=True)]
                split += sum(pieces) >= 2
            for mask in mine:
                merged += sum((mask & truth).sum() >= truth.sum() / 2 for truth in masks) >= 2
    return split, merged


def perfect(truth: GroundTruth) -> dict[str, list[Instance]]:
    """Predict the truth."""
    return {stem: [replace(i, score=0.5) for i in image.instances] for stem, image in truth.images.items()}
