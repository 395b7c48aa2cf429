"""The Segmenter on perfect fields and with the weights that ship, and the package's public names."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import draw_scenes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ideal_fields import cells_of, ideal_fields
from PIL import Image
from scipy import ndimage
from torch import nn

import sisegcli
from sisegcli import segmenter as module
from sisegcli import shipped
from sisegcli.categories import BACKGROUND, IGNORE, Categories, Category
from sisegcli.data.masks import normalise
from sisegcli.enlarging import enlarge, shrink
from sisegcli.errors import CheckpointError, ImageError, OptionError
from sisegcli.evaluation import GroundTruth, TruthImage, evaluate
from sisegcli.grouping import group as grouping
from sisegcli.grouping.outlines import Look
from sisegcli.grouping.prompts import Prompt
from sisegcli.grouping.wholeness import Shape
from sisegcli.instances import Instance, instances_from_labels, labels_from_instances
from sisegcli.network.checkpoint import NetworkConfig, build_network
from sisegcli.network.membership import Membership
from sisegcli.segmenter import Segmenter
from sisegcli.windows import CELLS, WINDOW, Window

torch.set_num_threads(1)
CPU = torch.device("cpu")
CONFIG = NetworkConfig(long_side=0)
CERTAIN = 6.0  # as a logit


class Oracle(nn.Module):
    """Knows the scenes: finds the one that it sees by the colour of its first pixel."""

    guided, alignment = False, 32

    def __init__(self, scenes, membership=None, edges=None, wholeness=None):
        super().__init__()
        self.membership, self.edges, self.wholeness = membership, edges, wholeness
        self.known, self.guides = {}, []
        for scene in scenes:
            field, boundary = ideal_fields(scene.instances.astype(np.int32))
            self.known[tuple(scene.image[0, 0].tolist())] = field, np.where(boundary > 0, CERTAIN, -CERTAIN)
        assert len(self.known) == len(scenes)

    def forward(self, images, guide=None):
        self.guides.append(guide)
        height, width = (side // 4 for side in images.shape[-2:])
        fields = torch.zeros(len(images), 2, height, width)
        logits = torch.full((len(images), 1, height, width), -CERTAIN)
        for number, picture in enumerate(images):
            field, boundary = self.known[tuple(picture[:, 0, 0].int().tolist())]
            fields[number, :, : len(field), : field.shape[1]] = torch.from_numpy(field).permute(2, 0, 1)
            logits[number, 0, : len(field), : field.shape[1]] = torch.from_numpy(boundary)
        return fields, logits


@pytest.fixture(scope="module")
def scenes():
    """Draw scenes of two sizes, one not a multiple of 4."""
    drawn = [*draw_scenes.draw_scenes(4, seed=9), *draw_scenes.draw_scenes(2, seed=59, size=(150, 203))]
    for number, scene in enumerate(drawn):
        scene.image[0, 0] = (number, 77, 200)
    return drawn


@pytest.fixture
def oracle(scenes, monkeypatch):
    """Let every segmenter load a network that knows the scenes."""
    network = Oracle(scenes)
    monkeypatch.setattr(module, "weights_path", Path)
    monkeypatch.setattr(module, "load_checkpoint", lambda path, device: (network, CONFIG))
    return network


def images_of(scenes):
    return [scene.image for scene in scenes]


def masks_of(scenes):
    return [normalise(scene.semantic) for scene in scenes]


def summary(instances: list[Instance]):
    return [(i.category, i.counts, i.score) for i in instances]


def truth_of(scenes):
    images = {}
    for number, scene in enumerate(scenes):
        labels = scene.instances.astype(np.int32)
        categories = {n: int(scene.semantic[labels == n][0]) for n in range(1, labels.max() + 1)}
        images[str(number)] = TruthImage(labels.shape, instances_from_labels(labels, categories))
    return GroundTruth(images)


# -- perfect fields ----------------------------------------------------------------------------------------------------


def test_perfect_fields_give_nearly_perfect_instances(scenes):
    segmenter = Segmenter.from_network(Oracle(scenes), CONFIG, device=CPU)
    found = segmenter.segment(images_of(scenes), masks_of(scenes))
    report = evaluate({str(n): result.instances for n, result in enumerate(found)}, truth_of(scenes))
    assert report.ap50 > 0.9


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("options", [{}, {"refine": False}, {"edges": "refine"}])
def test_instances_are_disjoint_and_sorted(scenes, options):
    for scene, found in zip(scenes, Segmenter(**options).segment(images_of(scenes), masks_of(scenes)), strict=True):
        masks = [instance.mask() for instance in found.instances]
        covered = np.sum(masks, axis=0)
        assert covered.max() == 1
        if "edges" not in options:
            np.testing.assert_array_equal(covered == 1, scene.semantic > 0)
            for instance, mask in zip(found.instances, masks, strict=True):
                assert set(scene.semantic[mask].tolist()) == {instance.category}
        scores = [instance.score for instance in found.instances]
        assert scores == sorted(scores, reverse=True) and scores[-1] >= 0 and scores[0] <= 1
        assert (found.removed, found.removed_pixels) == (0, 0)
        cells = -(-scene.semantic.shape[0] // 4), -(-scene.semantic.shape[1] // 4)
        assert found.displacement.shape == (*cells, 2) and found.boundary.shape == cells


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("edges", ["keep", "refine"])
def test_a_batch_answers_as_one_by_one_in_any_order(scenes, edges):
    segmenter = Segmenter(edges=edges)
    images, masks = images_of(scenes), masks_of(scenes)
    alone = [summary(segmenter.segment([i], [m])[0].instances) for i, m in zip(images, masks, strict=True)]
    threes = [*segmenter.segment(images[:3], masks[:3]), *segmenter.segment(images[3:], masks[3:])]
    assert [summary(found.instances) for found in threes] == alone
    backwards = segmenter.segment(images[::-1], masks[::-1])
    assert [summary(found.instances) for found in backwards] == alone[::-1]
    assert segmenter.segment([], []) == []


@pytest.mark.parametrize("device", [CPU, pytest.param(torch.device("cuda"), marks=pytest.mark.gpu)], ids=str)
def test_grouping_on_a_device_changes_nothing(scenes, device):
    config = replace(CONFIG, grouping={"basins": 1.5})
    found = []
    for place in (CPU, device):
        segmenter = Segmenter.from_network(Oracle(scenes), config, device=place)
        if found:
            segmenter._groups_on = device
        found.append(segmenter.segment(images_of(scenes), masks_of(scenes)))
    for one, other in zip(*found, strict=True):
        assert summary(one.instances) == summary(other.instances)
        assert one.decisions == other.decisions
        np.testing.assert_array_equal(one.displacement, other.displacement)
        np.testing.assert_array_equal(one.boundary, other.boundary)


def test_edges_are_moved_by_a_second_look_without_the_mask(scenes, oracle):
    image, mask = images_of(scenes)[:1], masks_of(scenes)[:1]
    oracle.guided = True
    Segmenter().segment(image, mask)
    [seen] = oracle.guides
    assert set(seen.unique().tolist()) == {0, 1}
    Segmenter(edges="refine").segment(image, mask)
    _, again, blind = oracle.guides
    assert torch.equal(again, seen)
    assert ((blind - 0.5).abs() < 0.01).all()


@pytest.mark.usefixtures("oracle")
def test_stuff_is_one_segment(scenes):
    category = int(np.bincount(scenes[0].semantic[scenes[0].semantic > 0]).argmax())
    stuff = Categories([Category(category, "stuff", isthing=False)])
    [found] = Segmenter(categories=stuff).segment(images_of(scenes)[:1], masks_of(scenes)[:1])
    [whole] = [instance for instance in found.instances if instance.category == category]
    np.testing.assert_array_equal(whole.mask(), scenes[0].semantic == category)


@pytest.mark.usefixtures("oracle")
def test_what_is_removed_is_counted(scenes):
    image, mask = images_of(scenes)[:1], masks_of(scenes)[:1]
    [everything] = Segmenter().segment(image, mask)
    areas = sorted(instance.area for instance in everything.instances)
    [large] = Segmenter(min_area=areas[2]).segment(image, mask)
    assert sorted(i.area for i in large.instances) == areas[2:]
    assert (large.removed, large.removed_pixels) == (2, sum(areas[:2]))
    best = everything.instances[0].score
    [sure] = Segmenter(min_score=best).segment(image, mask)
    left = [i for i in everything.instances if i.score >= best]
    assert summary(sure.instances) == summary(left)
    assert sure.removed == len(everything.instances) - len(left)
    assert sure.removed_pixels == sum(areas) - sum(i.area for i in left)


# -- membership --------------------------------------------------------------------------------------------------------


class Echo(nn.Module):
    """Says that what it is asked about is all there is to its object, and remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def forward(self, windows, things, prompts):
        self.shown.append((windows, things, prompts))
        return 12 * nn.functional.avg_pool2d(prompts, 4) - 6


class Word(nn.Module):
    """Gives one answer to all questions."""

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, windows, things, prompts):
        return torch.full((len(windows), 1, CELLS, CELLS), self.logit)


def test_answers_come_back_to_the_pieces_that_were_asked_about(scenes, monkeypatch):
    asked, plain = [], grouping.pair_up

    def pair_up(pieces, prompts, answers):
        asked.append((pieces, prompts, answers))
        return plain(pieces, prompts, answers)

    monkeypatch.setattr(grouping, "pair_up", pair_up)
    Segmenter.from_network(Oracle(scenes, Echo()), CONFIG, device=CPU).segment(images_of(scenes), masks_of(scenes))
    assert len(asked) == len(scenes)
    assert sum(len(prompts) for _, prompts, _ in asked) > 10
    for pieces, prompts, answers in asked:
        for prompt, answer in zip(prompts, answers, strict=True):
            y, x = (np.argwhere(prompt.core > 0) + 0.5 + prompt.corner).T
            scale = CELLS / prompt.window.side
            u = ((4 * y - prompt.window.top) * scale).astype(int)
            v = ((4 * x - prompt.window.left) * scale).astype(int)
            assert answer[u, v].mean() > 2  # 6 inside, 0 on the rim
            middle = np.array([(answer > 0).nonzero()[axis].mean() for axis in (0, 1)]) + 0.5
            found = middle / scale + (prompt.window.top, prompt.window.left)
            assert found == pytest.approx((4 * y.mean(), 4 * x.mean()), abs=4)
            # Pieces are told apart from what they are not.
            others = plain(pieces, [prompt], answer[None])
            assert all(odds < 0 for odds in others.values())


def test_picture_and_things_are_shown_where_the_prompt_is():
    network = Oracle([], Echo())
    segmenter = Segmenter.from_network(network, CONFIG, device=CPU)
    y, x = np.indices((90, 118))
    image = np.stack((y, x, 0 * y), axis=2).astype(np.uint8)
    things = np.zeros((90, 118), np.int8)
    things[20:60, 24:80], things[:10] = 1, -1
    # A core of rows 6 to 12 and columns 8 to 12 on the grid, in a corner of its piece's box.
    core = np.zeros((9, 8), np.uint8)
    core[1:7, :4] = 255
    window = Window(4.0, 10.0, 80.0)
    eyes = segmenter._eyes(image, things.astype(np.int32), things)
    answers = eyes.ask([Prompt(3, core, (5, 8), window)])
    [(windows, known, prompts)] = network.membership.shown
    assert answers.shape == (1, CELLS, CELLS) and windows.shape == (1, 3, WINDOW, WINDOW)
    inside = prompts[0, 0] == 1
    red, green = windows[0, 0].int(), windows[0, 1].int()
    assert (int(red[inside].min()), int(red[inside].max())) == (pytest.approx(26, abs=1), pytest.approx(45, abs=1))
    assert (int(green[inside].min()), int(green[inside].max())) == (pytest.approx(33, abs=1), pytest.approx(45, abs=1))
    assert bool((known[0, 0][(red > 21) & (red < 58) & (green > 25) & (green < 78)] == 1).all())
    assert not known[0, 0][(red < 18) | (red > 61) | (green < 22)].any()  # what is ignored is no thing


def test_a_word_merges_or_keeps_what_votes_and_boundaries_found(scenes):
    images, masks = images_of(scenes), masks_of(scenes)
    counts = {}
    for name, membership in (("nobody", None), ("one", Word(20.0)), ("two", Word(-20.0))):
        segmenter = Segmenter.from_network(Oracle(scenes, membership), CONFIG, device=CPU)
        counts[name] = sum(len(found.instances) for found in segmenter.segment(images, masks))
    assert counts["one"] < counts["nobody"] <= counts["two"]


@pytest.mark.parametrize("edges", ["keep", "refine"])
def test_a_network_with_membership_runs(scenes, edges, monkeypatch):
    torch.manual_seed(0)
    membership = build_network(NetworkConfig(width=8, membership=True)).eval().membership
    assert isinstance(membership, Membership)
    seen = []
    membership.register_forward_hook(lambda _, inputs, answer: seen.append((len(inputs[0]), tuple(answer.shape))))
    monkeypatch.setattr(module, "weights_path", Path)
    monkeypatch.setattr(module, "load_checkpoint", lambda path, device: (Oracle(scenes, membership), CONFIG))
    segmenter = Segmenter(edges=edges)
    images, masks = images_of(scenes)[-2:], masks_of(scenes)[-2:]
    found = segmenter.segment(images, masks)
    assert seen and all(shape == (count, 1, CELLS, CELLS) for count, shape in seen)
    for scene, result in zip(scenes[-2:], found, strict=True):
        covered = np.sum([instance.mask() for instance in result.instances], axis=0)
        assert covered.max() == 1
        if edges == "keep":
            np.testing.assert_array_equal(covered == 1, scene.semantic > 0)
    backwards = segmenter.segment(images[::-1], masks[::-1])
    assert [summary(result.instances) for result in backwards] == [summary(result.instances) for result in found[::-1]]


# -- edges -------------------------------------------------------------------------------------------------------------


class Judge(nn.Module):
    """Says that outlines are rough where the picture has blue in it, and draws instances `more` pixels wider."""

    def __init__(self, more=4):
        super().__init__()
        self.more, self.shown = more, []

    def forward(self, windows, things, instances):
        self.shown.append((windows, things, instances))
        wider = nn.functional.max_pool2d(instances, 2 * self.more + 1, 1, self.more)
        rough = torch.where(windows[:, 2].amax((1, 2)) == 255, 3.0, -3.0)
        return 12 * nn.functional.avg_pool2d(wider, 2) - 6, rough


def nobody(*_):
    raise AssertionError("the edge refiner should not have been asked")


def tinted(scenes, rough):
    """Return the scenes' images, blue where the mask is said to be rough."""
    images = []
    for number, scene in enumerate(scenes):
        image = scene.image.copy()
        image[..., 2] = 255 if number in rough else 0
        image[0, 0] = scene.image[0, 0]
        images.append(image)
    return images


def segmenter_with(network, monkeypatch, config=CONFIG, **options):
    monkeypatch.setattr(module, "weights_path", Path)
    monkeypatch.setattr(module, "load_checkpoint", lambda path, device: (network, config))
    return Segmenter(**options)


def coverage(found):
    return np.sum([instance.mask() for instance in found.instances], axis=0)


@pytest.mark.parametrize("rough", [set(), {1}, {0, 2}, {0, 1, 2, 3}])
def test_the_edge_refiner_decides_for_each_image_of_a_batch(scenes, monkeypatch, rough):
    images, masks = tinted(scenes[:4], rough), masks_of(scenes[:4])
    network = Oracle(scenes, edges=Judge())
    segmenters = {edges: segmenter_with(network, monkeypatch, edges=edges) for edges in ("auto", "keep", "refine")}
    found = {edges: segmenter.segment(images, masks) for edges, segmenter in segmenters.items()}
    for number, scene in enumerate(scenes[:4]):
        told = {edges: summary(results[number].instances) for edges, results in found.items()}
        assert told["auto"] == told["refine" if number in rough else "keep"]
        assert told["keep"] != told["refine"]
        np.testing.assert_array_equal(coverage(found["keep"][number]) == 1, scene.semantic > 0)
        wide = coverage(found["refine"][number])
        assert wide.max() == 1 and np.count_nonzero(wide) > np.count_nonzero(scene.semantic)
        assert (wide[scene.semantic > 0] == 1).all()  # the judge draws wider


@pytest.mark.parametrize("edges", ["auto", "refine", "keep"])
def test_where_the_mask_is_rough_fields_are_found_without_it(scenes, monkeypatch, edges):
    network = Oracle(scenes, edges=Judge())
    network.guided = True
    segmenter = segmenter_with(network, monkeypatch, edges=edges)
    segmenter.segment(tinted(scenes[:4], {0, 2}), masks_of(scenes[:4]))
    guides = torch.cat(network.guides)
    assert len(guides) == 4  # nothing is predicted twice
    for number, guide in enumerate(guides):
        blind = edges == "refine" or (edges == "auto" and number in {0, 2})
        assert bool(((guide - 0.5).abs() < 0.01).all()) if blind else set(guide.unique().tolist()) == {0, 1}


def test_edges_that_are_kept_are_not_looked_at(scenes, monkeypatch):
    network = Oracle(scenes, edges=Judge())
    monkeypatch.setattr(network.edges, "forward", nobody)
    found = segmenter_with(network, monkeypatch, edges="keep").segment(tinted(scenes, {0, 1}), masks_of(scenes))
    plain = segmenter_with(Oracle(scenes), monkeypatch, edges="auto").segment(tinted(scenes, {0, 1}), masks_of(scenes))
    assert [summary(result.instances) for result in found] == [summary(result.instances) for result in plain]
    with pytest.raises(AssertionError, match="should not have been asked"):
        segmenter_with(network, monkeypatch).segment(tinted(scenes, {0, 1}), masks_of(scenes))  # auto, by default


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("edges", ["auto", "refine"])
def test_where_there_is_nothing_nobody_looks_at_edges(scenes, monkeypatch, edges, value):
    network = Oracle(scenes, edges=Judge())
    monkeypatch.setattr(network.edges, "forward", nobody)
    image = scenes[0].image
    segmenter = segmenter_with(network, monkeypatch, edges=edges)
    assert segmenter.predict(image, np.full(image.shape[:2], value, np.uint8)) == []


def test_stuff_is_neither_judged_nor_drawn_anew(scenes, monkeypatch):
    network = Oracle(scenes, edges=Judge())
    categories = set(np.unique(scenes[0].semantic[scenes[0].semantic > 0]).tolist())
    stuff = Categories([Category(category, f"stuff-{category}", isthing=False) for category in categories])
    monkeypatch.setattr(network.edges, "forward", nobody)
    for edges in ("auto", "refine"):
        segmenter = segmenter_with(network, monkeypatch, edges=edges, categories=stuff)
        [found] = segmenter.segment(tinted(scenes[:1], {0}), masks_of(scenes[:1]))
        assert {instance.category for instance in found.instances} == categories
        np.testing.assert_array_equal(coverage(found) == 1, scenes[0].semantic > 0)


def test_picture_things_and_instances_lie_on_top_of_each_other_when_drawn():
    judge = Judge()
    segmenter = Segmenter.from_network(Oracle([], edges=judge), CONFIG, device=CPU)
    y, x = np.indices((90, 118))
    image = np.stack((y, x, np.full_like(y, 255)), axis=2).astype(np.uint8)
    things, mask = np.zeros((90, 118), np.int8), np.full((90, 118), BACKGROUND, np.int32)
    things[20:60, 24:80], things[:10] = 1, -1
    mask[20:60, 24:80] = 5
    eyes = segmenter._eyes(image, mask, things)
    judge.shown.clear()
    window = Window(4.0, 10.0, 80.0)
    answers, rough = eyes.draw([Look(3, np.full((24, 16), 255, np.uint8), (26, 34), window)])
    [(windows, known, instances)] = judge.shown
    assert answers.shape == (1, WINDOW // 2, WINDOW // 2) and rough.tolist() == [3]
    red, green = windows[0, 0].int(), windows[0, 1].int()
    inside = instances[0, 0] == 1
    assert (int(red[inside].min()), int(red[inside].max())) == (pytest.approx(26, abs=1), pytest.approx(49, abs=1))
    assert (int(green[inside].min()), int(green[inside].max())) == (pytest.approx(34, abs=1), pytest.approx(49, abs=1))
    assert bool((known[0, 0][(red > 21) & (red < 58) & (green > 25) & (green < 78)] == 1).all())
    assert not known[0, 0][(red < 18) | (red > 61) | (green < 22)].any()  # what is ignored is no thing


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_one_who_draws_what_is_there_changes_next_to_nothing(scenes, monkeypatch, factor):
    network = Oracle([enlarged(scene, factor) for scene in scenes], edges=Judge(more=0))
    config = replace(CONFIG, magnify=factor)
    segmenter = segmenter_with(network, monkeypatch, config, edges="refine")
    results = segmenter.segment(tinted(scenes, {0}), masks_of(scenes))
    assert network.edges.shown
    for scene, found in zip(scenes, results, strict=True):
        covered = coverage(found)
        assert covered.shape == scene.semantic.shape and covered.max() == 1
        assert ((covered == 1) == (scene.semantic > 0)).mean() > 0.98
    report = evaluate({str(n): result.instances for n, result in enumerate(results)}, truth_of(scenes))
    assert report.ap50 > 0.9


def test_ignored_pixels_are_drawn_by_nobody(scenes, monkeypatch):
    segmenter = segmenter_with(Oracle(scenes, edges=Judge()), monkeypatch)
    semantic = scenes[0].semantic.copy()
    semantic[:50] = 255
    found = labels_from_instances(segmenter.predict(tinted(scenes[:1], {0})[0], semantic), semantic.shape)
    assert not found[:50].any() and found[50:].any()


def test_a_batch_with_an_edge_refiner_answers_as_one_by_one(scenes, monkeypatch):
    segmenter = segmenter_with(Oracle(scenes, Echo(), Judge()), monkeypatch)
    images, masks = tinted(scenes, {0, 3, 5}), masks_of(scenes)
    alone = [summary(segmenter.segment([i], [m])[0].instances) for i, m in zip(images, masks, strict=True)]
    backwards = segmenter.segment(images[::-1], masks[::-1])
    assert [summary(found.instances) for found in backwards] == alone[::-1]


def test_without_an_edge_refiner_the_walk_refines_edges_and_is_needed_for_it(scenes, monkeypatch):
    with pytest.raises(OptionError) as caught:
        segmenter_with(Oracle(scenes), monkeypatch, edges="refine", refine=False)
    assert str(caught.value).endswith("edges are refined by the walk; drop --no-refine.")
    segmenter_with(Oracle(scenes), monkeypatch, edges="auto", refine=False)
    [found] = segmenter_with(Oracle(scenes, edges=Judge()), monkeypatch, edges="refine", refine=False).segment(
        images_of(scenes)[:1], masks_of(scenes)[:1]
    )
    assert np.count_nonzero(coverage(found)) > np.count_nonzero(scenes[0].semantic)


def test_a_whole_edge_refiner_runs(scenes, monkeypatch):
    torch.manual_seed(0)
    edges = build_network(NetworkConfig(width=8, edges=True)).eval().edges
    seen = []
    edges.register_forward_hook(lambda _, inputs, answer: seen.append((len(inputs[0]), len(answer[0]))))
    segmenter = segmenter_with(Oracle(scenes, edges=edges), monkeypatch, edges="refine")
    results = segmenter.segment(images_of(scenes)[-2:], masks_of(scenes)[-2:])
    assert seen and all(one == other for one, other in seen)
    assert all(coverage(found).max() == 1 for found in results)


# -- wholeness ---------------------------------------------------------------------------------------------------------


class Jury(nn.Module):
    """Says of all shapes with the same certainty that they are one object, and remembers what it was shown."""

    def __init__(self, logit):
        super().__init__()
        self.logit, self.shown = logit, []

    def forward(self, windows, things, shapes):
        self.shown.append((windows, things, shapes))
        return torch.tensor([[self.logit, -50.0]]).repeat(len(windows), 1)


class Bright(nn.Module):
    """Answers by how bright a shape is."""

    def forward(self, windows, things, shapes):
        bright = (windows.float().mean(1, keepdim=True) * shapes).sum((1, 2, 3)) / shapes.sum((1, 2, 3)).clamp_min(1)
        return torch.stack((bright / 20 - 5, -bright), 1)


def segmenter_judged_by(scenes, wholeness, **options):
    return Segmenter.from_network(Oracle(scenes, wholeness=wholeness), CONFIG, device=CPU, **options)


def test_always_one_merges_and_never_one_leaves_what_was_found(scenes):
    images, masks = images_of(scenes), masks_of(scenes)
    found = {
        name: segmenter_judged_by(scenes, wholeness).segment(images, masks)
        for name, wholeness in (("nobody", None), ("one", Jury(50.0)), ("two", Jury(-100.0)))
    }
    counts = {name: sum(len(result.instances) for result in results) for name, results in found.items()}
    assert counts["one"] < counts["nobody"] == counts["two"]
    for plain, judged in zip(found["nobody"], found["two"], strict=True):
        shapes = [{(i.category, i.counts) for i in result.instances} for result in (plain, judged)]
        assert shapes[0] == shapes[1]
        assert max(i.score for i in judged.instances) < 0.01 < max(i.score for i in plain.instances)
    for scene, result in zip(scenes, found["one"], strict=True):
        np.testing.assert_array_equal(coverage(result) == 1, scene.semantic > 0)


def test_an_undecided_jury_lowers_all_scores_alike(scenes):
    image, mask = images_of(scenes)[:1], masks_of(scenes)[:1]
    [plain], [judged] = (segmenter_judged_by(scenes, w).segment(image, mask) for w in (None, Jury(0.0)))
    assert [(i.category, i.counts) for i in judged.instances] == [(i.category, i.counts) for i in plain.instances]
    expected = [i.score * 0.5**0.05 for i in plain.instances]
    assert [i.score for i in judged.instances] == pytest.approx(expected)


def test_a_batch_with_a_jury_answers_as_one_by_one(scenes):
    segmenter = segmenter_judged_by(scenes, Bright())
    images, masks = images_of(scenes), masks_of(scenes)
    alone = [summary(segmenter.segment([i], [m])[0].instances) for i, m in zip(images, masks, strict=True)]
    backwards = segmenter.segment(images[::-1], masks[::-1])
    assert [summary(found.instances) for found in backwards] == alone[::-1]


def test_stuff_is_not_shown_to_the_jury(scenes):
    image, mask = images_of(scenes)[:1], masks_of(scenes)[:1]
    categories = set(np.unique(scenes[0].semantic[scenes[0].semantic > 0]).tolist())
    stuff = Categories([Category(category, f"stuff-{category}", isthing=False) for category in categories])
    jury = Jury(0.0)
    [found] = segmenter_judged_by(scenes, jury, categories=stuff).segment(image, mask)
    assert jury.shown == [] and {instance.category for instance in found.instances} == categories
    assert {instance.score for instance in found.instances} == {1.0}
    segmenter_judged_by(scenes, jury).segment(image, mask)
    assert jury.shown


def test_picture_things_and_shape_lie_on_top_of_each_other_when_judged():
    jury = Jury(3.0)
    segmenter = Segmenter.from_network(Oracle([], wholeness=jury), CONFIG, device=CPU)
    y, x = np.indices((90, 118))
    image = np.stack((y, x, 0 * y), axis=2).astype(np.uint8)
    things = np.zeros((90, 118), np.int8)
    things[20:60, 24:80], things[:10] = 1, -1
    # Rows 6 to 12 and columns 8 to 12 on the grid: all of its box.
    window = Window(4.0, 10.0, 80.0)
    eyes = segmenter._eyes(image, things.astype(np.int32), things)
    answers = eyes.judge([Shape(np.full((6, 4), 255, np.uint8), (6, 8), window)])
    assert answers.tolist() == [[3.0, -50.0]]
    [(windows, known, shapes)] = jury.shown
    inside = shapes[0, 0] == 1
    red, green = windows[0, 0].int(), windows[0, 1].int()
    assert (int(red[inside].min()), int(red[inside].max())) == (pytest.approx(24, abs=1), pytest.approx(47, abs=1))
    assert (int(green[inside].min()), int(green[inside].max())) == (pytest.approx(32, abs=1), pytest.approx(47, abs=1))
    assert bool((known[0, 0][(red > 21) & (red < 58) & (green > 25) & (green < 78)] == 1).all())
    assert not known[0, 0][(red < 18) | (red > 61) | (green < 22)].any()  # what is ignored is no thing


def test_a_whole_wholeness_network_runs(scenes):
    torch.manual_seed(0)
    wholeness = build_network(NetworkConfig(width=8, wholeness=True)).eval().wholeness
    seen = []
    wholeness.register_forward_hook(lambda _, inputs, answer: seen.append((len(inputs[0]), tuple(answer.shape))))
    segmenter = segmenter_judged_by(scenes, wholeness)
    assert segmenter_judged_by(scenes, None).jury is None
    results = segmenter.segment(images_of(scenes)[-2:], masks_of(scenes)[-2:])
    assert seen and all(shape == (count, 2) for count, shape in seen)
    for scene, found in zip(scenes[-2:], results, strict=True):
        np.testing.assert_array_equal(coverage(found) == 1, scene.semantic > 0)


# -- small objects -----------------------------------------------------------------------------------------------------


def enlarged(scene, factor):
    """Draw a scene at a larger size, labels by nearest pixels."""
    labels = Image.fromarray(scene.instances.astype(np.int32))
    size = tuple(round(side * factor) for side in labels.size)
    return replace(scene, instances=np.array(labels.resize(size, Image.Resampling.NEAREST)))


@pytest.mark.parametrize("factor, membership", [(2.0, None), (1.3, None), (2.5, Echo())])
def test_enlarged_images_come_back_at_their_own_size(scenes, factor, membership):
    network = Oracle([enlarged(scene, factor) for scene in scenes], membership)
    segmenter = Segmenter.from_network(network, replace(CONFIG, magnify=factor), device=CPU)
    images, masks = images_of(scenes), masks_of(scenes)
    kept = [image.copy() for image in images], [mask.copy() for mask in masks]
    results = segmenter.segment(images, masks)
    for scene, found in zip(scenes, results, strict=True):
        assert all(instance.mask().shape == scene.semantic.shape for instance in found.instances)
        covered = np.sum([instance.mask() for instance in found.instances], axis=0)
        assert covered.max() == 1
        np.testing.assert_array_equal(covered == 1, scene.semantic > 0)
        for instance in found.instances:
            assert set(scene.semantic[instance.mask()].tolist()) == {instance.category}
        expected, boundary = ideal_fields(scene.instances.astype(np.int32))
        assert found.displacement.shape == expected.shape and found.boundary.shape == boundary.shape
        assert found.displacement.dtype == found.boundary.dtype == np.float32
        # Inside objects, cells point to the centre in the image's own cells; on a finer grid it is a little elsewhere.
        inner = ndimage.binary_erosion(boundary == 0, iterations=2) & (cells_of(scene.instances) > 0)
        assert inner.any()
        assert np.abs(found.displacement - expected)[inner].max() < 0.6
        assert found.boundary[inner].max() < 0.01 < 0.5 < found.boundary.max() <= 1
    for values, before in zip((images, masks), kept, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(values, before, strict=True))
    report = evaluate({str(n): result.instances for n, result in enumerate(results)}, truth_of(scenes))
    assert report.ap50 > 0.9


def test_what_is_asked_and_removed_of_an_enlarged_image(scenes):
    echo = Echo()
    network = Oracle([enlarged(scene, 2) for scene in scenes], echo)
    segmenter = Segmenter.from_network(network, replace(CONFIG, magnify=2.0), device=CPU)
    [everything] = segmenter.segment(images_of(scenes)[:1], masks_of(scenes)[:1])
    assert echo.shown
    areas = sorted(instance.area for instance in everything.instances)
    segmenter.min_area = areas[1]  # in the image's own pixels
    [large] = segmenter.segment(images_of(scenes)[:1], masks_of(scenes)[:1])
    assert sorted(instance.area for instance in large.instances) == areas[1:]
    assert (large.removed, large.removed_pixels) == (1, areas[0])


@given(st.integers(1, 40), st.integers(1, 40), st.floats(1, 4), st.integers(0, 2**32 - 1))
def test_labels_come_back_as_they_went(height, width, factor, seed):
    labels = np.random.default_rng(seed).integers(-2, 9, (height, width)).astype(np.int32)
    large = enlarge(labels, factor, Image.Resampling.NEAREST)
    assert large.shape == tuple(max(1, round(side * factor)) for side in labels.shape)
    cells = tuple(-(-side // 4) for side in large.shape)
    back, field, boundary = shrink(
        large, np.zeros((*cells, 2), np.float32), np.full(cells, 0.25, np.float32), labels.shape
    )
    np.testing.assert_array_equal(back, labels)
    own = tuple(-(-side // 4) for side in labels.shape)
    assert field.shape == (*own, 2) and boundary.shape == own
    np.testing.assert_allclose(boundary, 0.25)


@pytest.mark.parametrize("ratio", [(2, 2), (3, 2), (1, 4)])
def test_votes_of_an_enlarged_image_land_where_they_did(ratio):
    own, aim = np.array([5, 7]), np.array([1.25, 3.5])
    cells = np.indices(own * ratio).transpose(1, 2, 0) + 0.5
    votes = (aim * ratio - cells).astype(np.float32)
    _, field, _ = shrink(
        np.zeros(4 * own * ratio, np.int32), votes, np.zeros(votes.shape[:2], np.float32), tuple(4 * own)
    )
    np.testing.assert_allclose(
        field + np.indices(own).transpose(1, 2, 0) + 0.5, np.broadcast_to(aim, field.shape), atol=1e-5
    )


# -- predict -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("oracle")
def test_predict_is_a_batch_of_one(scenes):
    segmenter = Segmenter()
    [expected] = segmenter.segment(images_of(scenes)[:1], masks_of(scenes)[:1])
    kept = scenes[0].image.copy(), scenes[0].semantic.copy()
    assert summary(segmenter.predict(scenes[0].image, scenes[0].semantic)) == summary(expected.instances)
    np.testing.assert_array_equal(scenes[0].image, kept[0])
    np.testing.assert_array_equal(scenes[0].semantic, kept[1])


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16])
def test_values_of_background_and_ignore(scenes, dtype):
    image, semantic = scenes[0].image, scenes[0].semantic.astype(dtype)
    void = semantic.copy()
    void[:, 100:140] = 99
    found = labels_from_instances(Segmenter(ignore=99).predict(image, void), void.shape)
    np.testing.assert_array_equal(found > 0, (void > 0) & (void != 99))
    category = int(semantic.max())
    rest = Segmenter(background=category, ignore=0).predict(image, semantic)
    assert category not in {i.category for i in rest} and rest
    all_of_it = Segmenter(background=None, ignore=None).predict(image, semantic)
    assert sum(i.area for i in all_of_it) == semantic.size


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("value", [0, 255])
def test_nothing_to_find(scenes, value):
    image = scenes[0].image
    assert Segmenter().predict(image, np.full(image.shape[:2], value, np.uint8)) == []


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize(
    "image, mask",
    [((8, 9, 3), (9, 8)), ((8, 9), (8, 9)), ((8, 9, 4), (8, 9)), ((8, 9, 3), (8, 9, 1)), ((1, 8, 9, 3), (8, 9))],
)
def test_shapes_that_do_not_fit(image, mask):
    with pytest.raises(ImageError, match=r"\(H, W, 3\)"):
        Segmenter().predict(np.zeros(image, np.uint8), np.zeros(mask, np.uint8))


@pytest.mark.usefixtures("oracle")
def test_values_that_do_not_fit():
    image = np.zeros((8, 9, 3), np.uint8)
    with pytest.raises(ImageError, match="integers"):
        Segmenter().predict(image, np.zeros((8, 9)))
    with pytest.raises(ImageError, match="-7"):
        Segmenter().predict(image, np.full((8, 9), -7))
    with pytest.raises(ImageError, match="uint8"):
        Segmenter().predict(image.astype(float), np.zeros((8, 9), int))


def test_from_network_takes_voc_values(scenes):
    segmenter = Segmenter.from_network(Oracle(scenes), CONFIG, device=CPU)
    semantic = scenes[0].semantic.copy()
    semantic[:50] = 255
    found = labels_from_instances(segmenter.predict(scenes[0].image, semantic), semantic.shape)
    np.testing.assert_array_equal(found > 0, (semantic > 0) & (semantic < 255))


# -- options -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_brings_its_grouping_and_the_user_decides_on_the_walk(scenes, monkeypatch):
    config = replace(CONFIG, grouping={"cut": 0.125, "centres": "weak-field"})
    monkeypatch.setattr(module, "load_checkpoint", lambda path, device: (Oracle(scenes), config))
    options = Segmenter(Path(__file__), refine=False, edges="keep").options
    assert (options.cut, options.centres, options.refine, options.edges) == (0.125, "weak-field", False, "keep")


def test_a_grouping_from_the_future_is_an_error(scenes):
    config = replace(CONFIG, grouping={"telepathy": 1.0})
    with pytest.raises(CheckpointError, match="update sisegcli"):
        Segmenter.from_network(Oracle(scenes), config, device=CPU)


def test_missing_weights_and_devices():
    with pytest.raises(CheckpointError, match="No weights called 'nonsense'"):
        Segmenter("nonsense", device="cpu")
    with pytest.raises(OptionError):
        Segmenter("nonsense", device="abacus")


# -- weights that ship -------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("paper.safetensors", "default.safetensors", "default.md"):
        (folder / name).touch()
    monkeypatch.setattr(shipped, "weights_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_weights_by_name(shelf):
    assert shipped.weights_path("default") == shelf / "default.safetensors"
    assert shipped.weights_path("paper") == shelf / "paper.safetensors"


def test_weights_by_file(shelf):
    mine = Path("mine.safetensors")
    mine.touch()
    assert shipped.weights_path("mine.safetensors") == shipped.weights_path(mine) == mine
    assert shipped.weights_path(shelf / "default.md") == shelf / "default.md"


@pytest.mark.parametrize("name", ["nonsense", "mine.safetensors", "../weights/default", "..", "", "weights"])
def test_unknown_weights_list_what_ships(shelf, name):
    with pytest.raises(CheckpointError) as caught:
        shipped.weights_path(name)
    assert f"'{name}'" in str(caught.value)
    assert str(caught.value).endswith("shipped are: default, paper.")


def test_no_weights_ship(shelf):
    for path in shelf.glob("*.safetensors"):
        path.unlink()
    with pytest.raises(CheckpointError, match="shipped are: none"):
        shipped.weights_path("default")


def test_the_folder_of_weights_is_inside_the_package_or_beside_it():
    package = Path(sisegcli.__file__).parent
    assert shipped.weights_folder() in (package / "weights", package.parent / "weights")


needs_weights = pytest.mark.skipif(
    not (shipped.weights_folder() / "default.safetensors").is_file(), reason="no weights ship yet"
)


@needs_weights
@pytest.mark.parametrize("edges", ["keep", "refine"])
def test_the_default_weights_segment_a_scene(edges):
    [scene] = draw_scenes.draw_scenes(1, seed=3, size=(120, 160))
    semantic = scene.semantic.copy()
    semantic[:8] = 255
    found = Segmenter(device="cpu", edges=edges).predict(scene.image, semantic)
    labels = labels_from_instances(found, semantic.shape)
    assert sum(i.area for i in found) == (labels > 0).sum()  # disjoint
    assert not labels[:8].any()
    if edges == "keep":
        np.testing.assert_array_equal(labels > 0, normalise(semantic) >= 0)
    assert {i.category for i in found} <= set(scene.semantic[scene.semantic > 0].tolist())
    assert all(0 <= i.score <= 1 for i in found)


# -- the package -------------------------------------------------------------------------------------------------------


def test_public_names():
    names = ["Categories", "Category", "Instance", "Segmenter", "SisegError", "__version__", "load_categories"]
    assert sorted(sisegcli.__all__) == sorted(names)
    assert all(getattr(sisegcli, name) is not None for name in names)
    assert sisegcli.Segmenter is Segmenter and sisegcli.Instance is Instance
    with pytest.raises(AttributeError, match="nonsense"):
        _ = sisegcli.nonsense


def test_importing_the_package_is_light():
    code = "import sys, sisegcli; sisegcli.Categories; print({'torch', 'numpy', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_masks_in_memory_mean_what_they_say():
    assert (BACKGROUND, IGNORE) == (-1, -2)
