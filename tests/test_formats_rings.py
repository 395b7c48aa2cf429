from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sisegcli.formats.rings import mask_rings

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())


def fill(polygons, shape, offset=(0, 0)):
    """Even-odd rule at the middles of pixels, one pixel and one edge after the other; counts what covers each pixel."""
    covered = np.zeros(shape, int)
    for polygon in polygons:
        for y in range(shape[0]):
            for x in range(shape[1]):
                cy, cx = y + 0.5 + offset[0], x + 0.5 + offset[1]
                crossings = sum(
                    (y0 > cy) != (y1 > cy) and x0 > cx for ring in polygon for (x0, y0), (_, y1) in pairwise(ring)
                )
                covered[y, x] += crossings % 2
    return covered


def area(ring):
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring)) / 2


def test_a_hole_stays_a_hole_and_an_island_in_it_is_a_polygon_of_its_own():
    mask = np.ones((5, 5), bool)
    mask[1:4, 1:4] = False
    mask[2, 2] = True
    assert mask_rings(mask, (10, 20)) == [
        [
            [[20, 10], [25, 10], [25, 15], [20, 15], [20, 10]],
            [[21, 11], [21, 14], [24, 14], [24, 11], [21, 11]],
        ],
        [[[22, 12], [23, 12], [23, 13], [22, 13], [22, 12]]],
    ]


def test_holes_that_touch_at_a_corner_are_two():
    mask = np.ones((4, 4), bool)
    mask[1, 1] = mask[2, 2] = False
    [[outline, *holes]] = mask_rings(mask)
    assert area(outline) == 16
    assert sorted(holes) == [
        [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]],
        [[2, 2], [2, 3], [3, 3], [3, 2], [2, 2]],
    ]


def test_an_outline_that_touches_itself_has_a_hole():
    mask = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    [[outline, hole]] = mask_rings(mask)
    assert (area(outline), area(hole)) == (8, -1)


@given(MASKS, st.tuples(st.integers(-3, 50), st.integers(-3, 50)))
def test_polygons_fill_to_the_mask(mask, offset):
    polygons = mask_rings(mask, offset)
    assert fill(polygons, mask.shape, offset).tolist() == mask.astype(int).tolist()
    assert len(polygons) == ndimage.label(mask)[1]


@given(MASKS)
def test_rings_are_simple_and_turn_as_they_should(mask):
    for outline, *holes in mask_rings(mask):
        assert area(outline) > 0
        assert all(area(hole) < 0 for hole in holes)
        for ring in (outline, *holes):
            assert ring[0] == ring[-1]
            corners = [tuple(corner) for corner in ring[:-1]]
            assert len(set(corners)) == len(corners) >= 4
