"""Grouping in batches on a device: each part against its twin in NumPy and SciPy, and the whole on drawn scenes."""

from __future__ import annotations

from dataclasses import replace

import draw_scenes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ideal_fields import ideal_fields
from scipy import ndimage

from sisegcli.categories import BACKGROUND
from sisegcli.grid import highest_around
from sisegcli.grouping.affinity import boundary_affinity, half_disc
from sisegcli.grouping.basins import cut_at_ridges
from sisegcli.grouping.group import group
from sisegcli.grouping.on_device import batch, smoothing
from sisegcli.grouping.on_device.batch import group_together
from sisegcli.grouping.on_device.marks import label_marks, nearest_marks
from sisegcli.grouping.on_device.padding import Sizes, bring_back, pad_together
from sisegcli.grouping.on_device.refinement import refine_together
from sisegcli.grouping.on_device.votes import cluster_together
from sisegcli.grouping.on_device.walk import link, walk_together
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.refinement import refine_displacement
from sisegcli.grouping.spreading import Contest
from sisegcli.grouping.votes import cluster_by_density
from sisegcli.grouping.walk import random_walk

CPU = torch.device("cpu")
DENSITY = GroupingOptions(sigma=2.0, peak=0.1, basins=1.5, cut=0.5)
WEAK = GroupingOptions(centres="weak-field")
NOBODY = (None, None, None)
seeds = st.integers(0, 2**32 - 1)
on_each = pytest.mark.parametrize("device", [CPU, pytest.param(torch.device("cuda"), marks=pytest.mark.gpu)], ids=str)


def random_grids(seed, most=16, count=3):
    """Return displacements, boundaries and categories (-1: none) of images of several sizes."""
    rng = np.random.default_rng(seed)
    shapes = rng.integers(1, most, (count, 2))
    fields = [rng.normal(0, rng.choice([0.5, 4.0]), (*shape, 2)).astype(np.float32) for shape in shapes]
    # In steps, so that there are ties.
    boundaries = [(rng.integers(0, 5, shape) / np.float32(4)).astype(np.float32) for shape in shapes]
    return fields, boundaries, [rng.choice([-1, 0, 4, 4, 9], shape) for shape in shapes]


# -- batches -----------------------------------------------------------------------------------------------------------


@on_each
def test_grids_go_there_and_come_back(device):
    grids = [np.arange(6, dtype=np.int32).reshape(2, 3), np.ones((4, 1), np.int32)]
    padded = pad_together(grids, device, fill=-1)
    sizes = Sizes.of(grids, device)
    held, inside = bring_back(padded, sizes.inside())
    assert held.tolist() == [
        [[0, 1, 2], [3, 4, 5], [-1, -1, -1], [-1, -1, -1]],
        [[1, -1, -1]] * 4,
    ]
    np.testing.assert_array_equal(inside, held >= 0)


# -- smoothing ---------------------------------------------------------------------------------------------------------


@on_each
@pytest.mark.parametrize("mode", ["constant", "reflect"])
@given(seed=seeds, sigma=st.sampled_from([0.1, 0.5, 1.5, 2.0]))
def test_smoothing_is_scipys_to_the_last_bit(device, mode, seed, sigma):
    _, planes, _ = random_grids(seed)
    smooth = smoothing.smooth(pad_together(planes, device), Sizes.of(planes, device), sigma, mode).cpu().numpy()
    for plane, found in zip(planes, smooth, strict=True):
        h, w = plane.shape
        np.testing.assert_array_equal(found[:h, :w], ndimage.gaussian_filter(plane, sigma, mode=mode))


@on_each
@given(seed=seeds, reach=st.integers(1, 4))
def test_highest_values_are_those_of_the_square(device, seed, reach):
    _, planes, _ = random_grids(seed)
    highest = smoothing.highest_around(pad_together(planes, device, fill=-np.inf), reach).cpu().numpy()
    for plane, found in zip(planes, highest, strict=True):
        h, w = plane.shape
        np.testing.assert_array_equal(found[:h, :w], highest_around(plane, reach))


# -- marks -------------------------------------------------------------------------------------------------------------


def test_a_spiral_is_one_mark():
    spiral = np.array(
        [
            [1, 1, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0, 0, 1],
            [1, 1, 1, 1, 1, 0, 1],
            [1, 0, 0, 0, 1, 0, 1],
            [1, 0, 1, 1, 1, 0, 1],
            [1, 0, 0, 0, 0, 0, 1],
            [1, 1, 1, 1, 1, 1, 1],
        ],
        bool,
    )
    names = label_marks(torch.from_numpy(spiral)[None])[0].numpy()
    np.testing.assert_array_equal(names, np.where(spiral, 0, 49))


@on_each
@given(seed=seeds, share=st.floats(0.05, 0.9))
def test_marks_are_scipys_components_in_their_order(device, seed, share):
    planes = np.random.default_rng(seed).random((3, 9, 11)) < share
    names = label_marks(torch.from_numpy(planes).to(device)).cpu().numpy()
    assert (names[~planes] == planes.size).all()
    for plane, found in zip(planes, names, strict=True):
        labels, count = ndimage.label(plane, np.ones((3, 3)))
        there, places = np.unique(found[plane], return_inverse=True)
        assert len(there) == count
        np.testing.assert_array_equal(places + 1, labels[plane])


def test_of_equally_near_marks_the_first_column_wins_then_the_first_row():
    names = torch.full((1, 3, 5), 99)
    names[0, 0, 2], names[0, 2, 2], names[0, 1, 0], names[0, 1, 4] = 1, 2, 3, 4
    found = nearest_marks(names, none=99)[0].tolist()
    assert found == [[3, 1, 1, 1, 4], [3, 3, 1, 4, 4], [3, 2, 2, 2, 4]]
    assert nearest_marks(torch.tensor([[[6, 9, 9, 9, 5]]]), none=9)[0].tolist() == [[6, 6, 6, 5, 5]]


@on_each
@given(seed=seeds, share=st.floats(0.01, 0.6))
def test_the_nearest_mark_is_scipys(device, seed, share):
    rng = np.random.default_rng(seed)
    planes = rng.random((3, *rng.integers(1, 14, 2))) < share
    planes[:, 0, 0] |= ~planes.any((1, 2))
    names = np.where(planes, np.arange(planes.size).reshape(planes.shape), planes.size)
    found = nearest_marks(torch.from_numpy(names).to(device), planes.size).cpu().numpy()
    for plane, name, near in zip(planes, names, found, strict=True):
        rows, columns = ndimage.distance_transform_edt(~plane, return_distances=False, return_indices=True)
        np.testing.assert_array_equal(near, name[rows, columns])


# -- votes, basins, refinement -----------------------------------------------------------------------------------------


def test_the_votes_of_two_in_a_row():
    field = np.zeros((1, 12, 2), np.float32)
    field[0, :, 1] = np.array([2] * 6 + [9] * 6) - np.arange(12)
    given_ = [field], [np.zeros((1, 12), np.float32)], [np.zeros((1, 12), int)]
    [found] = cluster_together(*given_, CPU, sigma=1.0, peak=0.1, basins=0)
    assert found.tolist() == [[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]]


@on_each
@given(seed=seeds, sigma=st.sampled_from([0.5, 2.0]), peak=st.sampled_from([0.0, 0.1, 0.5]))
def test_clusters_are_those_of_one_image_after_the_other(device, seed, sigma, peak):
    fields, boundaries, categories = random_grids(seed)
    found = cluster_together(fields, boundaries, categories, device, sigma=sigma, peak=peak, basins=0)
    for field, category, labels in zip(fields, categories, found, strict=True):
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, cluster_by_density(field, category, sigma=sigma, peak=peak))


@on_each
@given(seed=seeds, basins=st.sampled_from([0.3, 1.5]))
def test_basins_are_those_of_one_image_after_the_other(device, seed, basins):
    fields, boundaries, categories = random_grids(seed)
    found = cluster_together(fields, boundaries, categories, device, sigma=2.0, peak=0.1, basins=basins)
    for field, boundary, category, labels in zip(fields, boundaries, categories, found, strict=True):
        clusters = cluster_by_density(field, category)
        np.testing.assert_array_equal(labels, cut_at_ridges(clusters, boundary, sigma=basins))


def test_nobody_votes():
    grids = [np.full(shape, -1) for shape in ((2, 3), (1, 1))]
    fields = [np.ones((*grid.shape, 2), np.float32) for grid in grids]
    boundaries = [np.ones(grid.shape, np.float32) for grid in grids]
    found = cluster_together(fields, boundaries, grids, CPU, sigma=2.0, peak=0.1, basins=1.0)
    assert [labels.tolist() for labels in found] == [[[0, 0, 0], [0, 0, 0]], [[0]]]
    assert refine_together([], [], CPU) == [] and walk_together([], [], DENSITY, CPU) == []


def test_pixels_of_a_row_walk_to_their_centre():
    field = np.zeros((1, 6, 2), np.float32)
    field[0, :, 1] = [1, 1, 0, -1, -1, -1]
    [refined] = refine_together([field], [np.ones((1, 6), bool)], CPU)
    assert refined[0, :, 1].tolist() == [2, 1, 0, -1, -2, -3]


@on_each
@given(seed=seeds, steps=st.sampled_from([1, 5, 40]))
@settings(max_examples=15)
def test_refined_fields_are_those_of_one_image_after_the_other(device, seed, steps):
    fields, _, categories = random_grids(seed)
    active = [grid >= 0 for grid in categories]
    found = refine_together(fields, active, device, steps)
    for field, moves, refined in zip(fields, active, found, strict=True):
        np.testing.assert_array_equal(refined, refine_displacement(field, moves, steps))


# -- the walk ----------------------------------------------------------------------------------------------------------


def random_contest(seed):
    """Return what walks on a grid of two regions, and a boundary map."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(2, 14, 2)
    cells = np.where(np.arange(shape[1]) < rng.integers(1, shape[1] + 1), 1, 2)[None].repeat(shape[0], 0)
    active = rng.random(shape) < 0.8
    active[0, 0] = True
    count = int(rng.integers(2, 5))
    column = np.where(active, rng.integers(0, count, shape), -1)
    boundary = (rng.random(shape) ** rng.integers(1, 9)).astype(np.float32)
    return Contest(list(range(count)), cells.astype(np.int32), active, column.astype(np.int32)), boundary


def test_links_of_a_row():
    openness = torch.tensor([[[1, 0.5, 0, 1]]])
    links = link(openness, torch.ones((1, 1, 4), dtype=torch.int32), radius=2)
    assert half_disc(2)[0] == (0, 1)
    assert links[0].tolist() == [[[0.5, 0, 0, 0]]] and not links[1:].any()


@on_each
@given(seed=seeds, steps=st.sampled_from([0, 1, 2, 17, 256]), radius=st.sampled_from([1, 2, 5]))
@settings(max_examples=10)
def test_walks_are_those_of_sparse_matrices_to_the_last_bit(device, seed, steps, radius):
    contests, boundaries = zip(*(random_contest(seed + number) for number in range(2)), strict=True)
    options = replace(DENSITY, steps=steps, radius=radius)
    for contest, boundary, walked in zip(
        contests, boundaries, walk_together(contests, boundaries, options, device), strict=True
    ):
        affinity = boundary_affinity(boundary, contest.active, radius, options.beta, same=contest.cells)
        np.testing.assert_array_equal(walked, random_walk(affinity, contest.start(boundary), steps))


# -- all of it ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes():
    """Draw 50 scenes of two sizes; return masks, and fields that are nearly right."""
    rng = np.random.default_rng(3)
    masks, fields = [], []
    for size, seed in (((72, 96), 4), ((64, 85), 5)):
        for scene in draw_scenes.draw_scenes(25, seed=seed, size=size):
            field, boundary = ideal_fields(scene.instances.astype(np.int32))
            field += rng.normal(0, 1.0, field.shape).astype(np.float32)
            noise = rng.random(boundary.shape, np.float32)
            masks.append(np.where(scene.semantic > 0, scene.semantic.astype(np.int32), BACKGROUND))
            fields.append((field, 0.9 * boundary + np.float32(0.1) * noise))
    return masks, fields


@on_each
@pytest.mark.parametrize("options", [DENSITY, WEAK, replace(DENSITY, refine=False)], ids=["density", "paper", "still"])
def test_fifty_scenes_have_the_same_instances(scenes, device, options):
    masks, fields = scenes
    count = len(masks)
    found = group_together(
        masks, fields, options, device, outer=[None] * count, looks=[NOBODY] * count, stuff=[2], least=0
    )
    several = 0
    for mask, field, mine in zip(masks, fields, found, strict=True):
        theirs = group(mask, *field, options, stuff=[2])
        np.testing.assert_array_equal(mine.labels, theirs.labels)
        assert (mine.categories, mine.scores, mine.decisions) == (theirs.categories, theirs.scores, theirs.decisions)
        several += len(mine.categories)
    assert count == 50 and several > 2 * count


@pytest.mark.parametrize("least", [0, 10**9])
def test_large_walks_go_to_the_device(scenes, least, monkeypatch):
    masks, fields = (part[:6] for part in scenes)
    asked = []

    def watch(contests, *given_):
        asked.append(len(contests))
        return walk_together(contests, *given_)

    monkeypatch.setattr(batch, "walk_together", watch)
    none, looks = [None] * 6, [NOBODY] * 6
    found = group_together(masks, fields, DENSITY, CPU, outer=none, looks=looks, least=least)
    assert len(asked) == (least == 0) and all(count > 1 for count in asked)
    for mask, field, mine in zip(masks, fields, found, strict=True):
        np.testing.assert_array_equal(mine.labels, group(mask, *field, DENSITY).labels)
