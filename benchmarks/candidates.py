"""Candidate cuts: the borders between the pieces that votes make of a region, and how well evidence tells true ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from networks import Scene
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sisegcli.evaluation import TruthImage
from sisegcli.grid import sample_cells
from sisegcli.grouping.basins import cut_at_ridges
from sisegcli.grouping.components import label_components
from sisegcli.grouping.evidence import cut_evidence
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.pieces import Pieces, contacts, find_pieces
from sisegcli.grouping.prompts import choose_prompts, pair_up
from sisegcli.grouping.votes import cluster_by_density
from sisegcli.instances import labels_from_instances


@dataclass(frozen=True)
class Cut:
    """A border between two pieces of one region.

    Attributes
    ----------
    true : bool
        Whether most of the one piece is another object than most of the other.
    boundary : float
        Mean boundary along it.
    votes : float
        Evidence by boundary and votes.
    membership : float, optional
        Evidence with the membership network's word, where there is such a network.
    """

    true: bool
    boundary: float
    votes: float
    membership: float | None = None


def find_cuts(scene: Scene, options: GroupingOptions, truth: TruthImage) -> list[Cut]:
    """Find the candidate cuts of an image; those of pieces without any pixel of an object are left out.

    Parameters
    ----------
    scene : Scene
        What is grouped, in the grouping's own size.
    options : GroupingOptions
        How candidates are found.
    truth : TruthImage
        The objects, in the image's size.
    """
    pieces = _pieces(scene, options)
    pairs: dict[tuple[int, int], float] = {}
    if scene.ask is not None:
        prompts = choose_prompts(pieces)
        pairs = pair_up(pieces, prompts, scene.ask(prompts))
    owner = _owners(pieces, truth, scene.mask.shape)
    ridge = ndimage.maximum_filter(scene.boundary, 3)  # as grouping does
    found = []
    for a, b, _, strength in zip(*contacts(pieces.labels, pieces.region, ridge), strict=True):
        if not owner[a] or not owner[b]:
            continue
        distance = float(np.linalg.norm(pieces.vote[a] - pieces.vote[b]))
        known = (float(strength), distance, float(pieces.spread[a] + pieces.spread[b]))
        asked = None if scene.ask is None else cut_evidence(*known, pairs.get((int(a), int(b)), 0.0))
        found.append(Cut(bool(owner[a] != owner[b]), float(strength), cut_evidence(*known), asked))
    return found


def _pieces(scene: Scene, options: GroupingOptions) -> Pieces:
    regions, _ = label_components(scene.mask, connectivity=4)
    cells = sample_cells(regions)
    categories = np.where(cells > 0, sample_cells(scene.mask), -1)
    clusters = cluster_by_density(scene.displacement, categories, sigma=options.sigma, peak=options.peak)
    if options.basins:
        clusters = cut_at_ridges(clusters, scene.boundary, sigma=options.basins)
    return find_pieces(clusters, cells, categories, scene.displacement)


def _owners(pieces: Pieces, truth: TruthImage, size: tuple[int, ...]) -> NDArray[np.intp]:
    """Return the object that most of each piece's cells belong to, from 1; 0 where none does."""
    objects = labels_from_instances(truth.instances, truth.size)
    if objects.shape != size:
        objects = np.array(Image.fromarray(objects).resize((size[1], size[0]), Image.Resampling.NEAREST))
    cells = sample_cells(objects)
    inside = (pieces.labels > 0) & (cells > 0)
    shape = (len(pieces.area), len(truth.instances) + 1)
    places = np.ravel_multi_index((pieces.labels[inside], cells[inside]), shape)
    most: NDArray[np.intp] = np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape).argmax(1)
    return most


def summary(cuts: Sequence[Cut]) -> dict[str, Any]:
    """Return how many cuts there are and are true, and the AUC of each kind of evidence; None where there is none.

    >>> summary([Cut(True, 0.9, 0.4), Cut(False, 0.1, 0.5), Cut(False, 0.2, 0.3)])
    {'cuts': 3, 'true': 1, 'auc': {'boundary': 1.0, 'votes': 0.5, 'membership': None}}
    """
    true = [cut.true for cut in cuts]
    areas: dict[str, float | None] = {}
    for name in ("boundary", "votes", "membership"):
        values = [getattr(cut, name) for cut in cuts]
        area = math.nan if None in values else auc(values, true)
        areas[name] = None if math.isnan(area) else area
    return {"cuts": len(cuts), "true": sum(true), "auc": areas}


def auc(values: Sequence[float], true: Sequence[bool]) -> float:
    """Return the area under the ROC curve: how often a true one has the higher value than a false one, ties half.

    NaN where all are true or all are false.

    >>> auc([0.9, 0.5, 0.5, 0.1], [True, True, False, False])
    0.875
    """
    positive = np.asarray(true, bool)
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return math.nan
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))
