import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sisegcli.categories import BACKGROUND, IGNORE, Categories, Category
from sisegcli.errors import OptionError
from sisegcli.instances import labels_from_instances
from sisegcli.methods import METHODS, ComponentsMethod, build_method, needs_images

MASK = np.array(
    [
        [12, 12, -1, -1, 12],
        [12, 12, -1, -1, 12],
        [-1, -1, -1, -2, 12],
        [3, 3, -1, 3, -1],
    ],
    np.int32,
)


def segment(mask, **options):
    (found,) = ComponentsMethod(**options).segment([], [mask])
    return found


def test_components_are_instances_and_larger_ones_score_higher():
    found = segment(MASK)
    assert [(i.category, i.area) for i in found.instances] == [(12, 4), (12, 3), (3, 2), (3, 1)]
    assert [i.score for i in found.instances] == pytest.approx(
        [0.8, 0.6, 0.4, 0.2]
    )  # four times the share of the image
    assert (found.removed, found.removed_pixels) == (0, 0)
    assert found.displacement is None
    assert found.boundary is None


def test_stuff_is_one_segment():
    sky = Categories([Category(3, "sky", isthing=False)])
    assert [(i.category, i.area) for i in segment(MASK, categories=sky).instances] == [(12, 4), (12, 3), (3, 3)]


def test_what_is_removed_is_counted():
    found = segment(MASK, min_area=3)
    assert [i.area for i in found.instances] == [4, 3]
    assert (found.removed, found.removed_pixels) == (2, 3)
    found = segment(MASK, min_score=0.5)
    assert [i.area for i in found.instances] == [4, 3]
    assert (found.removed, found.removed_pixels) == (2, 3)


def test_a_mask_without_categories_has_no_instances():
    assert segment(np.full((3, 4), IGNORE, np.int32)).instances == []


@pytest.mark.parametrize("name", ["components", "watershed"])
@settings(max_examples=20, deadline=None)
@given(mask=arrays(np.int32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.sampled_from([-2, -1, 0, 4])))
def test_each_pixel_of_a_category_is_in_exactly_one_instance(name, mask):
    (found,) = build_method(name).segment([], [mask])
    assert sum(i.area for i in found.instances) == (mask > BACKGROUND).sum()
    labels = labels_from_instances(found.instances, mask.shape)
    np.testing.assert_array_equal(labels > 0, mask > BACKGROUND)
    for number, instance in enumerate(found.instances, start=1):
        assert set(mask[labels == number]) == {instance.category}
        assert 0 < instance.score <= 1


def test_baselines_do_not_look_at_images_and_others_may():
    assert not needs_images(build_method("components", weights="passed over"))
    assert not needs_images(build_method("watershed"))
    assert needs_images(object())


def test_an_unknown_method_is_an_option_error():
    with pytest.raises(OptionError, match="no method 'magic'; choose one of siseg, components, watershed"):
        build_method("magic")
    assert list(METHODS) == ["siseg", "components", "watershed"]


def test_the_network_is_built_with_the_options_given(monkeypatch):
    given = {}

    class Segmenter:
        def __init__(self, weights, **options):
            given.update(options, weights=weights)

    monkeypatch.setitem(sys.modules, "sisegcli.segmenter", SimpleNamespace(Segmenter=Segmenter))
    method = build_method("siseg", weights="mine.safetensors", device="cpu", edges="refine", refine=True, min_area=9)
    assert isinstance(method, Segmenter)
    assert needs_images(method)
    assert given == {
        "weights": "mine.safetensors",
        "categories": None,
        "device": "cpu",
        "edges": "refine",
        "refine": True,
        "min_area": 9,
        "min_score": 0.0,
    }


def test_baselines_do_not_import_torch():
    script = "import sys, sisegcli.methods as m; m.build_method('components'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
