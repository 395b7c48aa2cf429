"""Decisions: what stays apart and what becomes one, and an agglomeration that starts over at every step."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ideal_fields import partition

from sisegcli.grouping import evidence
from sisegcli.grouping.evidence import cut_evidence, decide
from sisegcli.grouping.joins import JOIN_ODDS
from sisegcli.grouping.nodes import Link, make_nodes
from sisegcli.grouping.pieces import Pieces, contacts, describe
from sisegcli.grouping.wholeness import Verdicts

CUT = 0.5
SURE = 2.0
"""More evidence than there can be."""


def settle(pieces, boundary, *, cut=CUT, join=0.5, join_size=1.0, pairs=None, verdicts=None):
    return decide(pieces, boundary, cut=cut, join=join, join_size=join_size, pairs=pairs, verdicts=verdicts)


def random_case(seed):
    """Return blocky pieces of a few regions, with votes near their middles, and a boundary map."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(2, 6, 2)
    block = np.ones((3, 3), int)
    labels = np.kron(np.arange(1, height * width + 1).reshape(height, width), block).astype(np.int32)
    regions = np.kron(rng.choice([0, 1, 1, 1, 1, 2], (height, width)), block)
    labels[regions == 0] = 0
    _, dense = np.unique(np.append(labels, 0), return_inverse=True)
    labels = dense[:-1].reshape(labels.shape).astype(np.int32)
    categories = np.array([-1, *rng.integers(0, 2, 2)])[regions]
    field = rng.normal(0, 2, (*labels.shape, 2)).astype(np.float32)
    return describe(labels, regions, categories, field), rng.random(labels.shape, np.float32), field


def random_pairs(pieces, seed, *, across=True):
    """Return log odds for some pairs of pieces of a category, those of one region alone unless `across`."""
    rng = np.random.default_rng(seed)
    return {
        (a, b): float(rng.normal(0, 4))
        for a, b in itertools.combinations(range(1, len(pieces.area)), 2)
        if pieces.category[a] == pieces.category[b]
        and (across or pieces.region[a] == pieces.region[b])
        and rng.random() < 0.5
    }


def blocks(*, votes_meet, size=10):
    """Return two pieces of one region side by side, whose cells point at their own centre or at the common one."""
    labels = np.repeat([[1] * size + [2] * size], size, axis=0).astype(np.int32)
    place = np.indices(labels.shape).transpose(1, 2, 0)
    middle = np.where(labels == 1, size / 2, 1.5 * size) if not votes_meet else np.full(labels.shape, float(size))
    field = np.stack((np.full(labels.shape, size / 2), middle), axis=2) - place
    return describe(labels, np.ones_like(labels), np.ones_like(labels), field.astype(np.float32))


def wall(pieces, strength):
    boundary = np.zeros(pieces.labels.shape, np.float32)
    middle = boundary.shape[1] // 2
    boundary[:, middle - 1 : middle + 1] = strength
    return boundary


def fragments(distance, *, between=20, category=(1, 1), region=(1, 2), area=36.0):
    """Return two pieces whose centres are `between` and whose mean votes are `distance` apart."""
    labels = np.zeros((4, 40), np.int32)
    labels[0, 0], labels[3, 39] = 1, 2
    middle = between / 2
    votes = np.array([[0, 0], [2, middle - distance / 2], [2, middle + distance / 2]])
    return Pieces(
        labels,
        region=np.array([0, *region]),
        category=np.array([-1, *category]),
        area=np.array([0, area, area]),
        centre=np.array([[0, 0], [2, 0], [2, between]], float),
        vote=votes.astype(float),
        spread=np.zeros(3),
    )


# -- evidence ----------------------------------------------------------------------------------------------------------

strengths, lengths = st.floats(0, 1), st.floats(0, 50)


@given(strengths, lengths, lengths)
def test_evidence_never_exceeds_the_boundary(strength, distance, spread):
    assert 0 <= cut_evidence(strength, distance, spread) <= strength


@given(strengths, strengths, lengths, lengths, lengths, lengths)
def test_evidence_grows_with_boundary_and_distance_and_falls_with_spread(s, more, d, further, v, wider):
    at = cut_evidence(s, d, v) - 1e-12
    assert cut_evidence(max(s, more), d, v) >= at
    assert cut_evidence(s, d + further, v) >= at
    assert cut_evidence(s, d, v) >= cut_evidence(s, d, v + wider) - 1e-12


@pytest.mark.parametrize("strength, distance, spread", [(0.0, 20, 0), (1.0, 0, 3)])
def test_both_are_needed(strength, distance, spread):
    assert cut_evidence(strength, distance, spread) < CUT


odds = st.floats(-40, 40).filter(bool)


@given(strengths, lengths, lengths, odds, odds)
def test_evidence_falls_with_the_odds_of_being_one(strength, distance, spread, one, other):
    low, high = sorted((one, other))
    unlikely, likely = (cut_evidence(strength, distance, spread, m) for m in (low, high))
    assert 0 <= likely <= unlikely + 1e-12 and unlikely <= 1
    # With nobody's word, evidence may be zero or one; with anybody's it keeps a thousandth off.
    nobody = cut_evidence(strength, distance, spread)
    assert cut_evidence(strength, distance, spread, abs(one)) <= nobody + 1e-3
    assert cut_evidence(strength, distance, spread, -abs(one)) >= nobody - 1e-3


@given(st.floats(0.05, 1), st.floats(1, 50), lengths, st.floats(-8, 8))
def test_half_the_odds_count(strength, distance, spread, m):
    def logit(e):
        return math.log(e / (1 - e))

    before, after = cut_evidence(strength, distance, spread), cut_evidence(strength, distance, spread, m)
    if 0.001 < before < 0.999:
        assert logit(after) == pytest.approx(logit(before) - m / 2, abs=1e-6)


def test_odds_of_zero_say_nothing():
    assert cut_evidence(0.9, 20, 4, 0.0) == cut_evidence(0.9, 20, 4) == pytest.approx(0.72)
    assert cut_evidence(0.9, 20, 4, 2 * math.log(0.72 / 0.28)) == pytest.approx(0.5)


# -- cuts --------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_with_no_evidence_asked_for_all_pieces_stay(seed):
    pieces, boundary, _ = random_case(seed)
    owner, _ = settle(pieces, boundary, cut=0, join=0)
    assert owner.tolist() == list(range(len(pieces.area)))


@given(st.integers(0, 2**32 - 1))
def test_with_more_evidence_asked_for_than_there_is_regions_are_whole(seed):
    pieces, boundary, _ = random_case(seed)
    owner, weakest = settle(pieces, boundary, cut=SURE, join=0)
    whole = {frozenset(np.flatnonzero(pieces.region == region).tolist()) for region in set(pieces.region[1:].tolist())}
    assert partition(owner) == whole
    np.testing.assert_array_equal(weakest, np.ones(len(whole) + 1))


@given(st.integers(0, 2**32 - 1))
def test_a_higher_threshold_only_merges(seed):
    pieces, boundary, _ = random_case(seed)
    low, high = (settle(pieces, boundary, cut=cut, join=0)[0] for cut in (0.2, 0.4))
    assert all(any(fine <= coarse for coarse in partition(high)) for fine in partition(low))


def test_a_boundary_between_votes_that_keep_apart_stays():
    pieces = blocks(votes_meet=False)
    owner, weakest = settle(pieces, wall(pieces, 0.99))
    assert owner.tolist() == [0, 1, 2]
    assert (weakest[1:] >= CUT).all() and (weakest[1:] <= 1).all()


def test_without_a_boundary_two_are_one():
    pieces = blocks(votes_meet=False)
    owner, weakest = settle(pieces, wall(pieces, 0.0))
    assert (owner.tolist(), weakest.tolist()) == ([0, 1, 1], [1, 1])


def test_a_boundary_through_one_object_cuts_nothing():
    pieces = blocks(votes_meet=True)
    assert settle(pieces, wall(pieces, 0.99))[0].tolist() == [0, 1, 1]


@pytest.mark.parametrize("cut", [0.3, 0.5])
def test_the_stronger_border_survives(cut):
    labels = np.repeat([[1] * 8 + [2] * 8 + [3] * 8], 8, axis=0).astype(np.int32)
    middle = (labels - 1) * 8.0 + 3.5
    field = np.stack((np.full(labels.shape, 3.5), middle), axis=2) - np.indices(labels.shape).transpose(1, 2, 0)
    boundary = np.zeros(labels.shape, np.float32)
    boundary[:, 7:9], boundary[:, 15:17] = 0.1, 0.99
    pieces = describe(labels, np.ones_like(labels), np.ones_like(labels), field.astype(np.float32))
    assert settle(pieces, boundary, cut=cut)[0].tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("strength, m, expected", [(0.99, 8.0, [0, 1, 1]), (0.3, -8.0, [0, 1, 2])])
def test_a_word_on_a_pair_decides(strength, m, expected):
    pieces = blocks(votes_meet=False)
    boundary = wall(pieces, strength)
    without, _ = settle(pieces, boundary)
    owner, weakest = settle(pieces, boundary, pairs={(1, 2): m})
    assert owner.tolist() == expected != without.tolist()
    assert ((weakest[1:] >= CUT) & (weakest[1:] <= 1)).all()


def test_a_word_on_others_changes_nothing():
    pieces = blocks(votes_meet=False)
    found = settle(pieces, wall(pieces, 0.9), pairs={})
    expected = settle(pieces, wall(pieces, 0.9))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("far, expected", [(9.0, [0, 1, 1, 1]), (-3.0, [0, 1, 1, 2])])
def test_words_on_merged_pieces_add_up_by_area(far, expected):
    # Pieces 1 and 2 merge; their words on 3, which touches 2 alone, then count as 4 to 8 columns of 8.
    labels = np.repeat([[1] * 4 + [2] * 8 + [3] * 8], 8, axis=0).astype(np.int32)
    aim = np.select([labels == 1, labels == 2, labels == 3], [1.5, 7.5, 15.5])
    field = np.stack((np.full(labels.shape, 3.5), aim), axis=2) - np.indices(labels.shape).transpose(1, 2, 0)
    boundary = np.zeros(labels.shape, np.float32)
    boundary[:, 11:13] = 0.9
    pieces = describe(labels, np.ones_like(labels), np.ones_like(labels), field.astype(np.float32))
    pairs = {(1, 3): far, (2, 3): 0.5}
    owner, weakest = settle(pieces, boundary, pairs=pairs)
    assert owner.tolist() == expected
    if far < 0:
        united = math.sqrt((1.5 - 5.5) ** 2 / 3 + (7.5 - 5.5) ** 2 * 2 / 3)  # a third of the votes end at 1.5
        m = (far * 4 + 0.5 * 8) / 12
        assert weakest[1] == pytest.approx(cut_evidence(0.9, 15.5 - 5.5, united, m), abs=1e-4)


def agglomerate(pieces, boundary, field, cut, pairs, start=None, word=None):
    """Merge the weakest pair, describe everything anew, and so on; return the labels and the order of evidence."""
    labels, regions = (pieces.labels if start is None else start).copy(), pieces.region[pieces.labels]
    categories = np.where(labels > 0, pieces.category[pieces.labels], -1)
    order = []
    while True:
        now = describe(labels, regions, categories, field)
        nodes = make_nodes(now, boundary, None)
        said = {}
        for (a, b), m in pairs.items():
            pair = tuple(sorted(int(labels[pieces.labels == piece][0]) for piece in (a, b)))
            said.setdefault(pair, []).append((m, min(pieces.area[a], pieces.area[b])))
        for (a, b), words in said.items():
            nodes[a].links[b] = nodes[b].links[a] = Link(sum(m * w for m, w in words), sum(w for _, w in words))
        first, second, _, _ = contacts(now.labels, now.region, boundary)
        touching = list(zip(first.tolist(), second.tolist(), strict=True))
        found = {pair: evidence._evidence(nodes, *pair, None) for pair in touching}
        if word is not None:
            found = {pair: lowered(e, word(pieces_in(pieces, np.isin(labels, pair)))) for pair, e in found.items()}
        if not found or min(found.values()) >= cut:
            return labels, order, found
        a, b = min(found, key=lambda pair: (found[pair], pair))
        order.append(found[a, b])
        labels[labels == b] = a
        labels[labels > b] -= 1


@given(st.integers(0, 2**32 - 1), st.floats(0.15, 0.4) | st.just(SURE), st.booleans())
def test_merging_equals_starting_over_at_every_step(seed, cut, asked):
    pieces, boundary, field = random_case(seed)
    pairs = random_pairs(pieces, seed, across=False) if asked else {}
    owner, weakest = settle(pieces, boundary, cut=cut, join=0, pairs=pairs if asked else None)
    labels, order, left = agglomerate(pieces, boundary, field, cut, pairs)
    assert partition(owner[pieces.labels]) == partition(labels)
    for number in range(1, len(weakest)):
        merged = int(labels[owner[pieces.labels] == number][0])
        borders = [value for pair, value in left.items() if merged in pair]
        assert weakest[number] == pytest.approx(min(borders, default=1), abs=1e-4)
    assert all(value < cut for value in order)


# -- vetoes ------------------------------------------------------------------------------------------------------------


def pieces_in(pieces, cells):
    return frozenset(np.unique(pieces.labels[cells & (pieces.labels > 0)]).tolist())


def lowered(value, word):
    """Lower evidence by a word in favour of one object."""
    word -= evidence.SURE
    if word <= 0:
        return value
    value = min(max(value, 1e-3), 1 - 1e-3)
    odds = math.log(value / (1 - value)) - min(word, 25.0)
    return 1 / (1 + math.exp(-odds))


class Court:
    """Answers with what `word` says of a union of pieces, and remembers the unions."""

    def __init__(self, pieces, word):
        self.pieces, self.word, self.asked = pieces, word, []
        self.verdicts = Verdicts(pieces.labels, self)

    def __call__(self, shapes):
        unions = []
        for shape in shapes:
            (top, left), (height, width) = shape.corner, shape.shape.shape
            cells = np.zeros(self.pieces.labels.shape, bool)
            cells[top : top + height, left : left + width] = shape.shape > 0
            unions.append(pieces_in(self.pieces, cells))
        self.asked += unions
        return np.array([(self.word(union), -50.0) for union in unions], np.float32)


def random_word(seed):
    """Return what says something of its own of each union, the same whenever it is asked."""
    return lambda union: float(np.float32(np.random.default_rng((seed, *sorted(union))).normal(0, 2)))


@pytest.mark.parametrize("word, expected", [(8.0, [0, 1, 1]), (1.1, [0, 1, 2]), (-8.0, [0, 1, 2])])
def test_a_strong_border_through_what_is_called_one_goes(word, expected):
    pieces = blocks(votes_meet=False)
    court = Court(pieces, lambda _: word)
    owner, weakest = settle(pieces, wall(pieces, 0.99), verdicts=court.verdicts)
    assert owner.tolist() == expected and court.asked == [{1, 2}]
    plain = settle(pieces, wall(pieces, 0.99))[1][1]
    if len(weakest) == 3:
        assert weakest[1] == weakest[2] == pytest.approx(lowered(plain, word))
    else:
        assert weakest.tolist() == [1, 1]


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_word_against_one_object_changes_nothing(seed, asked):
    pieces, boundary, _ = random_case(seed)
    pairs = random_pairs(pieces, seed) if asked else None
    plain = settle(pieces, boundary, cut=0.3, pairs=pairs)
    for word in (-9.0, evidence.SURE):
        found = settle(pieces, boundary, cut=0.3, pairs=pairs, verdicts=Court(pieces, lambda _, w=word: w).verdicts)
        np.testing.assert_array_equal(found[0], plain[0])
        np.testing.assert_array_equal(found[1], plain[1])


def test_borders_that_go_without_a_word_are_not_asked_about():
    # Nothing lies between 1 and 2; 3 is another object.
    labels = np.repeat([[1] * 8 + [2] * 8 + [3] * 8], 8, axis=0).astype(np.int32)
    aim = (labels - 1) * 8.0 + 3.5
    field = np.stack((np.full(labels.shape, 3.5), aim), axis=2) - np.indices(labels.shape).transpose(1, 2, 0)
    boundary = np.zeros(labels.shape, np.float32)
    boundary[:, 15:17] = 0.99
    pieces = describe(labels, np.ones_like(labels), np.ones_like(labels), field.astype(np.float32))
    court = Court(pieces, lambda _: -1.0)
    assert settle(pieces, boundary, verdicts=court.verdicts)[0].tolist() == [0, 1, 1, 2]
    assert court.asked == [{1, 2, 3}]


def test_what_a_veto_merges_is_asked_about_anew():
    # Strong borders all along; 1 and 2 are one, and both of them with 3 are not.
    labels = np.repeat([[1] * 8 + [2] * 8 + [3] * 8], 8, axis=0).astype(np.int32)
    aim = (labels - 1) * 8.0 + 3.5
    field = np.stack((np.full(labels.shape, 3.5), aim), axis=2) - np.indices(labels.shape).transpose(1, 2, 0)
    boundary = np.zeros(labels.shape, np.float32)
    boundary[:, 7:9] = boundary[:, 15:17] = 0.99
    pieces = describe(labels, np.ones_like(labels), np.ones_like(labels), field.astype(np.float32))
    court = Court(pieces, lambda union: {(1, 2): 9.0, (2, 3): 8.0, (1, 2, 3): -9.0}[tuple(sorted(union))])
    assert settle(pieces, boundary, verdicts=court.verdicts)[0].tolist() == [0, 1, 1, 2]
    assert court.asked == [{1, 2}, {2, 3}, {1, 2, 3}]


@given(st.integers(0, 2**32 - 1), st.floats(0.15, 0.4), st.booleans())
def test_vetoes_equal_starting_over_at_every_step(seed, cut, asked):
    pieces, boundary, field = random_case(seed)
    pairs = random_pairs(pieces, seed, across=False) if asked else {}
    court = Court(pieces, random_word(seed))
    owner, weakest = settle(pieces, boundary, cut=cut, join=0, pairs=pairs if asked else None, verdicts=court.verdicts)
    plain, _, _ = agglomerate(pieces, boundary, field, cut, pairs)
    labels, _, left = agglomerate(pieces, boundary, field, cut, pairs, plain, court.word)
    assert partition(owner[pieces.labels]) == partition(labels)
    for number in range(1, len(weakest)):
        merged = int(labels[owner[pieces.labels] == number][0])
        borders = [value for pair, value in left.items() if merged in pair]
        assert weakest[number] == pytest.approx(min(borders, default=1), abs=1e-4)
    # Each was asked about once, and holds two objects that no word kept apart.
    assert len(set(court.asked)) == len(court.asked)
    apart = [pieces_in(pieces, plain == n) for n in range(1, int(plain.max(initial=0)) + 1)]
    assert all(sum(part <= union for part in apart) >= 2 for union in court.asked)
    assert all(part <= union or not part & union for union in court.asked for part in apart)


@pytest.mark.parametrize("word", [9.0, -9.0])
@pytest.mark.parametrize("pairs", [None, {(1, 2): 9.0}, {(1, 2): -9.0}], ids=["votes", "one", "two"])
def test_joins_are_not_asked_about(word, pairs):
    boundary = np.zeros((4, 40), np.float32)
    court = Court(fragments(1.0), lambda _: word)
    found = settle(fragments(1.0), boundary, pairs=pairs, verdicts=court.verdicts)[0]
    assert found.tolist() == settle(fragments(1.0), boundary, pairs=pairs)[0].tolist()
    assert court.asked == []


# -- joins -------------------------------------------------------------------------------------------------------------


def test_fragments_whose_votes_meet_are_joined():
    owner, weakest = settle(fragments(1.0), np.zeros((4, 40), np.float32))
    assert (owner.tolist(), weakest.tolist()) == ([0, 1, 1], [1, 1])


@pytest.mark.parametrize(
    "pieces",
    [fragments(18.0), fragments(1.0, category=(1, 2)), fragments(1.0, region=(1, 1)), fragments(9.0, area=4.0)],
    ids=["votes apart", "two categories", "one region", "too small for the distance"],
)
def test_others_are_not(pieces):
    assert settle(pieces, np.zeros((4, 40), np.float32), cut=0)[0].tolist() == [0, 1, 2]


def test_no_share_of_the_distance_joins_nothing():
    assert settle(fragments(1e-6), np.zeros((4, 40), np.float32), join=0)[0].tolist() == [0, 1, 2]
    assert settle(fragments(1e-6), np.zeros((4, 40), np.float32), join_size=0)[0].tolist() == [0, 1, 2]


def test_of_two_pieces_of_a_region_the_one_that_votes_closer_is_joined():
    vote = np.array([[0, 0], [0, 10.5], [0, 8.0], [0, 10.0]])
    pieces = Pieces(
        labels=np.zeros((2, 2), np.int32),
        region=np.array([0, 1, 1, 2]),
        category=np.array([-1, 4, 4, 4]),
        area=np.array([0, 30.0, 30.0, 30.0]),
        centre=np.array([[0, 0], [0, 0], [6, 0], [0, 20.0]]),
        vote=vote,
        spread=np.zeros(4),
    )
    boundary = np.zeros((2, 2), np.float32)
    assert settle(pieces, boundary, cut=0)[0].tolist() == [0, 1, 2, 1]


def test_the_weakest_border_of_any_fragment_counts():
    # A fragment that lies alone, joined to one that is cut from its neighbour.
    labels = np.zeros((10, 50), np.int32)
    labels[:, :10], labels[:, 10:20], labels[:, 40:] = 1, 2, 3
    aim = np.select([labels == 1, labels > 1], [4.5, 26.0])
    field = np.stack((np.full(labels.shape, 4.5), aim), axis=2) - np.indices(labels.shape).transpose(1, 2, 0)
    boundary = np.zeros(labels.shape, np.float32)
    boundary[:, 9:11] = 0.95
    regions = np.where(labels == 3, 2, labels > 0)
    pieces = describe(labels, regions, np.where(labels > 0, 1, -1), field.astype(np.float32))
    owner, weakest = settle(pieces, boundary)
    assert owner.tolist() == [0, 1, 2, 2]
    assert weakest[1] == weakest[2] < 1


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2]), st.sampled_from([0.5, 2.0]))
def test_joins_cross_regions_alone_and_keep_categories(seed, cut, join):
    pieces, boundary, _ = random_case(seed)
    apart, _ = settle(pieces, boundary, cut=cut, join=0)
    owner, weakest = settle(pieces, boundary, cut=cut, join=join, join_size=3)
    assert owner.dtype == np.int32 and owner[0] == 0
    assert np.unique(owner[1:]).tolist() == list(range(1, len(weakest)))
    assert ((weakest >= 0) & (weakest <= 1)).all()
    for number in range(1, len(weakest)):
        members = np.flatnonzero(owner == number)
        assert len(set(pieces.category[members].tolist())) == 1
        for a, b in itertools.combinations(members, 2):
            assert apart[a] == apart[b] or pieces.region[a] != pieces.region[b]


# -- joins by members --------------------------------------------------------------------------------------------------

NOTHING = np.zeros((4, 40), np.float32)


@pytest.mark.parametrize("distance", [0.0, 1.0, 18.0])
def test_votes_count_beside_the_odds(distance):
    limit = JOIN_ODDS + math.log(distance / 20 + 0.1)
    for m, expected in ((limit + 0.01, [0, 1, 1]), (limit - 0.01, [0, 1, 2])):
        owner, weakest = settle(fragments(distance), NOTHING, pairs={(1, 2): m})
        assert owner.tolist() == expected
        assert (weakest == 1).all()


def test_where_nobody_spoke_of_a_pair_nothing_is_joined():
    assert settle(fragments(1.0), NOTHING)[0].tolist() == [0, 1, 1]
    assert settle(fragments(1.0), NOTHING, pairs={})[0].tolist() == [0, 1, 2]


def test_pieces_of_one_region_are_not_joined():
    assert settle(fragments(1.0, region=(1, 1)), NOTHING, cut=0, pairs={(1, 2): 20.0})[0].tolist() == [0, 1, 2]


def scattered(*regions):
    """Return pieces of these regions without borders, whose votes stay where they are."""
    count = len(regions) + 1
    place = np.stack((np.zeros(count), 20.0 * np.arange(count)), axis=1)
    return Pieces(
        labels=np.zeros((2, 2), np.int32),
        region=np.array([0, *regions]),
        category=np.array([-1] + [4] * len(regions)),
        area=np.array([0] + [30.0] * len(regions)),
        centre=place,
        vote=place.copy(),
        spread=np.zeros(count),
    )


@pytest.mark.parametrize(
    "regions, pairs, expected",
    [
        ((1, 1, 2), {(1, 3): 6.0, (2, 3): 5.0}, [0, 1, 2, 1]),
        ((1, 1, 2), {(1, 3): 5.0, (2, 3): 6.0}, [0, 1, 2, 2]),
        ((1, 1, 2, 3), {(1, 3): 9.0, (3, 4): 8.0, (2, 4): 7.0}, [0, 1, 2, 1, 1]),
        ((1, 1, 2, 3), {(1, 3): 9.0, (3, 4): 7.0, (2, 4): 8.0}, [0, 1, 2, 1, 2]),
        ((1, 2, 3), {(1, 2): 9.0, (2, 3): 9.0, (1, 3): -9.0}, [0, 1, 1, 1]),
    ],
    ids=["the first", "the second", "by way of a third", "two pairs", "a chain"],
)
def test_the_surest_are_joined_first_and_no_region_is_held_twice(regions, pairs, expected):
    assert settle(scattered(*regions), np.zeros((2, 2), np.float32), pairs=pairs)[0].tolist() == expected


@pytest.mark.parametrize("m, expected", [(9.0, [0, 1, 1, 1]), (-9.0, [0, 1, 1, 2])])
def test_what_was_said_of_merged_pieces_counts_for_the_whole(m, expected):
    # Piece 3 lies apart; 1 and 2, which have no boundary between them, are one.
    labels = np.zeros((10, 50), np.int32)
    labels[:, :10], labels[:, 10:20], labels[:, 40:] = 1, 2, 3
    regions = np.where(labels == 3, 2, labels > 0)
    pieces = describe(labels, regions, np.where(labels > 0, 1, -1), np.zeros((10, 50, 2), np.float32))
    assert settle(pieces, np.zeros(labels.shape, np.float32), pairs={(1, 3): 6.0, (2, 3): m})[0].tolist() == expected


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 0.5]))
def test_members_cross_regions_once_and_keep_categories(seed, cut):
    pieces, boundary, _ = random_case(seed)
    pairs = random_pairs(pieces, seed)
    kept = pairs.copy()
    inside = {(a, b): m for (a, b), m in pairs.items() if pieces.region[a] == pieces.region[b]}
    apart, _ = settle(pieces, boundary, cut=cut, pairs=inside)
    owner, weakest = settle(pieces, boundary, cut=cut, pairs=pairs)
    assert pairs == kept
    assert np.unique(owner[1:]).tolist() == list(range(1, len(weakest)))
    assert ((weakest >= 0) & (weakest <= 1)).all()
    assert all(any(fine <= coarse for coarse in partition(owner)) for fine in partition(apart))
    for number in range(1, len(weakest)):
        members = np.flatnonzero(owner == number)
        assert len(set(pieces.category[members].tolist())) == 1
        for a, b in itertools.combinations(members, 2):
            assert apart[a] == apart[b] or pieces.region[a] != pieces.region[b]


@given(st.integers(0, 2**32 - 1))
def test_inputs_stay_as_they_are(seed):
    pieces, boundary, _ = random_case(seed)
    kept = [values.copy() for values in vars(pieces).values()]
    settle(pieces, boundary, cut=0.3)
    for values, before in zip(vars(pieces).values(), kept, strict=True):
        np.testing.assert_array_equal(values, before)


def test_nothing_to_decide():
    nothing = np.zeros((3, 4), np.int32)
    pieces = describe(nothing, nothing, nothing - 1, np.zeros((3, 4, 2), np.float32))
    owner, weakest = settle(pieces, np.zeros((3, 4), np.float32))
    assert (owner.tolist(), weakest.tolist()) == ([0], [1])


@pytest.mark.parametrize(("strength", "kept"), [(1.0, True), (0.2, False)])
def test_decisions_are_told_with_their_doubt_and_places(strength, kept):
    pieces = blocks(votes_meet=False)
    found = []
    boundary = np.full(pieces.labels.shape, strength, np.float32)
    decide(pieces, boundary, cut=CUT, join=0.5, join_size=1.0, decisions=found)
    [decision] = found
    proof = cut_evidence(strength, 10.0, 0.0)
    assert decision.kept is kept
    assert decision.doubt == pytest.approx((1 - proof) / (1 - CUT) if kept else proof / CUT, rel=1e-3)
    assert (decision.first, decision.second) == ((4.5, 4.5), (4.5, 14.5))


@given(st.integers(0, 2**32 - 1))
def test_telling_decisions_changes_none(seed):
    pieces, boundary, _ = random_case(seed)
    pairs = random_pairs(pieces, seed)
    told = []
    for one, other in zip(
        settle(pieces, boundary, pairs=pairs),
        decide(pieces, boundary, cut=CUT, join=0.5, join_size=1.0, pairs=pairs, decisions=told),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert all(0 <= decision.doubt <= 1 for decision in told)
