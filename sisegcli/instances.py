"""Instances: run-length masks with a category and a score, the one type that all later rooms share.

Full-size boolean masks of every instance would fill the memory, so only label images (one integer a pixel) and
run-length codes exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sisegcli.runs import decode_runs, encode_runs, paint_runs

Bool = NDArray[np.bool_]
Labels = NDArray[np.int32]
Floats = NDArray[np.float32]

DOUBTFUL = 0.5
"""The least doubt of what a person should look at."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One object (or, for stuff, one segment) of an image.

    Attributes
    ----------
    category : int
        Category id: the value of its pixels in the semantic mask.
    score : float
        How much the instance is to be believed, in [0, 1]; higher is better.
    size : tuple of int
        Height and width of the image, in pixels.
    counts : bytes
        COCO's compressed run-length code of the mask (column-major).
    box : tuple of int
        Top, left, height and width of the tightest box, in pixels (y, x order).
    area : int
        Number of pixels.
    """

    category: int
    score: float
    size: tuple[int, int]
    counts: bytes
    box: tuple[int, int, int, int]
    area: int

    @classmethod
    def from_mask(cls, mask: Bool, category: int, score: float = 1.0) -> Instance:
        """Make an instance from a boolean mask of shape (H, W).

        Examples
        --------
        >>> instance = Instance.from_mask(np.array([[0, 1, 1], [0, 1, 0]], bool), category=5)
        >>> instance.box, instance.area
        ((0, 1, 2, 2), 3)
        >>> instance.mask().astype(int).tolist()
        [[0, 1, 1], [0, 1, 0]]
        """
        rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        return cls.from_rle(rle["counts"], (mask.shape[0], mask.shape[1]), category, score)

    @classmethod
    def from_rle(cls, counts: bytes, size: tuple[int, int], category: int, score: float = 1.0) -> Instance:
        """Make an instance from COCO's compressed run-length code.

        Examples
        --------
        >>> Instance.from_rle(b"123", (2, 3), category=5).mask().astype(int).tolist()
        [[0, 1, 0], [1, 0, 0]]
        """
        rle = {"size": list(size), "counts": counts}
        left, top, width, height = (int(v) for v in coco_mask.toBbox(rle))
        return cls(category, float(score), size, counts, (top, left, height, width), int(coco_mask.area(rle)))

    @property
    def rle(self) -> dict[str, Any]:
        """COCO's compressed run-length dictionary, with ``counts`` as bytes, as pycocotools wants it."""
        return {"size": list(self.size), "counts": self.counts}

    def mask(self) -> Bool:
        """Decode to a boolean mask of shape (H, W)."""
        decoded: Bool = coco_mask.decode(self.rle).astype(bool)
        return decoded

    def crop(self, box: tuple[int, int, int, int] | None = None) -> Bool:
        """Decode what lies in a box (top, left, height, width), by default its own, and nothing around it.

        Examples
        --------
        >>> Instance.from_mask(np.array([[0, 1, 1], [0, 1, 0]], bool), category=5).crop().astype(int).tolist()
        [[1, 1], [1, 0]]
        """
        return paint_runs(*decode_runs(self.counts), self.size[0], box or self.box)


@dataclass(frozen=True, slots=True)
class Decision:
    """A cut between two pieces of a region, kept or given up.

    Attributes
    ----------
    kept : bool
        Whether the pieces stayed two objects.
    doubt : float
        How close it was, in [0, 1]: 1 for evidence right at the threshold, 0 for none at all, or for certainty.
    first, second : tuple of float
        Middles of both pieces (y, x), in pixels.
    """

    kept: bool
    doubt: float
    first: tuple[float, float]
    second: tuple[float, float]

    @property
    def doubtful(self) -> bool:
        """Whether it was close enough to be looked at by a person."""
        return self.doubt >= DOUBTFUL


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What a method makes of one image: its instances, and what they came from where a network saw it.

    Attributes
    ----------
    instances : list of Instance
        Disjoint instances, best score first.
    removed, removed_pixels : int
        How many instances, and pixels of them, a minimal area or score took away.
    displacement : (h, w, 2) array of float32, optional
        Each pixel's offset (y, x) to the centre of its object, in pixels of the stride-4 grid.
    boundary : (h, w) array of float32, optional
        Probability of an object boundary, on the stride-4 grid.
    decisions : tuple of Decision
        Cuts that were decided on evidence.
    """

    instances: list[Instance]
    removed: int = 0
    removed_pixels: int = 0
    displacement: Floats | None = None
    boundary: Floats | None = None
    decisions: tuple[Decision, ...] = ()


def instances_from_labels(
    labels: NDArray[np.integer[Any]], categories: Mapping[int, int], scores: Mapping[int, float] | None = None
) -> list[Instance]:
    """Turn a label image into instances, in order of label, in one pass over the pixels.

    Parameters
    ----------
    labels : (H, W) array of ints
        Instance labels; labels that `categories` does not name (0, as a rule) belong to nobody.
    categories : mapping
        Category id of each label; a label without pixels gives no instance.
    scores : mapping, optional
        Score of each label, 1 where it is not named.

    Examples
    --------
    >>> found = instances_from_labels(np.array([[1, 1, 0], [0, 2, 2]]), {1: 15, 2: 15}, {2: 0.5})
    >>> [(i.category, i.score, i.area, i.box) for i in found]
    [(15, 1.0, 2, (0, 0, 1, 2)), (15, 0.5, 2, (1, 1, 1, 2))]
    """
    height, width = labels.shape
    flat = np.ravel(labels, order="F")
    if not flat.size:
        return []
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    ends = np.append(starts[1:], flat.size)
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    values, starts, ends = values[order], starts[order], ends[order]
    firsts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1))
    found = []
    for first, last in zip(firsts, np.append(firsts[1:], len(values)), strict=True):
        label = int(values[first])
        if label not in categories:
            continue
        code = encode_runs(starts[first:last], ends[first:last], (height, width))
        score = 1.0 if scores is None else scores.get(label, 1.0)
        found.append(Instance.from_rle(code, (height, width), categories[label], score))
    return found


def labels_from_instances(instances: Sequence[Instance], size: tuple[int, int]) -> Labels:
    """Paint instances into a label image: instance i gets label i + 1; later ones paint over earlier ones.

    Returns an (H, W) array of int32.

    >>> square = Instance.from_mask(np.array([[1, 0], [1, 0]], bool), category=1)
    >>> labels_from_instances([square], (2, 2)).tolist()
    [[1, 0], [1, 0]]
    """
    labels = np.zeros(size, np.int32)
    for number, instance in enumerate(instances, start=1):
        top, left, height, width = instance.box
        labels[top : top + height, left : left + width][instance.crop()] = number
    return labels
