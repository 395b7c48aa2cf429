"""What a cluster sends comes out as it went in."""

from pathlib import Path

import numpy as np
import pytest

from sisegcli.data.layouts import Pair, Problem
from sisegcli.instances import Decision, Segmentation, instances_from_labels
from sisegcli.running.messages import pack_batches, pack_pairs, unpack_batches, unpack_pairs
from sisegcli.running.reading import LargeSample, Sample
from sisegcli.running.settling import Finished

PAIR = Pair("a\udcff/ä", Path("images/a\udcff.jpg"), Path("masks/ä.png"))  # a name that is not UTF-8, too


def test_pairs():
    pairs = {3: PAIR, 1: Pair("b", Path("x.tar/b.jpg"), Path("x.tar/b.mask.png"))}
    found = unpack_pairs(pack_pairs(pairs))
    assert found == pairs and list(found) == [3, 1]


@pytest.mark.parametrize("fields", [False, True])
def test_batches(fields):
    rng = np.random.default_rng(0)
    labels = np.array([[1, 1, 0, 2], [1, 0, 0, 2], [0, 0, 0, 2]])
    instances = instances_from_labels(labels, {1: np.int32(7), 2: 9}, {1: np.float32(0.1), 2: 1 / 3})
    sample = Sample(PAIR, rng.integers(0, 255, (3, 4, 3), np.uint8), labels.astype(np.int32))
    displacement, boundary = rng.random((1, 1, 2), np.float32), rng.random((1, 1), np.float32)
    seen = Segmentation(instances, 2, 5, displacement, boundary, (Decision(True, 0.25, (1.5, 2.0), (0.0, 1.0)),))
    problem = Problem(PAIR.image, "images/a.jpg is bad.")
    sent = [
        Finished([4, 5], [(sample, seen), problem], 0.1),
        Finished([6], [(LargeSample(PAIR, (3, 4)), Segmentation(instances))], 2.0),
        Finished([], []),
    ]
    first, second, third = unpack_batches(pack_batches(sent, fields=fields))
    assert (first.numbers, first.seconds, first.results[1]) == ([4, 5], 0.1, problem)
    one, found = first.results[0]
    assert (one.pair, one.size, found.instances) == (PAIR, (3, 4), instances)
    assert (found.removed, found.removed_pixels, found.decisions) == (2, 5, seen.decisions)
    if fields:
        for mine, theirs in (
            (one.image, sample.image),
            (found.displacement, displacement),
            (found.boundary, boundary),
        ):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
    else:
        assert (one.image.shape, found.displacement, found.boundary) == ((3, 4, 3), None, None)
    assert second.results == [(LargeSample(PAIR, (3, 4)), Segmentation(instances))]
    assert (third.numbers, third.results) == ([], [])
