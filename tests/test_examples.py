from __future__ import annotations

import doctest
from pathlib import Path

import draw_failures
import draw_method
import draw_overview
import draw_scenes
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

SCENES = Path(__file__).parent.parent / "examples" / "scenes"
SEED = 2


@pytest.fixture(scope="module")
def scenes() -> list[draw_scenes.Scene]:
    return draw_scenes.draw_scenes(12, seed=SEED)


def _scene(seed: int, **options: tuple[int, int]) -> draw_scenes.Scene:
    return draw_scenes.draw_scene(np.random.default_rng(seed), **options)


@pytest.mark.parametrize("seed", range(6))
def test_every_instance_has_one_category_and_every_labelled_pixel_an_instance(seed: int) -> None:
    scene = _scene(seed)
    assert scene.image.shape == (240, 320, 3)
    assert (scene.image.dtype, scene.semantic.dtype, scene.instances.dtype) == (np.uint8, np.uint8, np.uint16)
    np.testing.assert_array_equal(scene.instances > 0, scene.semantic > 0)
    numbers = np.unique(scene.instances[scene.instances > 0])
    assert numbers.tolist() == list(range(1, len(numbers) + 1))
    assert 3 <= len(numbers) <= 9
    for number in numbers:
        found = set(scene.semantic[scene.instances == number].tolist())
        assert len(found) == 1 and found <= set(scene.categories)


def test_a_seed_decides_everything() -> None:
    first, again, other = _scene(5), _scene(5), _scene(6)
    for name in ("image", "semantic", "instances"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert (getattr(first, name) != getattr(other, name)).any()


def test_a_scene_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = draw_scenes.draw_scenes(1, seed=4, size=(48, 64)), draw_scenes.draw_scenes(3, seed=4, size=(48, 64))
    np.testing.assert_array_equal(few[0].image, many[0].image)
    assert (many[1].image != many[2].image).any()


@pytest.mark.parametrize("size", [(32, 32), (41, 150), (200, 90)])
def test_any_size_and_number_of_objects(size: tuple[int, int]) -> None:
    scene = _scene(1, size=size, objects=(2, 4))
    assert scene.semantic.shape == scene.instances.shape == scene.image.shape[:2] == size
    assert 1 <= scene.instances.max() <= 4


def test_an_empty_scene_is_background_alone() -> None:
    scene = _scene(1, size=(32, 32), objects=(0, 0))
    assert not scene.semantic.any() and not scene.instances.any()
    assert scene.image.std() > 1


def test_borders_inside_a_category_are_visible(scenes: list[draw_scenes.Scene]) -> None:
    """Between two objects of one category there is a dark line."""
    border, elsewhere = [], []
    for scene in scenes:
        grey = scene.image.astype(float).mean(2)[:, 1:]
        same_category = (scene.semantic[:, 1:] == scene.semantic[:, :-1]) & (scene.semantic[:, 1:] > 0)
        same_object = scene.instances[:, 1:] == scene.instances[:, :-1]
        border.append(grey[same_category & ~same_object])
        elsewhere.append(grey[same_category & same_object])
    assert np.concatenate(border).size > 500
    assert np.concatenate(border).mean() < 0.75 * np.concatenate(elsewhere).mean()


def test_scenes_hold_what_makes_instances_hard(scenes: list[draw_scenes.Scene]) -> None:
    """Some objects touch one of their category, and some are cut into pieces."""
    touching = pieces = 0
    for scene in scenes:
        below, above = scene.instances[1:], scene.instances[:-1]
        same = (scene.semantic[1:] == scene.semantic[:-1]) & (below > 0) & (below != above)
        touching += len(set(zip(below[same].tolist(), above[same].tolist(), strict=True)))
        for number in range(1, int(scene.instances.max()) + 1):
            parts, _ = ndimage.label(scene.instances == number)
            pieces += int((np.bincount(parts.ravel())[1:] > 30).sum()) > 1
    assert touching >= 10
    assert pieces >= 3


def test_a_written_folder_reads_back(tmp_path: Path) -> None:
    drawn = draw_scenes.draw_scenes(2, seed=7, size=(60, 80))
    names = draw_scenes.write_voc(tmp_path / "out", drawn, split="train")
    assert names == ["scene-01", "scene-02"]
    assert (tmp_path / "out/ImageSets/Segmentation/train.txt").read_text() == "scene-01\nscene-02\n"
    assert (tmp_path / "out/classes.txt").read_text().split() == list(draw_scenes.CATEGORIES.values())
    for name, scene in zip(names, drawn, strict=True):
        with Image.open(tmp_path / f"out/JPEGImages/{name}.jpg") as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (80, 60))
        for folder, labels in (("SegmentationClass", scene.semantic), ("SegmentationObject", scene.instances)):
            with Image.open(tmp_path / "out" / folder / f"{name}.png") as image:
                assert image.mode == "P"
                assert image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
                np.testing.assert_array_equal(np.asarray(image), labels)


def test_more_objects_than_an_indexed_image_holds_are_refused(tmp_path: Path) -> None:
    labels = np.full((2, 2), 256, np.uint16)
    scene = draw_scenes.Scene(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.uint8), labels)
    with pytest.raises(ValueError, match="256 objects"):
        draw_scenes.write_voc(tmp_path, [scene])


def test_the_committed_scenes_are_what_the_generator_draws(scenes: list[draw_scenes.Scene]) -> None:
    names = (SCENES / "ImageSets/Segmentation/val.txt").read_text().split()
    assert names == [f"scene-{number:02d}" for number in range(1, 13)]
    assert (SCENES / "classes.txt").read_text().split() == list(draw_scenes.CATEGORIES.values())
    for name, scene in zip(names, scenes, strict=True):
        with Image.open(SCENES / "SegmentationClass" / f"{name}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), scene.semantic)
        with Image.open(SCENES / "SegmentationObject" / f"{name}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), scene.instances)
        with Image.open(SCENES / "JPEGImages" / f"{name}.jpg") as image:
            assert np.abs(np.asarray(image, float) - scene.image).mean() < 6  # a JPEG is no exact copy


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_scenes.main([str(tmp_path / "out"), "--count", "1", "--size", "40x56"])
    assert capsys.readouterr().out == f"1 scenes written to {tmp_path / 'out'}\n"
    with Image.open(tmp_path / "out/SegmentationObject/scene-01.png") as image:
        assert image.size == (56, 40)
    with pytest.raises(SystemExit):
        draw_scenes.main([str(tmp_path / "out"), "--size", "big"])
    assert "--size is HEIGHTxWIDTH" in capsys.readouterr().err


@pytest.mark.parametrize(("width", "rows"), [(320, 3), (646, 4)])
def test_the_overview_has_a_row_for_each_kind_of_picture(tmp_path: Path, width: int, rows: int) -> None:
    for name in ("scene-01", "scene-02"):
        Image.new("RGB", (width, 240), (1, 2, 3)).save(tmp_path / f"{name}.png")
    sheet = draw_overview.draw_overview(SCENES, tmp_path, ["scene-01", "scene-02"])
    assert sheet.size == (2 * 320 + 6, rows * 246 - 6)
    with Image.open(SCENES / "SegmentationClass/scene-02.png") as mask:
        assert sheet.crop((326, 246, 646, 486)).tobytes() == mask.convert("RGB").tobytes()
    assert {sheet.getpixel((0, 246 * row)) for row in range(2, rows)} == {(1, 2, 3)}

    draw_overview.main([str(SCENES), str(tmp_path), str(tmp_path / "overview.png"), "--names", "scene-01"])
    with Image.open(tmp_path / "overview.png") as written:
        assert written.size == (320, sheet.height)


@pytest.mark.parametrize("name", draw_failures.CASES)
def test_a_hard_scene_holds_what_it_is_there_for(name: str) -> None:
    scene, again = (draw_failures.draw_case(draw_failures.CASES[name], seed=1) for _ in range(2))
    np.testing.assert_array_equal(scene.image, again.image)
    np.testing.assert_array_equal(scene.instances > 0, scene.semantic > 0)
    objects = int(scene.instances.max())
    for number in range(1, objects + 1):
        assert len(np.unique(scene.semantic[scene.instances == number])) == 1
    regions = sum(_large_pieces(scene.semantic == category) for category in np.unique(scene.semantic) if category)
    assert (objects, regions) == {
        "occlusion": (2, 6),
        "one centre": (4, 2),
        "no border": (2, 1),
        "two colours": (2, 2),
    }[name]


def _large_pieces(mask: np.ndarray) -> int:
    pieces, _ = ndimage.label(mask)
    return int((np.bincount(pieces.ravel())[1:] > 30).sum())


def test_the_picture_of_hard_scenes_has_a_row_for_each(tmp_path: Path) -> None:
    draw_failures.main([str(tmp_path / "failures.png")])
    with Image.open(tmp_path / "failures.png") as written:
        assert written.size == (1199, 4 * 227 - 5)


def test_the_picture_of_the_method_has_its_steps(tmp_path: Path) -> None:
    draw_method.main([str(tmp_path / "method.png")])
    with Image.open(tmp_path / "method.png") as written:
        assert written.size == (4 * 325 - 5, 2 * 245 - 5)
        panels = [written.convert("RGB").crop((x, y, x + 320, y + 240)) for y in (0, 245) for x in range(0, 1300, 325)]
    assert all(len(panel.getcolors(2**20)) > 1 for panel in panels)


def test_doctests() -> None:
    assert doctest.testmod(draw_scenes) == (0, 2)
