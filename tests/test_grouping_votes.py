"""Votes: literal clusters, and what every clustering keeps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ideal_fields import partition

from sisegcli.grouping.votes import cluster_by_density, cluster_by_weak_field


def by_density(displacement, categories, **options):
    return cluster_by_density(displacement, categories, **options)


def by_weak_field(displacement, categories, **options):
    return cluster_by_weak_field(displacement, displacement, categories, **options)


both = pytest.mark.parametrize("cluster", [by_density, by_weak_field])


def to_columns(targets):
    """Return the field of one row whose pixels point at columns."""
    field = np.zeros((1, len(targets), 2), np.float32)
    field[0, :, 1] = np.array(targets) - np.arange(len(targets))
    return field


def random_case(seed, reach=3.0):
    """Return a noisy field over blocky categories, some of them below 0."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 20, 2)
    categories = np.kron(rng.choice([-2, -1, 0, 4, 9], (7, 7)), np.ones((3, 3), int))[:height, :width]
    return rng.normal(0, reach, (height, width, 2)).astype(np.float32), categories


@both
def test_objects_that_point_at_their_own_middles_are_told_apart(cluster):
    field = to_columns([3] * 8 + [13] * 10 + [22] * 6)
    np.testing.assert_array_equal(cluster(field, np.zeros((1, 24), int)), [[1] * 8 + [2] * 10 + [3] * 6])


@both
def test_fragments_whose_votes_meet_share_a_label(cluster):
    # Category 5 lies in front of category 2, whose pixels all point behind it; another object of 2 is far away.
    field = to_columns([6] * 5 + [6] * 3 + [6] * 5 + [25] * 17)
    categories = np.array([[2] * 5 + [5] * 3 + [2] * 5 + [-1] * 6 + [2] * 11])
    labels = cluster(field, categories)
    np.testing.assert_array_equal(labels, [[1] * 5 + [3] * 3 + [1] * 5 + [0] * 6 + [2] * 11])


@both
def test_votes_beyond_the_grid_end_at_its_border(cluster):
    field = to_columns([-40] * 6 + [60] * 6)
    np.testing.assert_array_equal(cluster(field, np.zeros((1, 12), int)), [[1] * 6 + [2] * 6])


@both
@pytest.mark.parametrize("shift", [(0, 0), (0, 4), (-3, 2)])
def test_where_all_point_the_same_way_a_block_is_one_cluster(cluster, shift):
    categories = np.full((20, 24), -1)
    categories[6:13, 8:16] = 7
    labels = cluster(np.broadcast_to(np.float32(shift), (20, 24, 2)), categories)
    np.testing.assert_array_equal(labels, categories == 7)


@both
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 4)])
def test_nobody_takes_part(cluster, shape):
    labels = cluster(np.ones((*shape, 2), np.float32), np.full(shape, -1))
    assert labels.dtype == np.int32 and labels.shape == shape and not labels.any()


def test_low_peaks_go_to_high_ones():
    field = to_columns([5] * 12 + [20] * 2 + [5] * 8)
    categories = np.zeros((1, 22), int)
    np.testing.assert_array_equal(by_density(field, categories, peak=0.0), [[1] * 12 + [2] * 2 + [1] * 8])
    np.testing.assert_array_equal(by_density(field, categories, peak=0.5), [[1] * 22])


def test_a_wider_kernel_finds_fewer_peaks():
    field = to_columns([4] * 8 + [10] * 8)
    categories = np.zeros((1, 16), int)
    assert by_density(field, categories, sigma=1.0).max() == 2
    assert by_density(field, categories, sigma=6.0).max() == 1


def test_few_votes_are_no_candidate():
    field = to_columns([5] * 12 + [20] * 3 + [5] * 9)
    categories = np.zeros((1, 24), int)
    assert by_weak_field(field, categories, least=4, weak=0.5).max() == 1
    assert by_weak_field(field, categories, least=3, weak=0.5).max() == 2


def test_peaks_are_looked_for_as_far_as_the_kernel_reaches():
    field = to_columns([4] * 8 + [7] * 6)
    categories = np.zeros((1, 14), int)
    assert by_density(field, categories, sigma=0.5).max() == 2
    assert by_density(field, categories, sigma=3.0).max() == 1


def test_where_nobody_has_enough_votes_those_with_most_are_candidates():
    field = to_columns([1] * 3 + [10] * 2 + [16] * 3)
    labels = by_weak_field(field, np.zeros((1, 8), int), least=4, weak=0.5)
    assert labels.max() == 1  # all end at the grid's border
    field = to_columns([1] * 3 + [9] * 2 + [16] * 3 + [-1] * 12)
    categories = np.where(np.arange(20) < 8, 0, -1)[None]
    assert by_weak_field(field, categories, least=4, weak=0.1).max() == 2


def test_a_category_of_few_votes_still_is_somebody():
    assert by_weak_field(np.zeros((1, 3, 2), np.float32), np.array([[4, -1, 6]])).tolist() == [[1, 0, 2]]


def test_weak_pixels_are_one_candidate_where_they_touch():
    # The refined votes end in different places of one long weak area.
    refined = to_columns([2] * 6 + [9] * 6)
    weak = np.full((1, 12, 2), 0.5, np.float32)
    categories = np.zeros((1, 12), int)
    assert cluster_by_weak_field(refined, weak, categories).max() == 1
    assert cluster_by_weak_field(refined, refined, categories, weak=1.5).max() == 2


@both
@given(st.integers(0, 2**32 - 1))
def test_each_pixel_of_a_category_gets_one_label_of_its_own_category(cluster, seed):
    displacement, categories = random_case(seed)
    kept = displacement.copy(), categories.copy()
    labels = cluster(displacement, categories)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, categories >= 0)
    assert np.unique(labels[labels > 0]).tolist() == list(range(1, labels.max() + 1))
    for label in range(1, labels.max() + 1):
        assert len(np.unique(categories[labels == label])) == 1
    np.testing.assert_array_equal(displacement, kept[0])
    np.testing.assert_array_equal(categories, kept[1])


@both
@given(st.integers(0, 2**32 - 1), st.permutations([0, 4, 9]))
def test_names_of_categories_do_not_matter(cluster, seed, names):
    displacement, categories = random_case(seed)
    other = categories.copy()
    for old, new in zip([0, 4, 9], names, strict=True):
        other[categories == old] = new
    assert partition(cluster(displacement, categories)) == partition(cluster(displacement, other))


@both
@given(st.integers(0, 2**32 - 1))
def test_categories_do_not_see_each_other(cluster, seed):
    displacement, categories = random_case(seed)
    found = partition(cluster(displacement, categories))
    alone = [partition(cluster(displacement, np.where(categories == one, one, -1))) for one in (0, 4, 9)]
    assert found == set().union(*alone)


@both
@given(st.integers(0, 2**32 - 1))
def test_votes_that_end_in_one_cell_share_a_label(cluster, seed):
    displacement, categories = random_case(seed)
    labels = cluster(displacement, categories)
    owner = {}
    for y, x in np.argwhere(categories >= 0).tolist():
        end = np.clip(np.rint((y, x) + displacement[y, x]), 0, np.array(categories.shape) - 1)
        place = (categories[y, x], *end.tolist())
        assert owner.setdefault(place, labels[y, x]) == labels[y, x]


@both
@given(st.integers(0, 2**32 - 1))
def test_far_points_of_votes_are_the_clusters(cluster, seed):
    rng = np.random.default_rng(seed)
    points = np.array([(y, x) for y in (4, 20, 36) for x in (4, 20, 36)])
    aim = rng.integers(0, 9, (40, 40))
    displacement = (points[aim] - np.indices((40, 40)).transpose(1, 2, 0)).astype(np.float32)
    displacement += rng.uniform(-0.4, 0.4, displacement.shape).astype(np.float32)
    assert partition(cluster(displacement, np.zeros((40, 40), int))) == partition(aim + 1)


def nearest_component(refined, displacement, inside, weak, least):
    """Return, for each pixel, the components (as sets of cells) that may be its candidate by definition."""
    shape = inside.shape
    ends = {}
    for y, x in np.argwhere(inside).tolist():
        end = np.clip(np.rint((y, x) + refined[y, x]), 0, np.array(shape) - 1).astype(int)
        ends[y, x] = tuple(end.tolist())
    short = {(y, x) for y, x in ends if np.hypot(*displacement[y, x]) < weak}
    left = short | set(ends.values())
    components = []
    while left:
        front = [left.pop()]
        component = set(front)
        while front:
            y, x = front.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            component |= near
            front.extend(near)
        components.append(component)
    votes = [sum(end in component for end in ends.values()) for component in components]
    strong = [c for c, n in zip(components, votes, strict=True) if n >= min(least, max(votes))]
    away = {end: [min((end[0] - y) ** 2 + (end[1] - x) ** 2 for y, x in c) for c in strong] for end in ends.values()}
    return {pixel: {number for number, d in enumerate(away[end]) if d == min(away[end])} for pixel, end in ends.items()}


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_weak_field_equals_components_by_definition(seed, least):
    rng = np.random.default_rng(seed)
    inside = rng.random((9, 10)) < 0.8
    refined, displacement = rng.normal(0, 3, (2, 9, 10, 2)).astype(np.float32)
    labels = cluster_by_weak_field(refined, displacement, np.where(inside, 3, -1), weak=1.2, least=least)
    choices = nearest_component(refined, displacement, inside, 1.2, least)
    owner = {}
    for pixel, possible in choices.items():
        if len(possible) == 1:  # of equally near ones, any will do
            (number,) = possible
            assert owner.setdefault(number, labels[pixel]) == labels[pixel]
    assert len(set(owner.values())) == len(owner)
