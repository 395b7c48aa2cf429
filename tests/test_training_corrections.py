import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from draw_scenes import draw_scenes, write_voc
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors import safe_open
from test_training_samples import STILL, blank, write_source

from sisegcli.categories import Category
from sisegcli.errors import ImageError, InputError, OptionError
from sisegcli.evaluation.truth import TruthImage
from sisegcli.grouping.components import label_components
from sisegcli.instances import Instance, instances_from_labels
from sisegcli.network.efficientnet_lite import EfficientNetLite
from sisegcli.training import starting
from sisegcli.training.corrections import UNSURE, UNTOLD, VOID, Corrections, label_objects, load_corrections, repeats
from sisegcli.training.listener import TrainListener
from sisegcli.training.loader import batches
from sisegcli.training.objects import collect_objects
from sisegcli.training.options import TrainOptions
from sisegcli.training.run import train
from sisegcli.training.samples import SampleMaker

torch.set_num_threads(1)


def labelled(mask, hints, **asked):
    return label_objects(np.array(mask, np.int32), np.array(hints, np.int32), **asked)


def two_that_touch():
    """Two objects of category 3 that touch, and a third apart."""
    mask, ids = blank(), np.zeros((64, 64), np.int32)
    mask[8:28, 8:56] = mask[40:60, 20:44] = 3
    ids[8:28, 8:30], ids[8:28, 30:56] = 1, 2
    return mask, ids


def corrected(tmp_path, masks, ids):
    """Write a source of which the images in `ids` are corrected."""
    images = {
        stem: TruthImage(labels.shape, instances_from_labels(labels, dict.fromkeys(np.unique(labels[labels > 0]), 3)))
        for stem, labels in ids.items()
    }
    return replace(write_source(tmp_path, masks), corrections=Corrections(tmp_path / "hints", images))


def test_one_object_may_have_two_parts():
    found = labelled([[7, 7, -1, 7]], [[1, 1, 0, 1]])
    assert found.labels.tolist() == [[1, 1, 0, 1]]
    assert (found.category_of, found.certain, found.clumps) == ({1: 7}, {1}, set())


def test_a_crowd_is_a_clump_and_void_is_ignored():
    found = labelled([[7, 7, -1, 7, 7]], [[UNSURE, UNSURE, 0, VOID, VOID]])
    assert found.labels.tolist() == [[1, 1, 0, -1, -1]]
    assert (found.category_of, found.certain, found.clumps) == ({1: 7}, set(), {1})


def test_of_a_hint_over_two_categories_the_larger_part_counts():
    found = labelled([[7, 7, 5, 5, 5]], [[1, 1, 1, 1, 1]])
    assert found.labels.tolist() == [[-1, -1, 1, 1, 1]]
    assert found.category_of == {1: 5} and found.certain == {1}


def test_what_an_outline_leaves_over_is_ignored_but_not_what_touches_another_category():
    found = labelled([[7, 7, 7, 5, 5], [7, 7, 7, 5, 5]], [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    assert found.labels.tolist() == [[1, 1, -1, 2, 2], [1, -1, -1, 2, 2]]
    assert found.certain == {1}


def test_stuff_is_nobody():
    found = labelled([[7, 7, 9, 9]], [[1, 1, 2, 0]], stuff=[9])
    assert found.labels.tolist() == [[1, 1, 0, 0]]
    assert found.category_of == {1: 7}


SIDE = 8
MASKS = arrays(np.int32, (SIDE, SIDE), elements=st.integers(-1, 2))


@given(MASKS)
def test_without_hints_objects_are_components(mask):
    found = label_objects(mask, np.full(mask.shape, UNTOLD, np.int32))
    labels, categories = label_components(mask)
    assert np.array_equal(found.labels, labels) and found.category_of == categories
    assert not found.certain and not found.clumps


@given(MASKS, arrays(np.int32, (SIDE, SIDE), elements=st.integers(VOID, 3)))
def test_every_pixel_of_a_thing_is_an_object_of_its_category_or_ignored(mask, hints):
    found = label_objects(mask, hints, stuff=[2])
    things = (mask >= 0) & (mask != 2)
    assert np.array_equal(found.labels != 0, things)
    assert set(np.unique(found.labels[found.labels > 0])) == set(found.category_of)
    for label, category in found.category_of.items():
        inside = found.labels == label
        assert (mask[inside] == category).all()
        told = set(np.unique(hints[inside]).tolist())
        assert len(told) == 1
        [hint] = told
        assert (label in found.certain) == (hint > 0) and (label in found.clumps) == (hint == UNSURE)
    assert (found.labels[things & (hints == VOID)] == -1).all()


def test_hints_are_drawn_in_order_of_trust():
    whole = Instance.from_mask(np.ones((2, 3), bool), 7)
    left, middle = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    left[:, 0], middle[:, 1] = True, True
    told = TruthImage((2, 3), [Instance.from_mask(left, 7)], [Instance.from_mask(middle, 7)], whole)
    corrections = Corrections(None, {"a": told})
    assert corrections.hints("a", (2, 3)).tolist() == [[1, UNSURE, VOID]] * 2
    assert corrections.hints("b", (1, 2)).tolist() == [[UNTOLD] * 2]


def test_hints_of_another_size(tmp_path):
    corrections = Corrections(tmp_path, {"a": TruthImage((2, 3), [])})
    with pytest.raises(ImageError) as caught:
        corrections.hints("a", (4, 5))
    assert str(caught.value) == (
        f"{tmp_path} has a as 3 × 2 pixels but its mask is 5 × 4; correct it in the mask's size."
    )


def test_corrected_objects_are_certain_and_their_border_is_known(tmp_path):
    mask, ids = two_that_touch()
    plain = SampleMaker((write_source(tmp_path / "plain", [mask]),), None, STILL, seed=0).make(0)
    assert len(np.unique(plain.labels[plain.labels > 0])) == 2 and plain.doubtful[plain.labels > 0].all()
    maker = SampleMaker((corrected(tmp_path, [mask], {"0": ids}),), None, STILL, seed=0)
    sample = maker.make(0)
    assert maker.corrected == 1
    areas = Counter(sample.labels[sample.labels > 0].tolist())
    assert sorted(areas.values()) == [30, 30, 30]  # cells of 4 × 4 pixels
    natural = max(areas)  # the one that nobody told of
    assert np.array_equal(sample.doubtful, sample.labels == natural)
    for label in set(areas) - {natural}:
        ys, xs = np.nonzero(sample.labels == label)
        assert sample.centres[0][ys, xs].mean() == pytest.approx(0, abs=1e-5)
        assert np.ptp(xs + sample.centres[1][ys, xs]) == pytest.approx(0, abs=1e-5)


def test_of_corrected_neighbours_no_answer_is_in_doubt(tmp_path):
    mask, ids = two_that_touch()
    mask[40:60, 20:44] = 0
    maker = SampleMaker((corrected(tmp_path, [mask], {"0": ids}),), None, replace(STILL, asked=6), seed=0)
    questions = maker.make(0).questions
    assert not questions.doubtful.any()
    others = (questions.weights > 0) & ~questions.members
    assert others.any() and (questions.weights[others] == 1).all()


def test_only_objects_that_are_known_to_be_single_are_lone(tmp_path):
    mask, ids = two_that_touch()
    mask[40:60, 20:44] = 0
    assert [lone.box for lone in collect_objects([write_source(tmp_path / "plain", [mask])]).objects] == [
        (8, 8, 20, 48)
    ]
    assert not len(collect_objects([corrected(tmp_path, [mask], {"0": ids})]))
    crowd = Instance.from_mask(mask > 0, 3)
    unsure = Corrections(tmp_path, {"0": TruthImage(mask.shape, [], [crowd])})
    assert not len(collect_objects([replace(write_source(tmp_path, [mask]), corrections=unsure)]))


def test_few_corrected_images_come_more_often(tmp_path):
    mask, ids = two_that_touch()
    maker = SampleMaker((corrected(tmp_path, [mask] * 31, {"4": ids}),), None, STILL, seed=0)
    assert repeats(1, 31) == 10 and len(maker) == 40
    assert Counter(pair for _, pair in maker.places) == {**dict.fromkeys(range(31), 1), 4: 10}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_voc(folder, draw_scenes(4, seed=5, size=(96, 128)), split="train")
    return folder


@pytest.fixture(autouse=True)
def pretrained(monkeypatch):
    torch.manual_seed(9)
    state = EfficientNetLite().state_dict()
    monkeypatch.setattr(starting, "pretrained_state", lambda: dict(state))


class Heard(TrainListener):
    def __init__(self):
        self.images = None
        self.problems = []

    def corrected(self, images):
        self.images = images

    def problem(self, sentence):
        self.problems.append(sentence)


def test_a_run_with_corrections_says_so_and_so_do_its_weights(scenes, tmp_path):
    told = load_corrections(scenes)
    stems = sorted(told.images)
    part = tmp_path / "corrected"
    for folder in ("SegmentationObject", "SegmentationClass"):
        (part / folder).mkdir(parents=True)
        (part / folder / f"{stems[0]}.png").write_bytes((scenes / folder / f"{stems[0]}.png").read_bytes())
        (part / folder / "elsewhere.png").write_bytes((scenes / folder / f"{stems[1]}.png").read_bytes())
    heard = Heard()
    options = TrainOptions(
        (scenes,), tmp_path / "run", epochs=0.5, crop=64, batch_size=2, workers=0, device="cpu", corrections=part
    )
    summary = train(options, heard)
    assert heard.images == 1
    sentence = f"{part} corrects elsewhere, which is not among the images."
    assert summary.problems == [sentence]
    with safe_open(summary.weights, "pt") as file:
        assert file.metadata()["corrected_images"] == "1"
    for folder in ("SegmentationObject", "SegmentationClass"):
        (part / folder / f"{stems[0]}.png").unlink()
    with pytest.raises(InputError) as caught:
        train(replace(options, out=tmp_path / "other"))
    assert str(caught.value) == f"{part} corrects none of the images; its files must be named like them."
    assert not (tmp_path / "other").exists()


def test_the_papers_recipe_has_no_use_for_corrections(scenes, tmp_path):
    with pytest.raises(OptionError) as caught:
        train(TrainOptions((scenes,), tmp_path / "run", recipe="paper", corrections=scenes))
    assert str(caught.value) == "--recipe paper learns from categories alone; leave out --corrections."


def test_corrections_of_another_size_cost_their_image_alone(tmp_path):
    mask, ids = two_that_touch()
    source = corrected(tmp_path, [mask, mask], {"1": ids[:32]})
    assert len(collect_objects([source]).objects) == len(collect_objects([write_source(tmp_path, [mask])]).objects)
    maker = SampleMaker((source,), None, STILL, seed=0)
    [batch] = itertools.islice(batches(maker, start=0, batch_size=len(maker), workers=0), 1)
    assert len(batch.images) == 1
    assert set(batch.problems) == {
        f"{tmp_path / 'hints'} has 1 as 64 × 32 pixels but its mask is 64 × 64; correct it in the mask's size."
    }


def test_categories_that_are_stuff_stay_out(tmp_path):
    mask, ids = two_that_touch()
    source = replace(
        corrected(tmp_path, [mask], {"0": ids}),
        categories=type(write_source(tmp_path, [mask]).categories)([Category(3, "sky", isthing=False)]),
    )
    sample = SampleMaker((source,), None, STILL, seed=0).make(0)
    assert not (sample.labels > 0).any()
