"""Pieces: against twins that go cell by cell, and what absorbing small ones keeps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ideal_fields import flood, partition

from sisegcli.grouping.pieces import contacts, describe, find_pieces


def random_case(seed, scale=2):
    """Return blocky clusters over 4-connected regions, the categories of these, and a field."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 16, 2)
    block = np.ones((scale, scale), int)
    regions = flood(np.kron(rng.integers(0, 3, (16, 16)), np.ones((4, 4), int))[:height, :width])
    clusters = np.kron(rng.integers(1, 5, (16, 16)), block)[:height, :width].astype(np.int32)
    category = np.array([-1, *rng.integers(0, 3, 300)])
    return clusters, regions, category[regions], rng.normal(0, 2, (height, width, 2)).astype(np.float32)


def grid(rows):
    return np.array([[int(value) for value in row] for row in rows.split()], np.int32)


def pieces_of(clusters, regions, **options):
    clusters, regions = grid(clusters), grid(regions)
    field = np.zeros((*regions.shape, 2), np.float32)
    return find_pieces(clusters, regions, np.where(regions > 0, 5, -1), field, **options)


# -- finding and describing --------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_pieces_are_the_connected_cells_of_one_region_and_cluster(seed):
    clusters, regions, categories, field = random_case(seed)
    found = find_pieces(clusters, regions, categories, field, smallest=0, least=0)
    assert partition(found.labels) == partition(flood(np.where(regions > 0, regions * 10 + clusters, 0)))


@given(st.integers(0, 2**32 - 1))
def test_descriptions_equal_counting_cells(seed):
    clusters, regions, categories, field = random_case(seed)
    found = find_pieces(clusters, regions, categories, field)
    for number in range(1, len(found.area)):
        cells = [(y, x) for y, x in np.argwhere(found.labels == number).tolist()]
        ends = [(y + float(field[y, x, 0]), x + float(field[y, x, 1])) for y, x in cells]
        centre = [sum(cell[axis] for cell in cells) / len(cells) for axis in (0, 1)]
        vote = [sum(end[axis] for end in ends) / len(cells) for axis in (0, 1)]
        variance = sum((y - vote[0]) ** 2 + (x - vote[1]) ** 2 for y, x in ends) / len(cells)
        assert found.area[number] == len(cells)
        np.testing.assert_allclose(found.centre[number], centre)
        np.testing.assert_allclose(found.vote[number], vote, atol=1e-5)
        assert math.isclose(found.spread[number], math.sqrt(variance), abs_tol=1e-3)
        assert {found.region[number]} == {regions[cell] for cell in cells}
        assert {found.category[number]} == {categories[cell] for cell in cells}


def test_row_0_is_no_piece():
    found = pieces_of("1122 1122", "0110 0110", least=0)
    assert len(found.area) == len(found.region) == len(found.centre) == len(found.vote) == len(found.spread) == 3
    assert (found.area[0], found.category[0], found.region[0]) == (0, -1, 0)


def test_no_cell_is_background():
    found = pieces_of("111222 111222", "111111 111111")
    np.testing.assert_array_equal(found.labels, grid("111222 111222"))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 3)])
def test_no_region(shape):
    nothing = np.zeros(shape, np.int32)
    found = find_pieces(nothing, nothing, nothing - 1, np.zeros((*shape, 2), np.float32))
    assert found.labels.shape == shape and not found.labels.any() and len(found.area) == 1


def test_votes_that_agree_have_no_spread():
    labels = np.ones((3, 4), np.int32)
    field = (np.array([1.0, 2.5]) - np.indices((3, 4)).transpose(1, 2, 0)).astype(np.float32)
    found = describe(labels, labels, labels, field)
    np.testing.assert_allclose(found.vote[1], [1, 2.5], atol=1e-6)
    np.testing.assert_allclose(found.centre[1], [1, 1.5])
    assert found.spread[1] == pytest.approx(0, abs=1e-3)


# -- absorbing ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.3]), st.integers(0, 12))
def test_absorbing_merges_small_pieces_inside_regions_alone(seed, smallest, least):
    clusters, regions, categories, field = random_case(seed)
    before = find_pieces(clusters, regions, categories, field, smallest=0, least=0)
    found = find_pieces(clusters, regions, categories, field, smallest=smallest, least=least)
    assert found.labels.dtype == np.int32
    np.testing.assert_array_equal(found.labels > 0, regions > 0)
    assert np.unique(found.labels[found.labels > 0]).tolist() == list(range(1, len(found.area)))
    for number in range(1, len(found.area)):
        assert len(np.unique(regions[found.labels == number])) == 1
        assert flood(found.labels == number).max() == 1
        limit = max(least, smallest * (regions == found.region[number]).sum())
        if found.area[number] < limit:
            assert (regions == found.region[number]).sum() == found.area[number]
    for number in range(1, len(before.area)):
        assert len(np.unique(found.labels[before.labels == number])) == 1


@given(st.integers(0, 2**32 - 1))
def test_large_pieces_never_merge_with_each_other(seed):
    clusters, regions, categories, field = random_case(seed, scale=3)
    before = find_pieces(clusters, regions, categories, field, smallest=0, least=0)
    found = find_pieces(clusters, regions, categories, field, smallest=0.1, least=5)
    whole = np.bincount(regions.ravel())
    large = [n for n in range(1, len(before.area)) if before.area[n] >= max(5, 0.1 * whole[before.region[n]])]
    owners = [int(found.labels[before.labels == number][0]) for number in large]
    assert len(set(owners)) == len(owners)


def test_a_small_piece_goes_where_it_touches_most():
    found = pieces_of("111122 111322 111332 111222", "111111 111111 111111 111111", least=4)
    np.testing.assert_array_equal(found.labels, grid("111122 111222 111222 111222"))


def test_contacts_of_absorbed_pieces_count_for_their_new_owner():
    # Piece 2 touches 1 three times, 4 twice, and 3, which goes to 4 first, twice.
    found = pieces_of("112444 112444 112344 002344 002044", "111111 111111 111111 001111 001011")
    np.testing.assert_array_equal(found.labels, grid("112222 112222 112222 002222 002022"))


def test_small_pieces_that_grow_large_enough_stay():
    found = pieces_of("11111122233", "11111111111", least=4)
    np.testing.assert_array_equal(found.labels, grid("11111122222"))


def test_a_small_region_is_never_lost():
    found = pieces_of("1111122 1111122", "1111122 1111122", least=6)
    assert partition(found.labels) == partition(grid("1111122 1111122"))
    found = pieces_of("1111123 1111123", "1111102 1111111", least=9, smallest=0.5)
    assert partition(found.labels) == partition(grid("1111102 1111111"))


def test_small_parts_that_the_grid_tears_off_come_back():
    # Of a thin diagonal region no two cells touch.
    regions = np.eye(9, dtype=np.int32)
    found = find_pieces(np.full((9, 9), 3, np.int32), regions, regions - 1, np.zeros((9, 9, 2), np.float32))
    np.testing.assert_array_equal(found.labels, regions)


# -- contacts ----------------------------------------------------------------------------------------------------------


def contacts_by_cell(labels, region, boundary):
    """Look at each cell and the ones to its right and below."""
    seen = {}
    for y, x in np.ndindex(labels.shape):
        for v, u in ((y, x + 1), (y + 1, x)):
            if v >= labels.shape[0] or u >= labels.shape[1]:
                continue
            a, b = sorted((int(labels[y, x]), int(labels[v, u])))
            if a and a != b and region[a] == region[b]:
                seen.setdefault((a, b), []).append(max(float(boundary[y, x]), float(boundary[v, u])))
    return seen


@given(st.integers(0, 2**32 - 1))
def test_contacts_equal_looking_at_each_cell(seed):
    clusters, regions, categories, field = random_case(seed)
    boundary = np.random.default_rng(seed).random(regions.shape, np.float32)
    found = find_pieces(clusters, regions, categories, field, least=2)
    first, second, length, strength = contacts(found.labels, found.region, boundary)
    seen = contacts_by_cell(found.labels, found.region, boundary)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == sorted(seen)
    assert (first < second).all()
    for a, b, n, mean in zip(first.tolist(), second.tolist(), length, strength, strict=True):
        assert n == len(seen[a, b])
        assert mean == pytest.approx(sum(seen[a, b]) / n, rel=1e-5)


def test_contacts_without_a_boundary_have_no_strength():
    first, second, length, strength = contacts(grid("122 112"), np.array([0, 1, 1]), None)
    assert (first.tolist(), second.tolist(), length.tolist(), strength.tolist()) == ([1], [2], [3], [0.0])


def test_nothing_touches():
    for labels in (grid("102"), grid("000"), np.zeros((0, 3), np.int32)):
        result = contacts(labels, np.array([0, 1, 2]), np.zeros(labels.shape, np.float32))
        assert [values.tolist() for values in result] == [[], [], [], []]


def test_parts_that_the_grid_tears_apart_touch_where_they_are_closest():
    labels = grid("1100003 1102003 0000004 0000554")
    boundary = np.zeros(labels.shape, np.float32)
    boundary[1, 1], boundary[1, 3], boundary[1, 6] = 0.2, 0.6, 0.1
    region = np.array([0, 1, 1, 1, 1, 9])
    first, second, length, strength = contacts(labels, region, boundary)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(1, 2), (2, 3), (3, 4)]
    assert length.tolist() == [1, 1, 1]
    np.testing.assert_allclose(strength, [0.6, 0.6, 0.1])


@given(st.integers(0, 2**32 - 1))
def test_all_pieces_of_a_region_are_linked(seed):
    rng = np.random.default_rng(seed)
    regions = np.where(rng.random((9, 9)) < 0.5, rng.integers(1, 3, (9, 9)), 0).astype(np.int32)
    labels = flood(regions)
    region = np.zeros(labels.max() + 1, int)
    region[labels.ravel()] = regions.ravel()
    first, second, length, _ = contacts(labels, region, None)
    assert (region[first] == region[second]).all()
    assert len(first) == labels.max() - len(np.unique(regions[regions > 0]))  # a tree in each region
    assert (length == 1).all()
    group = list(range(len(region)))
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        group = [group[a] if g == group[b] else g for g in group]
    assert len(set(group[1:])) == len(np.unique(regions[regions > 0]))
