"""Shapes to judge, verdicts on unions of pieces, and what they do to instances and scores."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ideal_fields import ideal_fields, partition

from sisegcli.grouping.components import label_components
from sisegcli.grouping.group import group
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.scores import DOUBT, UNASKED, score_instances
from sisegcli.grouping.wholeness import LEAST, SURROUNDINGS, Verdicts, show
from sisegcli.windows import Window

seeds = st.integers(0, 2**32 - 1)


class Court:
    """Says of a shape as many log odds as `rule` makes of its cells, and remembers what it was asked."""

    def __init__(self, rule=lambda cells: 0.0):
        self.rule, self.asked = rule, []

    def __call__(self, shapes):
        self.asked.append(list(shapes))
        ones = [self.rule(np.count_nonzero(shape.shape)) for shape in shapes]
        return np.array([(one, 100.0) for one in ones], np.float32).reshape(-1, 2)

    def shown(self):
        """Return all shapes that it was shown, as sets of cells."""
        return [
            frozenset(map(tuple, (np.argwhere(shape.shape) + shape.corner).tolist()))
            for batch in self.asked
            for shape in batch
        ]


def places(cells):
    return frozenset(map(tuple, np.argwhere(cells).tolist()))


# -- showing -----------------------------------------------------------------------------------------------------------


def test_a_shape_in_its_box_and_the_window_around_it():
    cells = np.array(
        [
            [0, 0, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0],
            [0, 1, 1, 1, 1, 0],
            [0, 0, 0, 0, 1, 0],
        ],
        bool,
    )
    found = show(cells, 4.0)
    assert found.shape.tolist() == [[0, 255, 0, 0], [255, 255, 255, 255], [0, 0, 0, 255]]
    assert found.shape.dtype == np.uint8
    assert found.corner == (1, 1)
    # Rows 4 to 16, columns 4 to 20: the middle is at (10, 12), the longer side 16.
    assert found.window == Window(10 - 32, 12 - 32, 64)


def test_small_shapes_have_windows_that_show_something():
    found = show(np.eye(1, dtype=bool))
    assert (found.shape.tolist(), found.corner, found.window) == ([[255]], (0, 0), Window(-18.0, -18.0, 40.0))


@given(seeds, st.floats(1, 4))
def test_boxes_are_tight_and_windows_lie_around_their_middles(seed, surroundings):
    rng = np.random.default_rng(seed)
    cells = rng.random(tuple(rng.integers(1, 30, 2))) < rng.uniform(0.01, 1)
    cells[rng.integers(cells.shape[0]), rng.integers(cells.shape[1])] = True
    found = show(cells, surroundings)
    (top, left), (height, width) = found.corner, found.shape.shape
    back = np.zeros_like(cells)
    back[top : top + height, left : left + width] = found.shape == 255
    np.testing.assert_array_equal(back, cells)
    assert found.shape.any(1)[[0, -1]].all() and found.shape.any(0)[[0, -1]].all()
    assert found.window.side == pytest.approx(max(40.0, 4 * max(height, width) * surroundings))
    assert found.window.top + found.window.side / 2 == pytest.approx(4 * top + 2 * height)
    assert found.window.left + found.window.side / 2 == pytest.approx(4 * left + 2 * width)


# -- verdicts ----------------------------------------------------------------------------------------------------------

LABELS = np.array([[1, 1, 2, 2, 0], [1, 1, 2, 3, 3]], np.int32)


def test_unions_are_asked_about_once_and_together():
    court = Court(float)
    verdicts = Verdicts(LABELS, court)
    one, pair = frozenset([1]), frozenset([2, 3])
    verdicts.ask([one, pair, one])
    assert court.shown() == [places(LABELS == 1), places(LABELS > 1)]
    assert len(court.asked) == 1
    assert (verdicts.one(one), verdicts.one(pair)) == (4, 5)
    verdicts.ask([pair, frozenset([2]), one])
    assert [len(batch) for batch in court.asked] == [2, 1]
    verdicts.ask([pair, one])
    verdicts.ask([])
    assert len(court.asked) == 2
    assert verdicts.one(frozenset([1, 3])) == 6  # what was not asked about before is asked about now
    assert [len(batch) for batch in court.asked] == [2, 1, 1]


def test_cells_of_a_union():
    verdicts = Verdicts(LABELS, Court())
    assert verdicts.cells(frozenset([1, 3])).tolist() == [
        [True, True, False, False, False],
        [True, True, False, True, True],
    ]


def test_probabilities_of_objects():
    labels = np.repeat([[1] * 6 + [2] * 3 + [3] * 3 + [4] * 5 + [0] * 2], 2, axis=0).astype(np.int32)
    court = Court(lambda cells: {12: 0.0, 10: math.log(3)}[cells])
    ones = Verdicts(labels, court).ones(np.array([0, 1, 2, 2, 3], np.int32))
    assert ones == {1: 0.5, 2: 0.5, 3: pytest.approx(0.75)}
    assert [len(batch) for batch in court.asked] == [3]


@pytest.mark.parametrize("cells, asked", [(LEAST - 1, []), (LEAST, [1])])
def test_crumbs_are_not_asked_about(cells, asked):
    court = Court()
    assert list(Verdicts(np.ones((1, cells), np.int32), court).ones(np.array([0, 1], np.int32))) == asked
    assert len(court.asked) == len(asked)


def test_no_objects_no_probabilities():
    court = Court()
    verdicts = Verdicts(np.zeros((3, 4), np.int32), court)
    assert verdicts.ones(np.zeros(1, np.int32)) == {} and court.asked == []


@pytest.mark.parametrize("logit, expected", [(1e4, 1.0), (-1e4, 0.0)])
def test_whatever_the_network_says_is_a_probability(logit, expected):
    labels = np.ones((3, 4), np.int32)
    assert Verdicts(labels, Court(lambda _: logit)).ones(np.array([0, 1], np.int32)) == {1: pytest.approx(expected)}


@given(seeds, st.integers(1, 6))
def test_probabilities_equal_a_loop_over_all_objects(seed, limit):
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 9, (5, 5)), np.ones((2, 2), int)).astype(np.int32)
    owner = np.concatenate(([0], rng.integers(1, 6, int(labels.max(initial=0))))).astype(np.int32)
    court = Court(lambda cells: cells / 10 - 1)
    found = Verdicts(labels, court).ones(owner, limit=limit)
    area = {n: sum(int(owner[piece]) == n for piece in labels.ravel().tolist()) for n in range(1, 7)}
    able = [n for n in sorted(area, key=lambda n: (-area[n], n)) if area[n] >= LEAST][:limit]
    assert list(found) == able
    for number in able:
        assert found[number] == pytest.approx(1 / (1 + math.exp(1 - area[number] / 10)), rel=1e-5)
    assert court.shown() == [places(owner[labels] == number) for number in able]


# -- scores ------------------------------------------------------------------------------------------------------------

TWO = np.array([[1, 1, 1, 2]], np.int32)


def test_the_twentieth_root_of_the_probability_counts():
    known = ({1: 5, 2: 5}, {1: 1.0, 2: 0.5})
    plain = score_instances(TWO, *known)
    found = score_instances(TWO, *known, singles={1: 2**-20, 2: 1.0})
    assert plain == {1: 0.75, 2: 0.125}
    assert found == {1: pytest.approx(0.75 / 2), 2: 0.125}
    unsized = score_instances(TWO, *known, singles={1: 2**-20, 2: 1.0}, sized=False)
    assert unsized == {1: pytest.approx(0.5), 2: 0.5}
    assert DOUBT == 0.05


def test_instances_that_nobody_was_asked_about_are_as_good_as_undecided():
    known = ({1: 5, 2: 5}, {1: 1.0, 2: 1.0})
    found = score_instances(TWO, *known, singles={1: UNASKED})
    assert found == score_instances(TWO, *known, singles={})
    assert found == {1: pytest.approx(0.75 * 0.5**0.05), 2: pytest.approx(0.25 * 0.5**0.05)}


def test_segments_of_stuff_score_one_whatever_is_said():
    found = score_instances(TWO, {1: 5, 2: 6}, {1: 1.0, 2: 1.0}, singles={1: 0.0, 2: 0.0}, stuff=[6])
    assert found == {1: 0.0, 2: 1.0}


# -- the whole of grouping ---------------------------------------------------------------------------------------------

OPTIONS = GroupingOptions(centres="density", cut=0.5, join=0.5, join_size=1.0, refine=False)
TOUCHING = np.zeros((80, 96), np.int32)
TOUCHING[16:64, 8:48], TOUCHING[16:64, 48:88] = 1, 2
MASK = np.where(TOUCHING > 0, 3, -1).astype(np.int32)


def test_two_that_touch_are_one_if_the_court_says_so():
    fields = ideal_fields(TOUCHING, 0.95)
    for logit, expected in ((9.0, TOUCHING > 0), (0.0, TOUCHING), (-9.0, TOUCHING)):
        court = Court(lambda _, logit=logit: logit)
        assert partition(group(MASK, *fields, OPTIONS, judge=court).labels) == partition(expected)
        assert len(court.shown()) == len(set(court.shown())) == (1 if logit > 0 else 3)
    # One that the boundary does not cut stays one.
    weak = group(MASK, *ideal_fields(TOUCHING, 0.2), OPTIONS, judge=Court(lambda _: -9.0))
    assert partition(weak.labels) == partition(TOUCHING > 0)


def test_probabilities_go_into_scores_and_change_nothing_else():
    fields = ideal_fields(TOUCHING, 0.95)
    plain = group(MASK, *fields, OPTIONS)
    halves = {10 * 12: -2.0, 20 * 12: -9.0}
    found = group(MASK, *fields, OPTIONS, judge=Court(halves.__getitem__))
    np.testing.assert_array_equal(found.labels, plain.labels)
    for label, score in plain.scores.items():
        assert found.scores[label] == pytest.approx(score * (1 / (1 + math.exp(2))) ** 0.05)


def draw_what_is_there(looks):
    """Stand for an edge refiner that leaves outlines as they are."""
    size = 80
    answers = []
    for look in looks:
        at = look.window.side / size * (np.arange(size) + 0.5)
        rows, columns = (np.floor(at + start - c) for start, c in zip(look.window[:2], look.corner, strict=True))
        inside = [(v >= 0) & (v < n) for v, n in zip((rows, columns), look.shape.shape, strict=True)]
        answers.append(np.where(inside[0][:, None] & inside[1][None], 6.0, -6.0))
    return np.array(answers, np.float32), np.full(len(looks), 5.0, np.float32)


def test_on_rough_masks_probabilities_do_not_count_but_vetoes_do():
    fields = ideal_fields(TOUCHING, 0.95)
    plain = group(MASK, *fields, OPTIONS, draw=draw_what_is_there)
    court = Court(lambda _: -2.0)
    found = group(MASK, *fields, OPTIONS, draw=draw_what_is_there, judge=court)
    np.testing.assert_array_equal(found.labels, plain.labels)
    assert found.scores == plain.scores
    assert len(court.shown()) == 1  # the border, and no object
    one = group(MASK, *fields, OPTIONS, draw=draw_what_is_there, judge=Court(lambda _: 9.0))
    assert len(one.categories) == 1


def test_stuff_is_not_judged():
    labels = TOUCHING.copy()
    labels[:12] = 3
    mask = np.array([-1, 3, 3, 7], np.int32)[labels]
    court = Court()
    found = group(mask, *ideal_fields(labels, 0.95), OPTIONS, judge=court, stuff=[7])
    assert court.shown() and all(row >= 3 for cells in court.shown() for row, _ in cells)
    assert [found.scores[label] for label, category in found.categories.items() if category == 7] == [1.0]


def test_where_the_field_is_followed_nobody_is_judged():
    court = Court()
    weak = replace(OPTIONS, centres="weak-field")
    found = group(MASK, *ideal_fields(TOUCHING), weak, judge=court)
    plain = group(MASK, *ideal_fields(TOUCHING), weak)
    assert court.asked == [] and found.scores == plain.scores


def test_surroundings_are_those_that_are_taught():
    assert 1.4 < SURROUNDINGS < 2.1


@given(seeds, st.sampled_from([9.0, 0.0, -9.0]))
def test_instances_cover_the_mask_whatever_is_said(seed, logit):
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.choice([-1, -2, 3, 3, 5], (6, 6)), np.ones((8, 8), int)).astype(np.int32)
    field = rng.normal(0, 4, (12, 12, 2)).astype(np.float32)
    found = group(mask, field, rng.random((12, 12), np.float32), OPTIONS, judge=Court(lambda _: logit))
    np.testing.assert_array_equal(found.labels > 0, mask >= 0)
    for label, category in found.categories.items():
        assert set(mask[found.labels == label].tolist()) <= {category}
    assert all(0 <= score <= 1 for score in found.scores.values())
    if logit > 0:  # nothing inside a region stays apart
        regions, _ = label_components(mask, connectivity=4)
        for region in range(1, int(regions.max()) + 1):
            assert len(np.unique(found.labels[regions == region])) == 1
