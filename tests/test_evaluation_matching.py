import numpy as np
import pytest
from evaluation_scenes import CATEGORIES, dense_faults, dense_iou, dense_predictions, dense_truth, draw_scenes
from hypothesis import given
from hypothesis import strategies as st

from sisegcli.errors import ImageError
from sisegcli.evaluation import GroundTruth, TruthImage
from sisegcli.evaluation.faults import count_split_and_merged
from sisegcli.evaluation.matching import align, match, without_void
from sisegcli.instances import Instance

ROW = (1, 10)


def row(columns, category=1, score=1.0):
    """Make an instance of some columns of an image of one row."""
    mask = np.zeros(ROW, bool)
    mask[0, list(columns)] = True
    return Instance.from_mask(mask, category, score)


def faults(predicted, objects):
    return count_split_and_merged(match({"a": predicted}, GroundTruth({"a": TruthImage(ROW, objects)})))


@given(st.integers(0, 2**32 - 1))
def test_overlaps_are_those_of_dense_masks_without_void(seed):
    scenes = draw_scenes(seed)
    found = {(m.image, m.category): m for m in match(scenes.predictions, scenes.truth)}
    for category in CATEGORIES:
        objects, crowds = dense_truth(scenes, category)
        predicted = dense_predictions(scenes, category)
        for image, stem in enumerate(scenes.truth.images):
            mine = [(score, mask) for score, other, mask in predicted if other == stem]
            regions = [*objects[stem], *crowds[stem]]
            m = found.pop((image, category), None)
            if m is None:
                assert not mine
                assert not regions
                continue
            assert m.scores.tolist() == [score for score, _ in mine]
            assert m.areas.tolist() == [mask.sum() for _, mask in mine]
            assert m.truth_areas.tolist() == [region.sum() for region in regions]
            assert m.objects == len(objects[stem])
            assert m.ious.tolist() == [
                [dense_iou(mask, region) for region in objects[stem]]
                + [(mask & region).sum() / mask.sum() for region in crowds[stem]]
                for _, mask in mine
            ]
            assert m.intersections().tolist() == [[(mask & r).sum() for r in objects[stem]] for _, mask in mine]
    assert not found


@given(st.integers(0, 2**32 - 1))
def test_split_and_merged_are_those_of_dense_masks(seed):
    scenes = draw_scenes(seed)
    assert count_split_and_merged(match(scenes.predictions, scenes.truth)) == dense_faults(scenes)


def test_two_pieces_split_an_object():
    assert faults([row(range(5)), row(range(5, 10))], [row(range(10))]) == (1, 0)
    assert faults([row(range(9)), row([9])], [row(range(10))]) == (1, 0)


def test_a_piece_of_another_category_or_half_outside_splits_nothing():
    assert faults([row(range(5)), row(range(5, 10), category=2)], [row(range(10))]) == (0, 0)
    assert faults([row(range(5)), row([5, 6])], [row(range(6))]) == (0, 0)


def test_a_prediction_over_two_objects_merges_them():
    assert faults([row(range(10))], [row(range(5)), row(range(5, 10))]) == (0, 1)
    assert faults([row(range(7))], [row(range(5)), row(range(5, 9))]) == (0, 1)
    assert faults([row(range(7))], [row(range(5)), row(range(5, 10))]) == (0, 0)


def test_void_is_taken_out_and_what_is_left_of_nothing_is_dropped():
    image = TruthImage(ROW, [], void=row([0, 1, 2]))
    kept = without_void("a", [row([0, 2]), row([1, 3, 4], category=5, score=0.25)], image)
    assert [(i.category, i.score, i.area, i.box) for i in kept] == [(5, 0.25, 2, (0, 3, 1, 2))]


def test_a_prediction_of_another_size_is_refused():
    image = TruthImage((10, 1), [])
    with pytest.raises(ImageError, match="predictions of a are 10 x 1 pixels, but its ground truth is 1 x 10"):
        without_void("a", [row([1])], image)


def test_images_are_found_by_stem_or_by_its_last_part():
    truth = GroundTruth({stem: TruthImage(ROW, []) for stem in ("a", "x/b", "x/c", "y/c", "d", "gone")})
    predicted = {stem: [row([place])] for place, stem in enumerate(("a", "z/a", "b", "c", "p/d", "q/d", "y/c"))}
    found = align(predicted, truth)
    assert {stem: instances[0].box[1] for stem, instances in found.items()} == {"a": 0, "x/b": 2, "y/c": 6}
