"""Questions with known answers, on pictures whose colours tell where each pixel comes from."""

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from small_sets import write_png

from sisegcli.categories import Categories
from sisegcli.data.layouts import Pair
from sisegcli.data.masks import MaskReader
from sisegcli.network.asking import GREY
from sisegcli.training.loader import batches
from sisegcli.training.losses import membership_loss
from sisegcli.training.objects import Source, collect_objects
from sisegcli.training.options import RECIPES
from sisegcli.training.questions import SMALLEST, Questions, ask_questions, split_at_random
from sisegcli.training.samples import SampleMaker
from sisegcli.windows import CELLS, WINDOW

torch.set_num_threads(1)
seeds = st.integers(0, 2**32 - 1)

PASTED = 10_000
CATEGORIES = {1: 7, 2: 7, 3: 8, PASTED: 7}


def scene():
    """Two of category 7, one of category 8, one that was pasted between them, and an ignored strip below."""
    labels = np.zeros((200, 230), np.int32)
    y, x = np.indices(labels.shape)
    labels[20:90, 30:150] = np.where(x > 100 + (y - 55) / 2, 2, 1)[20:90, 30:150]
    labels[110:170, 40:110], labels[90:130, 90:190] = 3, PASTED
    labels[190:] = -1
    return labels


def atlas(labels):
    """Return a picture in which red is the row, green the column, and blue 0."""
    y, x = np.indices(labels.shape)
    return np.stack((y, x, 0 * y), 2).astype(np.uint8)


def ask(labels, seed, count=4, pasted=(PASTED,), categories=CATEGORIES, **more):
    rng = np.random.default_rng(seed)
    return ask_questions(atlas(labels), labels, categories, list(pasted), count, rng, **more)


class Seen:
    """A question, and what the picture says of its pixels: rows, columns, and labels."""

    def __init__(self, questions, number, labels):
        self.window = questions.windows[number].astype(int)
        self.inside = self.window[..., 2] == 0
        y, x = np.where(self.inside, self.window[..., 0], 0), np.where(self.inside, self.window[..., 1], 0)
        self.labels = np.where(self.inside, labels[y, x], -1)
        size = 9
        sure = ndimage.minimum_filter(labels, size) == ndimage.maximum_filter(labels, size)
        self.sure = np.where(self.inside, sure[y, x], True)
        middle = self.inside[WINDOW // 2]
        self.mirrored = bool(np.diff(self.window[WINDOW // 2, middle, 1]).sum() < 0)
        columns = slice(1, None, 4) if self.mirrored else slice(2, None, 4)
        self.cells = (slice(2, None, 4), columns)
        for field in ("things", "prompts", "members", "weights", "doubtful"):
            setattr(self, field, getattr(questions, field)[number])
        own = self.labels[self.cells][self.members & self.sure[self.cells]]
        assert len(np.unique(own)) == 1
        self.asked = int(own[0])
        self.distance = ndimage.distance_transform_edt(labels != self.asked)[y, x]


def seen_in(questions, labels):
    """Return what each question shows; one whose part turned out too small asks nothing."""
    return [Seen(questions, n, labels) for n in range(len(questions.windows)) if questions.weights[n].any()]


# -- one question ------------------------------------------------------------------------------------------------------


def test_shapes_and_types():
    questions = ask(scene(), 0, count=3)
    side, cells = (3, WINDOW, WINDOW), (3, CELLS, CELLS)
    expected = {
        "windows": ((*side, 3), np.uint8),
        "things": (side, np.uint8),
        "prompts": (side, np.uint8),
        "members": (cells, np.bool_),
        "weights": (cells, np.float32),
        "doubtful": (cells, np.bool_),
    }
    assert {f.name for f in fields(questions)} == expected.keys()
    for name, (shape, dtype) in expected.items():
        found = getattr(questions, name)
        assert (found.shape, found.dtype) == (shape, dtype), name
    assert set(np.unique(questions.things)) == {0, 255}


@given(seeds)
def test_members_weights_and_doubts_are_what_the_picture_shows(seed):
    labels = scene()
    questions = ask(labels, seed)
    for seen in seen_in(questions, labels):
        at, sure = seen.labels[seen.cells], seen.sure[seen.cells]
        np.testing.assert_array_equal(seen.members[sure], (at == seen.asked)[sure])
        np.testing.assert_array_equal(seen.doubtful, seen.members & (seen.asked != PASTED))
        expected = (at > 0).astype(float)
        if seen.asked != PASTED:
            for other in {1, 2, 3} - {seen.asked}:
                expected[at == other] = 0.5 if CATEGORIES[other] == CATEGORIES[seen.asked] else 1.5
        expected[seen.prompts[seen.cells] > 100] *= 0.1
        np.testing.assert_allclose(seen.weights[sure], expected[sure], rtol=1e-6)
        beyond = seen.window[~seen.inside]
        assert (np.abs(beyond - GREY) == 0).all()


def test_all_kinds_of_weights_and_both_directions_come_up():
    labels = scene()
    questions = ask(labels, 0, count=60)
    seen = seen_in(questions, labels)
    assert len(seen) > 55
    assert {s.asked for s in seen} == {1, 2, 3, PASTED}
    assert 15 < sum(s.mirrored for s in seen) < 45
    weights = np.concatenate([s.weights[~s.members & (s.prompts[s.cells] <= 100)] for s in seen])
    assert set(np.unique(weights).tolist()) == {0, 0.5, 1, 1.5}
    prompted = np.concatenate([s.weights[s.members & (s.prompts[s.cells] > 100)] for s in seen])
    np.testing.assert_allclose(prompted, 0.1, rtol=1e-6)


def test_prompts_lie_on_the_object_and_at_times_a_little_beyond():
    labels = scene()
    exact, whole = [], []
    for seed in range(20):
        questions = ask(labels, seed)
        for seen in seen_in(questions, labels):
            prompt = (seen.prompts > 100) & seen.inside
            assert prompt.any()
            assert seen.distance[prompt].max() < 5 + 3  # five pixels in the picture, and rounding
            exact.append(seen.distance[prompt].max() < 3)
            own = (seen.labels == seen.asked) & seen.sure
            whole.append((prompt & own).sum() / own.sum())
    assert 0.7 < np.mean(exact) < 1
    assert np.mean(whole) < 0.6 and max(whole) > 0.7  # parts, most of them small


def test_the_core_of_a_whole_object_lies_in_its_middle():
    labels = np.zeros((120, 140), np.int32)
    labels[30:91, 50:111] = 1
    found = [seen.window[seen.prompts > 100].mean(0)[:2] for seen in seen_in(ask(labels, 0, count=80), labels)]
    away = np.abs(np.array(found) - (60, 80)).max(1)
    assert np.mean(away < 1) > 0.12  # one part in five is all of it


@given(seeds)
def test_prompts_that_spread_stay_on_things(seed):
    labels = scene()
    questions = ask(labels, seed)
    for seen in seen_in(questions, labels):
        away = seen.sure & (seen.labels <= 0) & seen.inside
        assert not (seen.prompts[away] > 100).any()


@given(seeds)
def test_things_are_shown_where_they_are_save_near_their_edges(seed):
    labels = scene()
    questions = ask(labels, seed, count=2)
    for seen in seen_in(questions, labels):
        things = seen.labels > 0
        kernel = np.ones((25, 25), bool)
        deep = ndimage.binary_erosion(things, kernel, border_value=1)
        away = ndimage.binary_erosion(~things, kernel, border_value=1)
        deep[:13], deep[-13:], deep[:, :13], deep[:, -13:] = False, False, False, False
        assert (seen.things[deep] == 255).all()
        assert (seen.things[away] == 0).all()


def test_the_same_chance_asks_the_same():
    one, two, other = (ask(scene(), seed) for seed in (3, 3, 4))
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))
    assert not np.array_equal(one.windows, other.windows)


def test_picture_and_labels_stay_as_they_were():
    labels = scene()
    image, kept = atlas(labels), labels.copy()
    before = image.copy()
    ask_questions(image, labels, CATEGORIES, [PASTED], 6, np.random.default_rng(0))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(labels, kept)


# -- what is asked about -----------------------------------------------------------------------------------------------


def asked_about(labels, count, **more):
    return [seen.asked for seen in seen_in(ask(labels, 0, count=count, **more), labels)]


def test_clumps_are_not_asked_about():
    assert set(asked_about(scene(), 30, clumps={1, 3})) == {2, PASTED}


def test_objects_that_touch_others_are_asked_about_more_often():
    labels = np.zeros((120, 200), np.int32)
    labels[20:60, 20:60], labels[20:60, 60:100], labels[20:60, 140:180] = 1, 2, 3
    found = asked_about(labels, 140)
    assert 8 < found.count(3) < 35  # 20 are expected, and 60 of each of the others
    assert min(found.count(1), found.count(2)) > 40


NOTHING = {
    "background": np.zeros((64, 64), np.int32),
    "ignored": np.full((64, 64), -1, np.int32),
    "small": np.pad(np.ones((7, 17), np.int32), 20),
    "clump": np.pad(np.ones((40, 40), np.int32), 20),
}


@pytest.mark.parametrize("labels", NOTHING.values(), ids=NOTHING)
def test_where_there_is_nothing_to_ask_nothing_is_learned(labels):
    questions = ask(labels, 0, clumps={1} if labels.max() == 1 and labels.sum() > SMALLEST else ())
    assert questions.windows.shape == (4, WINDOW, WINDOW, 3)
    for name, value in (("windows", GREY), ("things", 0), ("prompts", 0), ("members", 0), ("weights", 0)):
        assert (getattr(questions, name) == value).all(), name
    logits = torch.randn(4, 1, CELLS, CELLS, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = membership_loss(
        logits, *(torch.from_numpy(getattr(questions, name)) for name in ("members", "weights", "doubtful"))
    )
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_the_smallest_object_that_is_asked_about():
    labels = np.pad(np.ones((8, 15), np.int32), 20)
    assert labels.sum() == SMALLEST
    asked = [bool(ask(labels, seed, count=1).weights.any()) for seed in range(30)]
    assert 0.2 < np.mean(asked) < 1  # parts of it may be too small


def test_an_object_in_pieces_is_asked_about_by_one_of_them():
    labels = np.zeros((120, 160), np.int32)
    labels[30:90, 20:60], labels[30:90, 100:140], labels[30:90, 60:100] = 1, 1, 2
    halves = set()
    for seed in range(40):
        questions = ask(labels, seed, count=1, pasted=[2], clumps={2})
        [seen] = seen_in(questions, labels)
        assert seen.asked == 1
        columns = seen.window[..., 1][(seen.prompts > 200) & (seen.labels == 1) & seen.sure]
        assert (columns < 62).all() or (columns > 98).all()
        at = seen.window[..., 1][seen.cells][seen.members & seen.sure[seen.cells]]
        halves.add((bool((at < 60).any()), bool((at > 100).any())))
    assert (True, True) in halves  # and both are its members


# -- parts -------------------------------------------------------------------------------------------------------------


def random_shape(seed):
    rng = np.random.default_rng(seed)
    shape = rng.random(tuple(rng.integers(1, 14, 2))) < rng.uniform(0.2, 1)
    shape[rng.integers(shape.shape[0]), rng.integers(shape.shape[1])] = True
    return shape


@given(seeds, st.integers(1, 6))
def test_a_part_is_a_convex_piece_of_its_shape(seed, parts):
    shape = random_shape(seed)
    part = split_at_random(shape, parts, np.random.default_rng(seed))
    assert part.shape == shape.shape and part.dtype == np.bool_
    assert part.any() and not part[~shape].any()
    if parts == 1:
        np.testing.assert_array_equal(part, shape)
    places = np.argwhere(part)
    for one, other in itertools.combinations(places.tolist(), 2):
        doubled = np.add(one, other)
        if not (doubled % 2).any() and shape[tuple(doubled // 2)]:
            assert part[tuple(doubled // 2)]


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_are_alike_in_size(parts):
    shape = np.ones((30, 30), bool)
    found = [split_at_random(shape, parts, np.random.default_rng(seed)) for seed in range(80)]
    assert np.mean(found) == pytest.approx(1 / parts, rel=0.2)
    assert (np.mean(found, 0) > 0).all()  # any place may be in one


# -- samples and batches -----------------------------------------------------------------------------------------------

STILL = replace(RECIPES["default"], crop=128, scales=(1.0, 1.0), long_side=0, pasted=0.0)


def write_source(root, masks):
    pairs = []
    for number, mask in enumerate(masks):
        pair = Pair(f"{number}", root / f"{number}.png", root / "masks" / f"{number}.png")
        write_png(pair.image, np.repeat((60 + 20 * mask)[..., None], 3, 2))
        write_png(pair.mask, mask)
        pairs.append(pair)
    return Source(tuple(pairs), MaskReader(), Categories())


def discs(*places, radius=7.5, size=(96, 128)):
    y, x = np.indices(size)
    return np.any([(y - row) ** 2 + (x - column) ** 2 <= radius**2 for row, column in places], 0).astype(np.uint8)


def lone(count=3):
    return [discs((48, 40 + 20 * number), radius=22) for number in range(count)]


def test_clumps_of_a_crowd_are_neither_taught_nor_asked_about(tmp_path):
    apart = [(16, 16), (16, 48), (16, 80), (48, 16), (48, 48), (48, 80)]
    mask = discs(*apart, (80, 30), (80, 45))
    maker = SampleMaker((write_source(tmp_path, [mask]),), None, STILL, seed=0)
    discs_seen = 0
    for number in range(12):
        sample = maker.make(number)
        assert len(np.unique(sample.labels[sample.labels > 0])) == 6
        # Of what is ignored, only the clump is inside the picture: 8 of 32 rows are beyond it.
        clump = np.count_nonzero(sample.labels < 0) - 8 * 32
        assert clump == pytest.approx(np.count_nonzero(mask[70:]) / 16, abs=8)
        for members in sample.questions.members:
            rows, columns = np.flatnonzero(members.any(1)), np.flatnonzero(members.any(0))
            whole = members.any() and min(rows[0], columns[0]) > 0 and max(rows[-1], columns[-1]) < CELLS - 1
            if whole:  # 15 pixels in a window of 40 to 48; of a clump it would be 30
                discs_seen += 1
                assert 11 <= len(rows) <= 16 and 11 <= len(columns) <= 16
    assert discs_seen > 10


def test_questions_of_a_batch_are_those_of_its_samples_in_order(tmp_path):
    source = write_source(tmp_path, lone())
    maker = SampleMaker((source,), collect_objects([source]), replace(STILL, pasted=1.0), seed=0)
    [batch] = itertools.islice(batches(maker, start=1, batch_size=3, workers=0), 1)
    asked = [maker.make(number).questions for number in (1, 2, 3)]
    assert all(len(questions.windows) == STILL.asked for questions in asked)
    for field in fields(Questions):
        expected = np.concatenate([getattr(questions, field.name) for questions in asked])
        found = getattr(batch.questions, field.name)
        if field.name == "windows":
            assert found.shape == (3 * STILL.asked, 3, WINDOW, WINDOW)
            found = found.permute(0, 2, 3, 1)
        np.testing.assert_array_equal(found, expected)
    moved = batch.to(torch.device("cpu")).questions
    for name in ("things", "prompts"):
        shown, raw = getattr(moved, name), getattr(batch.questions, name)
        assert shown.dtype == torch.float32 and shown.shape == (3 * STILL.asked, 1, WINDOW, WINDOW)
        assert float(shown.max()) == 1
        assert torch.equal((shown[:, 0] * 255).round().to(torch.uint8), raw)
    for name in ("windows", "members", "weights", "doubtful"):
        assert torch.equal(getattr(moved, name), getattr(batch.questions, name)), name


def test_broken_images_have_no_questions_and_paper_asks_none(tmp_path):
    source = write_source(tmp_path, lone())
    source.pairs[1].image.write_bytes(b"broken")
    maker = SampleMaker((source,), None, STILL, seed=0)
    [batch] = itertools.islice(batches(maker, start=0, batch_size=3, workers=0), 1)
    assert len(batch.images) == 2 and len(batch.problems) == 1
    assert len(batch.questions.windows) == 2 * STILL.asked
    silent = SampleMaker((source,), None, replace(STILL, asked=0), seed=0)
    [batch] = itertools.islice(batches(silent, start=0, batch_size=3, workers=0), 1)
    assert batch.questions is None and batch.to(torch.device("cpu")).questions is None


@pytest.mark.gpu
def test_questions_are_pinned_for_a_gpu(tmp_path):
    maker = SampleMaker((write_source(tmp_path, lone()),), None, STILL, seed=0)
    batch = next(batches(maker, start=0, batch_size=2, workers=0, pin=True))
    assert all(value.is_pinned() for value in vars(batch.questions).values())
    assert all(value.is_cuda for value in vars(batch.to(torch.device("cuda")).questions).values())
