"""What an evaluation must not depend on, and what it must depend on exactly."""

import itertools
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from evaluation_scenes import CATEGORIES, draw_scenes
from hypothesis import given, settings
from hypothesis import strategies as st

from sisegcli.categories import Categories, Category
from sisegcli.evaluation import GroundTruth, Report, TruthImage, evaluate
from sisegcli.instances import Instance

SKY = 11
NAMES = Categories([*(Category(c, f"thing {c}") for c in CATEGORIES), Category(SKY, "sky", False)])


def draw(seed):
    """Draw scenes with stuff, and with scores that all differ: ties are broken by order, as COCO has it."""
    scenes = draw_scenes(seed)
    rng = np.random.default_rng(seed)
    images, predictions = {}, {}
    scores = iter(rng.permutation(1000) / 1000)
    for stem, image in scenes.truth.images.items():
        taken = np.zeros(image.size, bool)
        for i in (*image.instances, *image.crowds, *([image.void] if image.void else [])):
            taken |= i.mask()
        sky = [Instance.from_mask(~taken, SKY)] if not taken.all() else []
        images[stem] = replace(image, stuff=sky)
        found = scenes.predictions[stem]
        rest = np.ones(image.size, bool)
        for i in found:
            rest &= ~i.mask()
        guess = [Instance.from_mask(rest, SKY)] if rest.any() else []
        predictions[stem] = [replace(i, score=float(next(scores))) for i in (*found, *guess)]
    return predictions, GroundTruth(images, NAMES)


def shuffled(rng, items):
    return [items[n] for n in rng.permutation(len(items))]


def assert_equal(one: Report, other: Report):
    """Compare reports; AP of a category is summed over images, so the order may touch the last bit."""
    first, second = one.to_json(), other.to_json()
    assert first.keys() == second.keys()

    def compare(a, b):
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            for key in a:
                compare(a[key], b[key])
        elif isinstance(a, list):
            assert len(a) == len(b)
            for x, y in zip(a, b, strict=True):
                compare(x, y)
        else:
            assert a == (pytest.approx(b, abs=1e-12) if isinstance(b, float) else b)

    compare(first, second)


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_the_truth_itself_scores_100_in_everything(seed):
    _, truth = draw(seed)
    perfect = {s: [*i.instances, *(i.stuff or ())] for s, i in truth.images.items()}
    report = evaluate(perfect, truth)
    figures = [*asdict(report.boundary).values(), report.ap, report.ap50, report.ap75, report.ar]
    figures += [getattr(q, name) for q in report.panoptic.values() for name in ("pq", "sq", "rq")]
    assert all(math.isnan(value) or value == pytest.approx(1) for value in figures)
    assert not report.truth or report.boundary.ap == pytest.approx(1)
    for row in report.categories:
        assert all(value == pytest.approx(1) for curve in row.curves.values() for value in curve)


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_orders_mean_nothing(seed):
    predictions, truth = draw(seed)
    rng = np.random.default_rng(seed)
    again = GroundTruth(
        {
            stem: replace(
                image,
                instances=shuffled(rng, image.instances),
                crowds=shuffled(rng, image.crowds),
            )
            for stem, image in shuffled(rng, list(truth.images.items()))
        },
        truth.categories,
    )
    moved = {stem: shuffled(rng, found) for stem, found in shuffled(rng, list(predictions.items()))}
    assert_equal(evaluate(moved, again), evaluate(predictions, truth))


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.permutations([*CATEGORIES, SKY]))
def test_renamed_categories_take_their_figures_along(seed, order):
    predictions, truth = draw(seed)
    ids = dict(zip((*CATEGORIES, SKY), order, strict=True))

    def renamed(instances):
        return [replace(i, category=ids[i.category]) for i in instances]

    images = {
        stem: replace(
            image,
            instances=renamed(image.instances),
            crowds=renamed(image.crowds),
            stuff=renamed(image.stuff),
        )
        for stem, image in truth.images.items()
    }
    names = Categories(replace(category, id=ids[category.id]) for category in truth.categories.values())
    one = evaluate(predictions, truth)
    other = evaluate({stem: renamed(found) for stem, found in predictions.items()}, GroundTruth(images, names))
    rows = {row.id: row for row in other.categories}
    moved = sorted((replace(rows[ids[row.id]], id=row.id) for row in one.categories), key=lambda row: row.id)
    assert_equal(replace(other, categories=moved, notes=[]), replace(one, notes=[]))  # notes name them in order of id


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_curves_make_ap(seed):
    predictions, truth = draw(seed)
    report = evaluate(predictions, truth)
    for row in report.categories:
        if row.curves:
            assert list(row.curves) == [round(0.5 + n / 20, 2) for n in range(10)]
            assert np.mean([*row.curves.values()]) == pytest.approx(row.ap, abs=1e-12)
            assert np.mean(row.curves[0.5]) == pytest.approx(row.ap50, abs=1e-12)
            assert all(a >= b for curve in row.curves.values() for a, b in itertools.pairwise(curve))
        else:
            assert math.isnan(row.ap)


def test_images_without_anything_change_nothing():
    predictions, truth = draw(3)
    empty = TruthImage((4, 4), [], stuff=[])
    more = GroundTruth({**truth.images, "empty": empty}, truth.categories)
    one, other = evaluate(predictions, truth), evaluate({**predictions, "empty": []}, more)
    assert_equal(replace(other, images=one.images, notes=one.notes), one)
