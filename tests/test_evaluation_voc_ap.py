import numpy as np
import pytest
from evaluation_scenes import CATEGORIES, dense_voc_ap, draw_scenes
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.evaluation.matching import Match, match
from sisegcli.evaluation.voc_ap import average_precision, voc_ap


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 0.5, 0.7, 0.75]))
def test_it_is_what_the_definition_says(seed, threshold):
    scenes = draw_scenes(seed)
    found = voc_ap(match(scenes.predictions, scenes.truth), threshold)
    expected = {c: dense_voc_ap(scenes, c, threshold) for c in CATEGORIES}
    assert found == pytest.approx({c: ap for c, ap in expected.items() if ap is not None}, abs=1e-12)


def overlaps(ious, scores, objects, image=0):
    ious = np.array(ious, float)
    areas = np.full(ious.shape[1], 10.0)
    return Match(image, 1, np.array(scores, float), np.full(len(scores), 10.0), areas, areas, objects, ious)


def test_a_second_claim_on_an_object_is_wrong():
    assert voc_ap([overlaps([[0.9], [0.8]], [0.9, 0.8], 1)], 0.5) == {1: 1.0}
    assert voc_ap([overlaps([[0.9, 0.0], [0.8, 0.6], [0.0, 0.9]], [0.9, 0.8, 0.7], 2)], 0.5) == {
        1: pytest.approx((1 + 2 / 3) / 2)
    }


def test_the_threshold_itself_counts():
    assert voc_ap([overlaps([[0.5]], [1], 1)], 0.5) == {1: 1.0}
    assert voc_ap([overlaps([[0.4999]], [1], 1)], 0.5) == {1: 0.0}


def test_what_lies_in_a_crowd_counts_neither_way():
    in_crowd_first = overlaps([[0.0, 0.9], [0.9, 0.0]], [0.9, 0.8], 1)
    assert voc_ap([in_crowd_first], 0.5) == {1: 1.0}
    assert voc_ap([overlaps([[0.9]], [0.9], 0)], 0.5) == {}


def test_images_are_ranked_together():
    wrong_but_sure = overlaps([[0.1]], [0.9], 1)
    right_but_unsure = overlaps([[0.9]], [0.3], 1, image=1)
    assert voc_ap([wrong_but_sure, right_but_unsure], 0.5) == {1: 0.25}


def test_average_precision_of_nothing():
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0.0
