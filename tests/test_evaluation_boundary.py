"""Boundary IoU against its definition, pixel by pixel."""

import math

import numpy as np
import pytest
from evaluation_scenes import CATEGORIES, dense_iou, draw_scenes
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.evaluation import GroundTruth, TruthImage, evaluate
from sisegcli.evaluation.boundary import boundary_distance, boundary_ious, boundary_of
from sisegcli.evaluation.coco_ap import CocoEvaluation
from sisegcli.evaluation.matching import match
from sisegcli.instances import Instance


def dense_boundary(mask):
    """Return the pixels of a mask that have a pixel outside it, or outside the image, within a square around them."""
    height, width = mask.shape
    d = max(1, round(0.02 * math.sqrt(height**2 + width**2)))
    wide = np.pad(mask, d)
    inside = [wide[y : y + height, x : x + width] for y in range(2 * d + 1) for x in range(2 * d + 1)]
    return mask & ~np.all(inside, axis=0)


def draw_mask(seed, size):
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, bool)
    for _ in range(3):
        top, left = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        mask[top : top + int(rng.integers(1, size[0])), left : left + int(rng.integers(1, size[1]))] = True
    for y, x in zip(rng.integers(0, size[0], 4), rng.integers(0, size[1], 4), strict=True):
        mask[y, x] = False
    mask[size[0] // 2, size[1] // 2] = True
    return mask


@given(st.integers(0, 2**32 - 1), st.sampled_from([(7, 9), (12, 5), (70, 90)]))
def test_boundaries_are_the_definition(seed, size):
    mask = draw_mask(seed, size)
    found = boundary_of(Instance.from_mask(mask, 4, 0.5))
    assert np.array_equal(found.mask(), dense_boundary(mask))
    assert found == Instance.from_mask(dense_boundary(mask), 4, 0.5)  # box, area and code, too


@given(st.integers(0, 2**32 - 1))
def test_overlaps_are_the_smaller_of_both(seed):
    masks = [draw_mask(seed + n, (8, 10)) for n in range(3)]
    near = masks[0].copy()
    near[0, 0] = ~near[0, 0]
    found, objects = [masks[0], masks[1]], [near, masks[2]]
    ious = np.array([[dense_iou(f, o) for o in objects] + [0.9] for f in found])  # and a crowd
    ours = boundary_ious(ious, *([Instance.from_mask(m, 1) for m in side] for side in (found, objects)))
    for row, f in enumerate(found):
        for column, o in enumerate(objects):
            exact = min(ious[row, column], dense_iou(dense_boundary(f), dense_boundary(o)))
            assert ours[row, column] == (pytest.approx(exact) if ious[row, column] >= 0.5 else ious[row, column])
    assert ours[:, 2].tolist() == [0.9, 0.9]


def test_a_large_object_with_a_poor_outline():
    true, found = np.zeros((2, 100, 100), bool)
    true[10:90, 10:90] = True
    found[15:85, 15:85] = True  # a ring of 5 pixels is missing, where d is 3
    truth = GroundTruth({"a": TruthImage((100, 100), [Instance.from_mask(true, 1)])})
    report = evaluate({"a": [Instance.from_mask(found, 1)]}, truth)
    assert boundary_distance((100, 100)) == 3
    assert report.ap == pytest.approx(0.6)  # IoU 0.766
    assert report.boundary.ap == 0.0
    assert report.categories[0].boundary_ap == 0.0


@given(st.integers(0, 2**32 - 1))
def test_it_is_never_above_ap(seed):
    scenes = draw_scenes(seed)
    matches = match(scenes.predictions, scenes.truth)
    masks, edges = CocoEvaluation(matches), CocoEvaluation(matches, edges=True)
    for category in set(masks.categories) & set(CATEGORIES):
        ap = masks.precision(0.75, category=category)
        assert math.isnan(ap) or edges.precision(0.75, category=category) <= ap + 1e-12
