"""Borders and edges by the walk: who may have a pixel, and where the boundary map draws the line."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ideal_fields import cells_of, overlap
from scipy import ndimage

from sisegcli.categories import BACKGROUND, IGNORE
from sisegcli.grouping.affinity import boundary_affinity
from sisegcli.grouping.components import label_components
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.spreading import grow_edges, settle_borders
from sisegcli.grouping.walk import dense_walk

WALK = GroupingOptions(refine=True)
STILL = GroupingOptions(refine=False)
options = st.sampled_from([WALK, STILL])


def random_mask(rng, values, most=40):
    height, width = rng.integers(1, most, 2)
    return np.kron(rng.choice(values, (8, 8)), np.ones((5, 5), np.int32))[:height, :width].astype(np.int32)


def random_case(seed):
    """Return regions, up to three objects for each (one of them shared with another), cells, and a boundary."""
    rng = np.random.default_rng(seed)
    regions, categories = label_components(random_mask(rng, [-1, 3, 3, 5]), connectivity=4)
    cells = cells_of(regions)
    objects = np.zeros(cells.shape, np.int32)
    allowed, count = {}, 0
    for region in categories:
        mine = list(range(count, count + int(rng.integers(1, 4))))
        count += len(mine)
        if mine[0] and rng.random() < 0.3:
            mine.append(int(rng.integers(0, mine[0])))
        allowed[region] = mine
        inside = cells == region
        objects[inside] = rng.choice(mine, int(inside.sum())) + 1
    return regions, allowed, objects, rng.random(cells.shape, np.float32) ** 3


def halves(border, wall, strength=0.9):
    """Return a region of 20 × 40 pixels on two objects that votes part at one cell and the boundary map at another."""
    regions = np.ones((20, 40), np.int32)
    objects = np.where(np.arange(10) < border, 1, 2).astype(np.int32)[None].repeat(5, 0)
    boundary = np.zeros((5, 10), np.float32)
    boundary[:, wall] = strength
    return regions, {1: [0, 1]}, objects, boundary


# -- borders between objects -------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), options)
def test_each_pixel_of_a_region_goes_to_one_of_its_objects(seed, chosen):
    regions, allowed, objects, boundary = random_case(seed)
    kept = objects.copy(), boundary.copy()
    labels = settle_borders(regions, allowed, objects, boundary, chosen)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, regions > 0)
    for region, mine in allowed.items():
        assert set(np.unique(labels[regions == region]).tolist()) <= {index + 1 for index in mine}
    np.testing.assert_array_equal(objects, kept[0])
    np.testing.assert_array_equal(boundary, kept[1])


def test_the_border_moves_to_the_wall():
    labels = settle_borders(*halves(border=4, wall=6), WALK)
    at = (labels == 1).sum(axis=1)
    assert ((at >= 23) & (at <= 29)).all()  # the wall's cell covers the columns 24 to 27
    labels = settle_borders(*halves(border=4, wall=6), STILL)
    assert ((labels == 1).sum(axis=1) == 16).all()


def test_a_wall_where_votes_part_changes_nothing():
    regions, allowed, objects, boundary = halves(border=5, wall=[4, 5], strength=0.97)
    walked = settle_borders(regions, allowed, objects, boundary, WALK)
    np.testing.assert_array_equal(walked, settle_borders(regions, allowed, objects, boundary, STILL))


@pytest.mark.parametrize("chosen", [WALK, STILL])
def test_where_everything_is_boundary_votes_decide(chosen):
    regions, allowed, objects, _ = halves(border=4, wall=0)
    labels = settle_borders(regions, allowed, objects, np.ones((5, 10), np.float32), chosen)
    assert ((labels == 1).sum(axis=1) == 16).all()


def test_thin_parts_that_no_cell_sees_go_to_the_nearest_object():
    regions = np.zeros((20, 80), np.int32)
    regions[:, :32] = regions[9, 32:] = 1
    objects = np.zeros((5, 20), np.int32)
    objects[:, :4], objects[:, 4:8] = 1, 2
    boundary = np.zeros((5, 20), np.float32)
    boundary[:, 3:5] = 0.97
    labels = settle_borders(regions, {1: [0, 1]}, objects, boundary, WALK)
    assert (labels[9] == [1] * 16 + [2] * 64).all()


@given(st.integers(0, 2**32 - 1))
def test_cells_go_where_the_dense_walk_of_the_paper_puts_them(seed):
    rng = np.random.default_rng(seed)
    boundary = (rng.random((8, 12)) * rng.choice([0.1, 0.4], (1, 12))).astype(np.float32)
    objects = np.where(np.arange(12) < 6, 1, 2).astype(np.int32)[None].repeat(8, 0)
    labels = settle_borders(np.ones((32, 48), np.int32), {1: [0, 1]}, objects, boundary, WALK)
    affinity = boundary_affinity(boundary, np.ones((8, 12), bool), WALK.radius, WALK.beta)
    seeds = np.stack((objects == 1, objects == 2), axis=2) * (1 - boundary)[..., None]
    walked = dense_walk(affinity, seeds.reshape(-1, 2), WALK.steps).reshape(8, 12, 2)
    share = walked[..., 1] / walked.sum(2)
    for number, sure in ((1, share < 0.495), (2, share > 0.505)):
        # Inside a neighbourhood that agrees, interpolation changes nothing.
        alike = np.kron(ndimage.minimum_filter(sure, 3), np.ones((4, 4), bool))
        assert (labels[alike] == number).all()


def test_regions_of_one_object_are_filled_without_a_walk():
    regions = np.array([[1] * 12 + [0] * 4 + [2] * 12] * 8, np.int32)
    objects = cells_of(regions)
    labels = settle_borders(regions, {1: [1], 2: [0]}, objects, np.full((2, 7), np.nan, np.float32), WALK)
    np.testing.assert_array_equal(labels, np.array([0, 2, 1])[regions])


def test_walks_do_not_leave_their_region():
    # The object that the regions share is the weaker one in the left region, and the stronger one beside it.
    regions = np.array([[1] * 20 + [2] * 20] * 16, np.int32)
    objects = np.array([[2, 2, 2, 1, 1, 1, 1, 1, 1, 3]] * 4, np.int32)
    allowed = {1: [0, 1], 2: [0, 2]}
    together = settle_borders(regions, allowed, objects, np.zeros((4, 10), np.float32), WALK)
    left = np.where(regions == 1, 1, 0)
    alone = settle_borders(left, {1: [0, 1]}, objects, np.zeros((4, 10), np.float32), WALK)
    np.testing.assert_array_equal(together[:, :18], alone[:, :18])  # up to where interpolation sees the right region


def test_a_joined_object_stands_in_two_regions():
    regions = np.array([[1] * 16 + [0] * 8 + [2] * 16] * 16, np.int32)
    objects = np.array([[1, 1, 2, 2, 0, 0, 2, 2, 3, 3]] * 4, np.int32)
    boundary = np.zeros((4, 10), np.float32)
    boundary[:, [1, 2, 7, 8]] = 0.95
    labels = settle_borders(regions, {1: [0, 1], 2: [1, 2]}, objects, boundary, WALK)
    np.testing.assert_array_equal(labels[0], [1] * 8 + [2] * 8 + [0] * 8 + [2] * 8 + [3] * 8)


def test_no_region():
    nothing = np.zeros((6, 9), np.int32)
    assert not settle_borders(nothing, {}, cells_of(nothing), np.zeros((2, 3), np.float32), WALK).any()


# -- outer edges -------------------------------------------------------------------------------------------------------


def scene(erode, side=56, size=120, top=32):
    """Return a square's true mask, the mask of it eroded, and the boundary along its true edge."""
    true = np.zeros((size, size), bool)
    true[top : top + side, top : top + side] = True
    inside = np.zeros_like(true)
    inside[top + erode : top + side - erode, top + erode : top + side - erode] = True
    cells = cells_of(true)
    around = np.pad(cells, 1)
    grown = cells | around[2:, 1:-1] | around[:-2, 1:-1] | around[1:-1, 2:] | around[1:-1, :-2]
    return true, inside, np.where(grown & ~cells, np.float32(0.9), np.float32(0))


@pytest.mark.parametrize("erode", [3, 6, -8])
def test_edges_go_to_the_ridge(erode):
    true, rough, boundary = scene(erode)
    mask = np.where(rough, 7, BACKGROUND).astype(np.int32)
    labels = grow_edges(rough.astype(np.int32), mask, {1: 7}, boundary, WALK)
    # Cells of the ridge itself, outside the true edge, stay with whom the mask gave them to.
    assert overlap(labels == 1, true) > (0.9 if erode > 0 else overlap(rough, true) + 0.1)


def test_without_an_edge_nothing_moves():
    labels = np.ones((20, 24), np.int32)
    mask = np.full((20, 24), 7, np.int32)
    np.testing.assert_array_equal(grow_edges(labels, mask, {1: 7}, np.ones((5, 6), np.float32), WALK), labels)


def test_the_inside_of_an_object_is_not_looked_at():
    true, rough, boundary = scene(4, side=88, size=136, top=24)
    mask = np.where(rough, 7, BACKGROUND).astype(np.int32)
    labels = grow_edges(rough.astype(np.int32), mask, {1: 7}, np.where(cells_of(true), 0.4, boundary), WALK)
    assert (labels[56:80, 56:80] == 1).all()


def random_growth(seed):
    """Return labels of a random mask with stuff (9) and ignored pixels, and a boundary."""
    rng = np.random.default_rng(seed)
    mask = random_mask(rng, [BACKGROUND, BACKGROUND, IGNORE, 3, 3, 5, 9])
    labels, categories = label_components(mask, stuff=[9], connectivity=4)
    return labels, mask, categories, rng.random(cells_of(labels).shape, np.float32) ** 2


@given(st.integers(0, 2**32 - 1))
def test_ignored_pixels_stay_nobodys_and_stuff_keeps_its_own(seed):
    labels, mask, categories, boundary = random_growth(seed)
    kept = labels.copy()
    grown = grow_edges(labels, mask, categories, boundary, WALK, stuff=[9])
    assert grown.dtype == np.int32 and grown.shape == labels.shape
    np.testing.assert_array_equal(grown[mask == IGNORE], 0)
    np.testing.assert_array_equal(grown[mask == 9], labels[mask == 9])
    np.testing.assert_array_equal(labels, kept)


@example(102650)  # one vanishes only because another comes back
@given(st.integers(0, 2**32 - 1))
def test_no_instance_vanishes_and_none_appears(seed):
    labels, mask, categories, boundary = random_growth(seed)
    grown = grow_edges(labels, mask, categories, boundary, WALK)
    assert set(np.unique(grown[grown > 0]).tolist()) == set(categories)


def test_specks_stay():
    labels = np.zeros((40, 40), np.int32)
    labels[8:32, 8:28] = 1
    labels[3, 4] = 2  # between the middles of cells
    labels[20, 33:35] = 3
    mask = np.where(labels > 0, 7, BACKGROUND).astype(np.int32)
    grown = grow_edges(labels, mask, {1: 7, 2: 7, 3: 7}, np.zeros((10, 10), np.float32), WALK)
    assert (grown[3, 4], grown[20, 33], grown[20, 34]) == (2, 3, 3)


def test_a_longer_walk_reaches_the_ridge_from_further():
    true, rough, boundary = scene(6)
    mask = np.where(rough, 7, BACKGROUND).astype(np.int32)
    short, long = (
        overlap(grow_edges(rough.astype(np.int32), mask, {1: 7}, boundary, replace(WALK, steps=steps)) == 1, true)
        for steps in (1, 256)
    )
    assert short < long
