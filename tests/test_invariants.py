"""What has to be true of every conversion, whatever the image shows; on drawn scenes, with the weights that ship."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import draw_scenes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sisegcli.categories import BACKGROUND, IGNORE, Categories, Category
from sisegcli.instances import Segmentation
from sisegcli.methods import build_method
from sisegcli.running.convert import convert
from sisegcli.running.options import ConvertOptions
from sisegcli.shipped import weights_folder

needs_weights = pytest.mark.skipif(
    not (weights_folder() / "default.safetensors").is_file(), reason="no weights ship yet"
)

STUFF = 4
"""Bricks; they stay in one piece."""
CATEGORIES = Categories([Category(number, f"c{number}", isthing=number != STUFF) for number in range(1, 9)])
PERMUTED = {1: 7, 2: 5, 3: 8, 4: 4, 5: 3, 6: 1, 7: 2, 8: 6}
"""Other ids for the same categories; the stuff keeps its own."""

Scene = tuple[np.ndarray, np.ndarray]
BASELINES = ("components", "watershed")


def draw(seed: int, size: tuple[int, int] = (60, 80)) -> Scene:
    """Draw a scene: an image, and a mask with an ignored band around some objects, as VOC's have it."""
    rng = np.random.default_rng([seed, 77])
    scene = draw_scenes.draw_scene(np.random.default_rng(seed), size, (3, 8))
    mask = np.where(scene.semantic == 0, BACKGROUND, scene.semantic.astype(np.int32)).astype(np.int32)
    edges = np.zeros(size, bool)
    edges[:, 1:] |= scene.instances[:, 1:] != scene.instances[:, :-1]
    edges[1:] |= scene.instances[1:] != scene.instances[:-1]
    kept = np.isin(scene.instances, rng.permutation(int(scene.instances.max()) + 1)[: rng.integers(0, 4)])
    mask[edges & ~kept] = IGNORE
    return scene.image, mask


scenes = st.integers(0, 2**31).map(draw)


def built(name: str, **options: Any) -> Callable[[Scene], Segmentation]:
    """Return a method as a function of one scene."""
    more = {"device": "cpu"} if name == "siseg" else {}
    method = build_method(name, categories=CATEGORIES, **{**more, **options})
    return lambda scene: method.segment([scene[0]], [scene[1]])[0]


def covered(found: Segmentation, mask: np.ndarray) -> np.ndarray:
    """Return which pixels somebody has; nobody shares one, or has one of another category or an ignored one."""
    seen = np.zeros(mask.shape, np.int64)
    for instance in found.instances:
        here = instance.mask()
        assert here.sum() == instance.area > 0
        seen += here
        assert set(np.unique(mask[here])) <= {instance.category, BACKGROUND}, "never across categories"
    assert seen.max(initial=0) <= 1, "disjoint"
    assert not seen[mask == IGNORE].any(), "ignored pixels are nobody's"
    return seen > 0


def shapes(found: Segmentation, *, flip: bool = False, names: dict[int, int] | None = None) -> list[Any]:
    """Return category, pixels and score of each instance, in an order that does not depend on ids."""
    listed = []
    for instance in found.instances:
        mask = instance.mask()[:, ::-1] if flip else instance.mask()
        category = names[instance.category] if names else instance.category
        listed.append((mask.tobytes(), category, round(instance.score, 4)))
    return sorted(listed)


def check_cover(segment: Callable[[Scene], Segmentation], scene: Scene) -> None:
    """The mask's edges are kept: exactly its pixels are covered, each category by its own."""
    _, mask = scene
    found = segment(scene)
    np.testing.assert_array_equal(covered(found, mask), mask >= 0)
    for instance in found.instances:
        assert (mask[instance.mask()] == instance.category).all()
    assert len({i.category for i in found.instances if i.category == STUFF}) == np.any(mask == STUFF)
    scores = [instance.score for instance in found.instances]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores)


def check_removal(name: str, scene: Scene, area: int, **options: Any) -> None:
    """What a minimal area takes away is what was smaller, and it is counted."""
    whole, part = built(name, **options)(scene), built(name, min_area=area, **options)(scene)
    large = [instance for instance in whole.instances if instance.area >= area]
    assert part.instances == large
    small = [instance.area for instance in whole.instances if instance.area < area]
    assert (part.removed, part.removed_pixels) == (len(small), sum(small))
    assert np.count_nonzero(covered(part, scene[1])) + sum(small) == np.count_nonzero(scene[1] >= 0)


def permuted(scene: Scene) -> Scene:
    """Return the scene with other ids of categories."""
    image, mask = scene
    table = np.arange(9, dtype=np.int32)
    table[list(PERMUTED)] = list(PERMUTED.values())
    return image, np.where(mask > 0, table[np.maximum(mask, 0)], mask).astype(np.int32)


def flipped(scene: Scene) -> Scene:
    """Return the scene as a mirror shows it."""
    image, mask = scene
    return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])


# -- baselines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BASELINES)
@settings(max_examples=8)
@given(scene=scenes, area=st.integers(1, 150))
def test_baselines(name, scene, area):
    segment = built(name)
    check_cover(segment, scene)
    check_removal(name, scene, area)
    assert segment(scene) == segment(scene)
    assert shapes(segment(permuted(scene))) == shapes(segment(scene), names=PERMUTED)
    if name == "components":  # the seeds of watershed have an order
        assert shapes(segment(flipped(scene))) == shapes(segment(scene), flip=True)


# -- the network -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four() -> list[Scene]:
    """Four scenes, large enough for the network to see something."""
    return [draw(seed, (96, 131)) for seed in (3, 5, 8, 13)]


@pytest.fixture(scope="module")
def keeping() -> Callable[[Scene], Segmentation]:
    return built("siseg", edges="keep")


@needs_weights
def test_the_network_covers_the_mask_where_edges_are_kept(four, keeping):
    for scene in four:
        check_cover(keeping, scene)
    check_removal("siseg", four[0], 150, edges="keep")


@needs_weights
def test_moved_edges_share_no_pixel_and_leave_what_is_ignored(four):
    segment = built("siseg", edges="refine")
    for scene in four:
        found = segment(scene)
        assert covered(found, scene[1]).any()
        stuff = scene[1] == STUFF
        held = [instance.mask() for instance in found.instances if instance.category == STUFF]
        np.testing.assert_array_equal(np.any(held, axis=0) if held else np.zeros_like(stuff), stuff)


@needs_weights
def test_ids_of_categories_are_only_names(four, keeping):
    for scene in four:
        assert shapes(keeping(permuted(scene))) == shapes(keeping(scene), names=PERMUTED)


@needs_weights
def test_a_mirror_changes_little(four, keeping):
    """The network is not mirrored exactly: most instances have a partner of IoU 0.5 and more in the mirror."""
    count = matched = 0
    for scene in four:
        one = [(i.category, i.mask()) for i in keeping(scene).instances]
        other = [(i.category, i.mask()[:, ::-1]) for i in keeping(flipped(scene)).instances]
        for mine, theirs in ((one, other), (other, one)):
            for category, mask in mine:
                count += 1
                matched += any(
                    category == c and np.count_nonzero(mask & m) >= 0.5 * np.count_nonzero(mask | m) for c, m in theirs
                )
    assert count > 30 and matched >= 0.9 * count


@needs_weights
def test_threads_batches_tiles_and_chance_change_no_byte(four, tmp_path):
    """What is promised to the byte: readers, threads of computation, tiles that nobody needs, and the time of day."""
    root = tmp_path / "set"
    for number, (image, mask) in enumerate(four):
        values = np.where(mask == IGNORE, 255, np.where(mask == BACKGROUND, 0, mask)).astype(np.uint8)
        for folder, pixels in (("images", image), ("masks", values)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            draw_scenes.Image.fromarray(pixels).save(root / folder / f"{number}.png")
    options = ConvertOptions(root=root, device="cpu", batch_size=2, workers=1, to=("coco", "voc"))
    outputs = []
    for number, change in enumerate(({}, {"workers": 4}, {"tile": "off", "profile": True})):
        out = tmp_path / str(number)
        assert convert(replace(options, out=out, **change)).exit_code == 0
        files = (path for path in sorted(out.rglob("*")) if path.is_file() and ".sisegcli" not in path.parts)
        outputs.append({path.relative_to(out): path.read_bytes() for path in files})
    assert all(found == outputs[0] for found in outputs)
    assert len(outputs[0]) == 10
