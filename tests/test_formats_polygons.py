"""Polygons must rasterise to the very mask that they came from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask

from sisegcli.formats.polygons import instance_polygons, mask_polygons
from sisegcli.instances import Instance

RING = np.array(
    [
        [1, 1, 1, 1, 1],
        [1, 0, 0, 1, 1],
        [1, 0, 0, 1, 1],
        [1, 1, 1, 1, 1],
    ],
    bool,
)


def rasterise(polygons, size):
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *size))).astype(bool)


def even_odd(polygons, size):
    """Fill by counting the edges above each pixel's centre: the definition, without pycocotools."""
    y, x = np.indices(size) + 0.5
    filled = np.zeros(size, bool)
    for polygon in polygons:
        crossings = np.zeros(size, int)
        corners = np.reshape(polygon, (-1, 2))
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            assert x0 == x1 or y0 == y1
            crossings += (min(x0, x1) < x) & (x < max(x0, x1)) & (y0 < y)
        filled |= crossings % 2 == 1
    return filled


def signed_area(polygon):
    x, y = np.reshape(polygon, (-1, 2)).T
    return (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def test_a_pixel_is_its_square():
    assert mask_polygons(np.ones((1, 1), bool)) == [[0, 0, 1, 0, 1, 1, 0, 1]]


def test_an_empty_mask_has_no_polygon():
    assert mask_polygons(np.zeros((3, 2), bool)) == []
    assert mask_polygons(np.zeros((0, 0), bool)) == []


def test_pixels_across_a_diagonal_are_two_polygons():
    for mask in (np.eye(2, dtype=bool), np.eye(2, dtype=bool)[::-1]):
        assert [signed_area(p) for p in mask_polygons(mask)] == [1, 1]


def test_a_ring_keeps_its_hole():
    (polygon,) = mask_polygons(RING)
    assert signed_area(polygon) == RING.sum() == 16
    np.testing.assert_array_equal(rasterise([polygon], RING.shape), RING)
    # Outline, slit down at x = 1, hole, and up again.
    assert polygon == [0, 0, 1, 0, 1, 1, 1, 3, 3, 3, 3, 1, 1, 1, 1, 0, 5, 0, 5, 4, 0, 4]


def test_nested_rings():
    y, x = np.indices((31, 33))
    mask = np.maximum(abs(y - 15), abs(x - 16)) % 4 < 2
    np.testing.assert_array_equal(rasterise(mask_polygons(mask), mask.shape), mask)


def test_several_holes_below_one_edge():
    mask = np.ones((5, 9), bool)
    mask[2, [1, 3, 5, 7]] = mask[3, 5] = False
    (polygon,) = mask_polygons(mask)
    assert signed_area(polygon) == mask.sum()
    np.testing.assert_array_equal(rasterise([polygon], mask.shape), mask)


def test_instances_lie_where_they_are_in_the_image():
    mask = np.zeros((30, 40), bool)
    mask[20:24, 30:35] = RING
    mask[22, 39] = True
    polygons = instance_polygons(Instance.from_mask(mask, 1))
    np.testing.assert_array_equal(rasterise(polygons, mask.shape), mask)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_noise(share):
    mask = np.random.default_rng(0).random((90, 70)) < share
    np.testing.assert_array_equal(rasterise(mask_polygons(mask), mask.shape), mask)


masks = arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@settings(max_examples=80, deadline=None)
@given(masks)
def test_polygons_rasterise_to_their_mask(mask):
    polygons = mask_polygons(mask)
    np.testing.assert_array_equal(even_odd(polygons, mask.shape), mask)
    assert sum(signed_area(p) for p in polygons) == mask.sum()
    assert all(len(p) >= 8 for p in polygons)
    if polygons:
        np.testing.assert_array_equal(rasterise(polygons, mask.shape), mask)
