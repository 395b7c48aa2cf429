"""The whole of grouping: what holds for every field, and what perfect fields give."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ideal_fields import cells_of, ideal_fields, overlap, partition

from sisegcli.categories import BACKGROUND, IGNORE
from sisegcli.grouping.components import label_components
from sisegcli.grouping.group import group
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.prompts import Prompt
from sisegcli.windows import CELLS

STUFF = 9
DENSITY = GroupingOptions(centres="density", cut=0.5, join=0.5, join_size=1.0)
WEAK = GroupingOptions(centres="weak-field")
seeds = st.integers(0, 2**32 - 1)
both = pytest.mark.parametrize("options", [DENSITY, WEAK], ids=["density", "weak-field"])


def random_case(seed, most=56, noise=2.0):
    """Return a mask of blocks and thin diagonals, a field that points at random places, and a boundary map."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, most, 2)
    size = int(rng.integers(2, 12))
    blocks = rng.choice([BACKGROUND, BACKGROUND, IGNORE, 3, 3, 5, STUFF], (28, 28))
    mask = np.kron(blocks, np.ones((size, size), int))[:height, :width].astype(np.int32)
    for start in rng.integers(-most, most, 2):
        line = np.eye(height, width, start, dtype=bool) | np.eye(height, width, start + 1, dtype=bool)
        mask[line] = rng.choice([3, BACKGROUND])
    cells = cells_of(mask)
    aims = rng.uniform(0, cells.shape, (4, 2))
    place = np.indices(cells.shape).transpose(1, 2, 0)
    field = aims[rng.integers(0, 4, cells.shape)] - place + rng.normal(0, noise, (*cells.shape, 2))
    return mask, field.astype(np.float32), rng.random(cells.shape, np.float32)


def rectangles(*boxes, size=(80, 96)):
    """Paint boxes (top, bottom, left, right) with labels from 1, later ones over earlier ones."""
    labels = np.zeros(size, np.int32)
    for number, (top, bottom, left, right) in enumerate(boxes, start=1):
        labels[top:bottom, left:right] = number
    return labels


def mask_of(labels, categories):
    return np.array([BACKGROUND, *categories], np.int32)[labels]


# -- what holds for every field ----------------------------------------------------------------------------------------


@both
@given(seeds, st.booleans())
def test_instances_cover_the_mask_and_keep_its_categories(options, seed, refine):
    mask, field, boundary = random_case(seed)
    found = group(mask, field, boundary, replace(options, refine=refine), stuff=[STUFF])
    assert found.labels.dtype == np.int32 and found.labels.shape == mask.shape
    np.testing.assert_array_equal(found.labels > 0, mask >= 0)
    for label in np.unique(found.labels[found.labels > 0]).tolist():
        assert set(mask[found.labels == label].tolist()) == {found.categories[label]}
    assert len(np.unique(found.labels[mask == STUFF])) <= 1
    assert set(found.scores) == set(found.categories)
    assert all(0 <= score <= 1 for score in found.scores.values())


@both
@given(seeds)
def test_moved_edges_leave_ignored_pixels_stuff_and_small_instances(options, seed):
    mask, field, boundary = random_case(seed)
    kept = group(mask, field, boundary, options, stuff=[STUFF])
    moved = group(mask, field, boundary, replace(options, edges="refine"), outer=boundary**2, stuff=[STUFF])
    np.testing.assert_array_equal(moved.labels[mask == IGNORE], 0)
    np.testing.assert_array_equal(moved.labels[mask == STUFF], kept.labels[mask == STUFF])
    assert moved.categories == kept.categories
    assert set(np.unique(moved.labels).tolist()) | {0} == set(np.unique(kept.labels).tolist()) | {0}
    assert all(0 <= score <= 1 for score in moved.scores.values())


@both
@given(seeds)
def test_the_same_again_and_inputs_as_they_were(options, seed):
    mask, field, boundary = random_case(seed)
    before = mask.copy(), field.copy(), boundary.copy()
    one, other = (group(mask, field, boundary, replace(options, edges="refine"), stuff=[STUFF]) for _ in range(2))
    np.testing.assert_array_equal(one.labels, other.labels)
    assert (one.categories, one.scores) == (other.categories, other.scores)
    for values, kept in zip((mask, field, boundary), before, strict=True):
        np.testing.assert_array_equal(values, kept)


@given(seeds)
def test_without_boundaries_and_joins_objects_are_components(seed):
    mask, field, boundary = random_case(seed)
    found = group(mask, field, np.zeros_like(boundary), replace(DENSITY, join=0), stuff=[STUFF])
    components, categories = label_components(mask, stuff=[STUFF], connectivity=4)
    assert partition(found.labels) == partition(components)
    assert Counter(found.categories.values()) == Counter(categories.values())


@given(seeds)
def test_without_joins_objects_lie_in_one_region(seed):
    mask, field, boundary = random_case(seed)
    found = group(mask, field, boundary, replace(DENSITY, join=0, cut=0.1), stuff=[STUFF])
    components, _ = label_components(mask, stuff=[STUFF], connectivity=4)
    for label in found.categories:
        assert len(np.unique(components[found.labels == label])) <= 1


@both
@given(seeds)
def test_names_of_categories_do_not_matter(options, seed):
    mask, field, boundary = random_case(seed)
    names = {BACKGROUND: BACKGROUND, IGNORE: IGNORE, 3: 8, 5: 0, STUFF: 2}
    other = np.vectorize(names.get, otypes=[np.int32])(mask)
    one = group(mask, field, boundary, options, stuff=[STUFF])
    two = group(other, field, boundary, options, stuff=[2])
    assert partition(one.labels) == partition(two.labels)


@both
@pytest.mark.parametrize("value", [BACKGROUND, IGNORE, STUFF])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (30, 41)])
def test_no_things(options, value, shape):
    mask = np.full(shape, value, np.int32)
    cells = cells_of(mask).shape
    fields = np.ones((*cells, 2), np.float32), np.full(cells, 0.3, np.float32)
    found = group(mask, *fields, replace(options, edges="refine"), stuff=[STUFF])
    assert found.categories == ({1: STUFF} if value == STUFF else {})
    assert found.scores == ({1: 1.0} if value == STUFF else {})
    assert (found.labels == (value == STUFF)).all()


@both
def test_specks_that_no_cell_sees_are_instances(options):
    mask = np.full((24, 24), BACKGROUND, np.int32)
    mask[4:20, 10:20] = 3
    mask[0, 0] = mask[3:5, 4] = mask[23, 0:2] = 3
    mask[12, 21] = 5
    found = group(mask, np.zeros((6, 6, 2), np.float32), np.zeros((6, 6), np.float32), options)
    assert partition(found.labels) == partition(label_components(mask)[0])
    assert sorted(found.categories.values()) == [3, 3, 3, 3, 5]


# -- what perfect fields give ------------------------------------------------------------------------------------------

TOUCHING = rectangles((20, 60, 12, 44), (20, 60, 44, 84))


@both
@pytest.mark.parametrize("refine", [True, False])
def test_two_that_touch_are_cut(options, refine):
    found = group(mask_of(TOUCHING, [3, 3]), *ideal_fields(TOUCHING), replace(options, refine=refine))
    assert list(found.categories.values()) == [3, 3]
    assert partition(found.labels) == partition(TOUCHING)


@pytest.mark.parametrize("refine", [True, False])
def test_without_a_boundary_they_are_one(refine):
    field, boundary = ideal_fields(TOUCHING)
    found = group(mask_of(TOUCHING, [3, 3]), field, np.zeros_like(boundary), replace(DENSITY, refine=refine))
    assert partition(found.labels) == partition(TOUCHING > 0)


def test_a_boundary_alone_cuts_nothing():
    _, boundary = ideal_fields(TOUCHING)
    field, _ = ideal_fields((TOUCHING > 0).astype(np.int32))
    found = group(mask_of(TOUCHING, [3, 3]), field, boundary, DENSITY)
    assert partition(found.labels) == partition(TOUCHING > 0)


HIDDEN = rectangles((24, 56, 8, 88), (8, 72, 40, 60))


@both
def test_pieces_behind_another_object_are_one(options):
    found = group(mask_of(HIDDEN, [3, 5]), *ideal_fields(HIDDEN), options)
    assert sorted(found.categories.values()) == [3, 5]
    assert partition(found.labels) == partition(HIDDEN)


@both
def test_two_whose_votes_do_not_meet_stay_two(options):
    apart = rectangles((24, 56, 8, 40), (24, 56, 60, 88), (8, 72, 40, 60))
    found = group(mask_of(apart, [3, 3, 5]), *ideal_fields(apart), options)
    assert partition(found.labels) == partition(apart)


def test_weak_field_follows_the_field_step_by_step():
    # All pixels know the direction alone; those on the left get past the object in front only by many steps.
    labels = rectangles((24, 56, 8, 184), (8, 72, 60, 100), size=(80, 192))
    field, boundary = ideal_fields(labels)
    field[..., 1] = np.clip(40 - np.indices(boundary.shape)[1], -3, 3)
    found = group(mask_of(labels, [3, 5]), field, boundary, WEAK)
    assert partition(found.labels) == partition(labels)


@both
def test_stuff_is_never_cut(options):
    found = group(mask_of(TOUCHING, [STUFF, STUFF]), *ideal_fields(TOUCHING), options, stuff=[STUFF])
    assert partition(found.labels) == partition(TOUCHING > 0)
    assert list(found.scores.values()) == [1.0]


@both
def test_edges_of_a_rough_mask_go_to_the_boundary(options):
    true = rectangles((16, 64, 12, 44), (16, 64, 44, 84))
    rough = rectangles((20, 60, 16, 44), (20, 60, 44, 80))
    field, boundary = ideal_fields(true)
    _, inner = ideal_fields(np.ones_like(true))
    cells = cells_of(true)
    ridge = np.where((boundary > 0) & (cells == 0), boundary, inner)
    ridge[:, 10:12] = np.where(cells[:, 10:12] > 0, 0.95, ridge[:, 10:12])
    found = group(mask_of(rough, [3, 3]), field, boundary, replace(options, edges="refine"), outer=ridge)
    for number in (1, 2):
        best = max(overlap(found.labels == label, true == number) for label in found.categories)
        assert best > max(0.93, overlap(rough == number, true == number))


@both
@given(seeds)
def test_a_mirrored_picture_gives_mirrored_instances(options, seed):
    # Middles of cells are not symmetric: (4i + 2) against (4i + 1); so borders may move by a cell.
    rng = np.random.default_rng(seed)
    top, left = rng.integers(4, 20, 2)
    bottom, middle, right = rng.integers(48, 76), rng.integers(40, 52), rng.integers(72, 92)
    labels = rectangles((top, bottom, left, middle), (top, bottom, middle, right), (0, top, 0, 96))
    mask, (field, boundary) = mask_of(labels, [3, 3, 5]), ideal_fields(labels)
    one = group(mask, field, boundary, options)
    two = group(mask[:, ::-1], field[:, ::-1] * np.float32([1, -1]), boundary[:, ::-1], options)
    back = two.labels[:, ::-1]
    assert Counter(one.categories.values()) == Counter(two.categories.values())
    for label in np.unique(one.labels[one.labels > 0]):
        mine = one.labels == label
        best = max((back == other for other in two.categories), key=lambda theirs: overlap(mine, theirs))
        assert (mine ^ best).sum() <= 4 * 80


# -- what a membership network says ------------------------------------------------------------------------------------


class Witness:
    """Gives one answer to all questions, and remembers them."""

    def __init__(self, logit: float) -> None:
        self.logit = logit
        self.asked: list[list[Prompt]] = []

    def __call__(self, prompts) -> np.ndarray:
        self.asked.append(list(prompts))
        return np.full((len(prompts), CELLS, CELLS), self.logit, np.float32)


ONE, TWO = 8.0, -8.0


def test_the_pieces_of_two_that_touch_are_asked_about():
    witness = Witness(0.0)
    group(mask_of(TOUCHING, [3, 3]), *ideal_fields(TOUCHING), DENSITY, ask=witness)
    [prompts] = witness.asked
    assert len(prompts) == 2
    for prompt, label in zip(prompts, (1, 2), strict=True):
        square = cells_of(TOUCHING) == label
        shown = np.zeros_like(square)
        (top, left), (height, width) = prompt.corner, prompt.core.shape
        shown[top : top + height, left : left + width] = prompt.core > 0
        assert not shown[~square].any() and shown.sum() > square.sum() / 2
        ys, xs = np.nonzero(label == TOUCHING)
        window = prompt.window
        assert window.top + window.side / 2 == pytest.approx(ys.mean() + 0.5, abs=2)
        assert window.left + window.side / 2 == pytest.approx(xs.mean() + 0.5, abs=2)


@pytest.mark.parametrize("wall", [0.2, 0.95])
def test_two_that_touch_are_one_or_two_by_their_word(wall):
    mask, fields = mask_of(TOUCHING, [3, 3]), ideal_fields(TOUCHING, wall)
    options = replace(DENSITY, refine=False)
    without = group(mask, *fields, options)
    assert len(without.categories) == (2 if wall > 0.5 else 1)
    for logit, expected in ((ONE, TOUCHING > 0), (TWO, TOUCHING), (0.0, without.labels)):
        found = group(mask, *fields, options, ask=Witness(logit))
        assert partition(found.labels) == partition(expected)
        assert set(found.categories.values()) == {3}


@pytest.mark.parametrize(
    "wall",
    [
        0.2,
        0.95,
    ],
)
def test_two_by_their_word_stay_two_when_borders_settle(wall):
    found = group(mask_of(TOUCHING, [3, 3]), *ideal_fields(TOUCHING, wall), DENSITY, ask=Witness(TWO))
    for number in (1, 2):
        assert max(overlap(found.labels == label, number == TOUCHING) for label in found.categories) > 0.9


@pytest.mark.parametrize("logit, one", [(ONE, True), (TWO, False)])
def test_pieces_behind_another_object_are_one_or_two_by_their_word(logit, one):
    # The front is so narrow that the pieces see each other in their windows; nobody asks about the front itself.
    labels = rectangles((24, 56, 8, 88), (8, 72, 44, 52))
    mask = mask_of(labels, [3, 5])
    witness = Witness(logit)
    found = group(mask, *ideal_fields(labels), DENSITY, ask=witness)
    assert len(witness.asked[0]) == 2
    assert partition(found.labels) == partition(labels if one else label_components(mask)[0])


def test_only_votes_in_clusters_have_questions():
    witness = Witness(ONE)
    found = group(mask_of(TOUCHING, [3, 3]), *ideal_fields(TOUCHING), WEAK, ask=witness)
    assert witness.asked == []
    assert partition(found.labels) == partition(TOUCHING)


@given(seeds, st.sampled_from([ONE, TWO, 0.0]))
def test_instances_cover_the_mask_whatever_is_said(seed, logit):
    mask, field, boundary = random_case(seed)
    found = group(mask, field, boundary, DENSITY, ask=Witness(logit), stuff=[STUFF])
    np.testing.assert_array_equal(found.labels > 0, mask >= 0)
    for label in np.unique(found.labels[found.labels > 0]).tolist():
        assert set(mask[found.labels == label].tolist()) == {found.categories[label]}
    assert set(found.scores) == set(found.categories)
    assert all(0 <= score <= 1 for score in found.scores.values())


def test_weaker_evidence_scores_lower():
    strong, weak = (
        group(mask_of(TOUCHING, [3, 3]), *ideal_fields(TOUCHING, wall), DENSITY).scores for wall in (0.95, 0.75)
    )
    assert len(strong) == len(weak) == 2
    assert min(strong.values()) > min(weak.values())


@both
def test_crumbs_score_lower_than_a_lone_object(options):
    # A lone object against crumbs of another category that has many.
    labels = rectangles((4, 76, 4, 44), *((y, y + 4, x, x + 4) for y in (8, 40, 70) for x in (60, 72, 84)))
    found = group(mask_of(labels, [3] + [5] * 9), *ideal_fields(labels), options)
    by_category = {category: [] for category in (3, 5)}
    for label, category in found.categories.items():
        by_category[category].append(found.scores[label])
    assert min(by_category[3]) > max(by_category[5])
