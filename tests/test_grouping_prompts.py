"""Questions about pieces, beside plain loops over pieces and cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.grid import STRIDE
from sisegcli.grouping.pieces import Pieces, describe
from sisegcli.grouping.prompts import CORE, LEAST, MEETING, SURROUNDINGS, Prompt, choose_prompts, core_of, pair_up
from sisegcli.windows import CELLS, Window

seeds = st.integers(0, 2**32 - 1)


def random_pieces(seed: int) -> Pieces:
    """Return blocky pieces of a few regions and two categories, with votes near some common places."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(2, 7, 2)
    block = np.ones(rng.integers(2, 5, 2), int)
    labels = np.kron(np.arange(1, height * width + 1).reshape(height, width), block).astype(np.int32)
    regions = np.kron(rng.choice([0, 1, 1, 2, 3, 4, 5], (height, width)), block)
    labels[(regions == 0) | (rng.random(labels.shape) < 0.1)] = 0
    regions[labels == 0] = 0
    _, dense = np.unique(np.append(labels, 0), return_inverse=True)
    labels = dense[:-1].reshape(labels.shape).astype(np.int32)
    categories = np.array([-1, *rng.integers(0, 2, 5)])[regions]
    aims = rng.uniform(0, labels.shape, (4, 2))[np.kron(rng.integers(0, 4, (height, width)), block)]
    field = aims - np.indices(labels.shape).transpose(1, 2, 0) + rng.normal(0, 1, (*labels.shape, 2))
    return describe(labels, regions, categories, field.astype(np.float32))


def rows(
    *pieces: tuple[int, int], regions: list[int], categories: list[int], field: np.ndarray | None = None
) -> Pieces:
    """Return pieces 4 cells high, each from one column to another."""
    labels = np.zeros((4, pieces[-1][1]), np.int32)
    for number, (left, right) in enumerate(pieces, start=1):
        labels[:, left:right] = number
    field = np.zeros((*labels.shape, 2), np.float32) if field is None else field
    return describe(labels, np.array([0, *regions])[labels], np.array([-1, *categories])[labels], field)


def asked(pieces: Pieces, **options: int) -> list[int]:
    return [prompt.piece for prompt in choose_prompts(pieces, **options)]


# -- cores -------------------------------------------------------------------------------------------------------------


def depths(shape: np.ndarray) -> np.ndarray:
    """Return each cell's distance to the nearest one beyond the shape, the outside of the array included."""
    padded = np.pad(shape, 1)
    found = np.zeros(padded.shape)
    others = np.argwhere(~padded)
    for cell in np.argwhere(padded):
        found[tuple(cell)] = np.sqrt(((others - cell) ** 2).sum(1)).min()
    return found[1:-1, 1:-1]


@given(seeds, st.sampled_from([0.0, CORE, 0.5, 0.9]))
def test_a_core_is_what_lies_deep_enough(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.random(rng.integers(1, 9, 2)) < 0.8
    shape[0, 0] = True
    depth = depths(shape)
    core = core_of(shape, share)
    assert core.dtype == np.uint8 and set(np.unique(core).tolist()) <= {0, 255}
    assert (core[depth == depth.max()] == 255).all()  # its middle stays
    np.testing.assert_array_equal(core == 255, shape & (depth > share * depth.max() + 1e-9))


def test_a_core_without_a_share_is_the_shape_and_a_larger_share_leaves_less() -> None:
    shape = np.ones((11, 15), bool)
    sizes = [np.count_nonzero(core_of(shape, share)) for share in (0.0, 0.2, 0.5, 0.9)]
    assert sizes == [11 * 15, 9 * 13, 5 * 9, 1 * 5]


# -- who is asked about ------------------------------------------------------------------------------------------------


def test_neighbours_in_a_region_are_asked_about_and_lone_pieces_are_not() -> None:
    pieces = rows((0, 4), (4, 8), (10, 14), regions=[1, 1, 2], categories=[5, 5, 5])
    assert asked(pieces) == [1, 2]


@pytest.mark.parametrize(
    "regions, categories, pull, expected",
    [
        ([1, 2], [5, 5], 4.5, [1, 2]),
        ([1, 2], [5, 5], 0.5, []),
        ([1, 2], [5, 6], 4.5, []),
        ([1, 1], [5, 5], 0.5, [1, 2]),
    ],
    ids=["votes meet", "votes stay apart", "two categories", "one region"],
)
def test_pieces_whose_votes_meet_are_asked_about(
    regions: list[int], categories: list[int], pull: float, expected: list[int]
) -> None:
    field = np.zeros((4, 14, 2), np.float32)
    field[:, :4, 1], field[:, 10:, 1] = pull, -pull
    assert asked(rows((0, 4), (10, 14), regions=regions, categories=categories, field=field)) == expected


def test_small_pieces_are_not_asked_about() -> None:
    # 16 cells, and 4 of the same region.
    assert asked(rows((0, 4), (4, 5), regions=[1, 1], categories=[5, 5])) == [1]
    assert LEAST > 4


@pytest.mark.parametrize("limit, expected", [(0, []), (1, [3]), (2, [1, 3]), (3, [1, 2, 3]), (9, [1, 2, 3, 4])])
def test_of_too_many_the_largest_are_asked_about_in_order(limit: int, expected: list[int]) -> None:
    # Of 5, 4, 6 and 4 columns.
    pieces = rows((0, 5), (5, 9), (9, 15), (15, 19), regions=[1] * 4, categories=[5] * 4)
    assert asked(pieces, limit=limit) == expected


@given(seeds)
def test_choosing_equals_a_look_at_all_pairs(seed: int) -> None:
    pieces = random_pieces(seed)
    large = [n for n in range(1, len(pieces.area)) if pieces.area[n] >= LEAST]
    expected = set()
    for a in large:
        for b in range(1, len(pieces.area)):
            if a != b and pieces.region[a] == pieces.region[b]:
                expected.add(a)
        for b in large:
            if pieces.region[a] != pieces.region[b] and pieces.category[a] == pieces.category[b]:
                apart = math.dist(pieces.vote[a], pieces.vote[b])
                if apart < MEETING * math.dist(pieces.centre[a], pieces.centre[b]):
                    expected.add(a)
    assert asked(pieces) == sorted(expected)


def test_nothing_to_ask_about() -> None:
    nothing = np.zeros((3, 4), np.int32)
    pieces = describe(nothing, nothing, nothing - 1, np.zeros((3, 4, 2), np.float32))
    assert choose_prompts(pieces) == []
    assert pair_up(pieces, [], np.zeros((0, CELLS, CELLS), np.float32)) == {}


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_a_prompt_shows_the_core_in_a_window_around_the_piece() -> None:
    labels = np.zeros((40, 30), np.int32)
    labels[10:30, 5:15], labels[10:30, 15:20] = 1, 2
    pieces = describe(labels, np.minimum(labels, 1), np.where(labels, 5, -1), np.zeros((40, 30, 2), np.float32))
    first, second = choose_prompts(pieces)
    assert (first.piece, first.corner, second.piece, second.corner) == (1, (10, 5), 2, (10, 15))
    expected = np.zeros((20, 10), int)
    expected[1:-1, 1:-1] = 255  # the piece is 5 cells deep, so that one of them goes
    assert first.core.tolist() == expected.tolist()
    side = SURROUNDINGS * 20 * STRIDE
    assert first.window == pytest.approx((80 - side / 2, 40 - side / 2, side))
    assert second.window == pytest.approx((80 - side / 2, 70 - side / 2, side))


@given(seeds)
def test_cores_lie_in_their_pieces_and_pieces_in_their_windows(seed: int) -> None:
    pieces = random_pieces(seed)
    for prompt in choose_prompts(pieces):
        top, left = prompt.corner
        height, width = prompt.core.shape
        inside = pieces.labels[top : top + height, left : left + width] == prompt.piece
        assert inside.sum() == pieces.area[prompt.piece]
        assert (prompt.core > 0).any() and not (prompt.core > 0)[~inside].any()
        window = prompt.window
        assert window.top <= top * STRIDE and (top + height) * STRIDE <= window.top + window.side
        assert window.left <= left * STRIDE and (left + width) * STRIDE <= window.left + window.side


# -- what answers say --------------------------------------------------------------------------------------------------


def prompt_in(window: Window, piece: int) -> Prompt:
    return Prompt(piece, np.full((1, 1), 255, np.uint8), (0, 0), window)


def ask_cell_by_cell(pieces: Pieces, prompts: list[Prompt], answers: np.ndarray) -> dict[tuple[int, int], list[float]]:
    """Return each way's mean logit over the cells of a piece whose middles lie in the window."""
    said: dict[tuple[int, int], list[float]] = {}
    for prompt, answer in zip(prompts, answers, strict=True):
        logits: dict[int, list[float]] = {}
        cell = prompt.window.side / STRIDE / CELLS
        for (row, column), label in np.ndenumerate(pieces.labels):
            y = (row + 0.5 - prompt.window.top / STRIDE) / cell
            x = (column + 0.5 - prompt.window.left / STRIDE) / cell
            if label and 0 <= y < CELLS and 0 <= x < CELLS:
                logits.setdefault(int(label), []).append(float(answer[int(y), int(x)]))
        for other, values in logits.items():
            if other != prompt.piece and pieces.category[other] == pieces.category[prompt.piece]:
                pair = (min(other, prompt.piece), max(other, prompt.piece))
                said.setdefault(pair, []).append(float(np.mean(values)))
    return said


def compare(pieces: Pieces, prompts: list[Prompt], answers: np.ndarray) -> None:
    found = pair_up(pieces, prompts, answers)
    expected = {pair: float(np.mean(odds)) for pair, odds in ask_cell_by_cell(pieces, prompts, answers).items()}
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_pair_has_the_mean_of_what_both_say() -> None:
    pieces = rows((0, 4), (6, 10), (12, 16), regions=[1, 2, 3], categories=[5, 5, 5])
    window = Window(0.0, 0.0, 160.0)  # a cell of the answer for each cell of the grid
    answers = np.zeros((2, CELLS, CELLS), np.float32)
    answers[0, :4, 6:8], answers[0, :4, 8:10] = 3.0, 1.0
    answers[0, :4, 4:6] = answers[0, 4:] = 99.0  # nobody's cells
    answers[1, :4, :4], answers[1, :4, 12:16] = -6.0, 0.5
    found = pair_up(pieces, [prompt_in(window, 1), prompt_in(window, 2)], answers)
    assert found == {(1, 2): (2.0 - 6.0) / 2, (1, 3): 0.0, (2, 3): 0.5}


def test_other_categories_and_pieces_beyond_the_window_are_no_pairs() -> None:
    pieces = rows((0, 4), (4, 8), (10, 14), (50, 54), regions=[1, 1, 2, 3], categories=[5, 5, 6, 5])
    answers = np.ones((1, CELLS, CELLS), np.float32)
    assert pair_up(pieces, [prompt_in(Window(0.0, 0.0, 160.0), 1)], answers) == {(1, 2): 1.0}


def test_a_piece_counts_as_far_as_the_window_shows_it() -> None:
    pieces = rows((0, 4), (36, 60), regions=[1, 2], categories=[5, 5])
    answers = np.arange(CELLS, dtype=np.float32)[None, None].repeat(CELLS, 1)
    [odds] = pair_up(pieces, [prompt_in(Window(0.0, 0.0, 160.0), 1)], answers).values()
    assert odds == np.mean([36, 37, 38, 39])


@given(seeds)
def test_answers_for_chosen_prompts_equal_a_look_at_each_cell(seed: int) -> None:
    pieces = random_pieces(seed)
    prompts = choose_prompts(pieces)
    answers = np.random.default_rng(seed).normal(0, 3, (len(prompts), CELLS, CELLS)).astype(np.float32)
    compare(pieces, prompts, answers)


@given(seeds, st.floats(-60, 60), st.floats(-60, 60), st.floats(10, 300))
def test_answers_in_any_window_equal_a_look_at_each_cell(seed: int, top: float, left: float, side: float) -> None:
    pieces = random_pieces(seed)
    prompts = [prompt_in(Window(top, left, side), n) for n in range(1, min(4, len(pieces.area)))]
    answers = np.random.default_rng(seed).normal(0, 3, (len(prompts), CELLS, CELLS)).astype(np.float32)
    compare(pieces, prompts, answers)


@pytest.mark.parametrize("top", [11.0, 13.0, 20.0])
def test_cells_whose_middle_lies_just_above_the_window_do_not_count(top: float) -> None:
    # All of piece 2 lies in a row whose middle is at 10 pixels, above the window.
    labels = np.zeros((6, 12), np.int32)
    labels[3:, :3], labels[2, 6:] = 1, 2
    pieces = describe(labels, labels, np.where(labels, 5, -1), np.zeros((6, 12, 2), np.float32))
    answers = np.ones((1, CELLS, CELLS), np.float32)
    assert pair_up(pieces, [prompt_in(Window(top, 0.0, 320.0), 1)], answers) == {}
