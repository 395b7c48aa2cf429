"""What grouping could reach at best: every region of a semantic mask split at the true borders, nothing else moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.evaluation import TruthImage
from sisegcli.grouping.components import label_components
from sisegcli.instances import Instance, instances_from_labels, labels_from_instances


def split_at_truth(mask: NDArray[np.int32], truth: TruthImage) -> list[Instance]:
    """Group a semantic mask as well as the truth allows.

    A pixel belongs to the true object of its category that is there, or else to the one that is nearest among those
    that its region holds; a region that holds none stays whole. Larger instances score higher.

    Parameters
    ----------
    mask : (H, W) array of int32
        Semantic mask in memory: category ids, negative where there is none.
    truth : TruthImage
        The objects of the image.

    Examples
    --------
    >>> dogs = [Instance.from_mask(np.array([[0, 1, 0, 0]], bool), 12), Instance.from_mask(np.eye(1, 4, 3) > 0, 12)]
    >>> found = split_at_truth(np.array([[12, 12, -1, 12]], np.int32), TruthImage((1, 4), dogs))
    >>> [(i.category, i.box) for i in found]
    [(12, (0, 0, 1, 2)), (12, (0, 3, 1, 1))]
    """
    objects = labels_from_instances(truth.instances, (mask.shape[0], mask.shape[1]))
    category = {number: instance.category for number, instance in enumerate(truth.instances, start=1)}
    wanted = np.array([-1, *category.values()], np.int32)
    known = np.where((mask >= 0) & (wanted[objects] == mask), objects, 0)
    regions, category_of = label_components(mask, connectivity=4)
    labels = np.zeros_like(objects)
    for region, place in enumerate(ndimage.find_objects(regions), start=1):
        inside = regions[place] == region
        seeds = np.where(inside, known[place], 0)
        if seeds.any():
            nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
            labels[place][inside] = seeds[tuple(nearest)][inside]
        else:
            labels[place][inside] = len(wanted) + region
            category[len(wanted) + region] = category_of[region]
    shares = np.bincount(labels.ravel()) / max(mask.size, 1)
    return instances_from_labels(labels, category, dict(enumerate(shares.tolist())))
