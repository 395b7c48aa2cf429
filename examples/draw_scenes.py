"""Draw scenes of overlapping objects, with semantic masks and instances: small data sets with a perfect ground truth.

    python examples/draw_scenes.py OUT --count 12 --seed 2

writes a folder in the layout of a VOC devkit. Every object has its own colour, markings and place under the light, and
throws a thin shadow on what lies below it, so that the border between two objects can be seen in the picture even
where the semantic mask joins them. Some objects lie alone, some beside others of their category, and some are cut
into pieces by what lies on top of them. The command above wrote the committed ``examples/scenes``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scene_objects import DRAWN, Array, Surface, between, mix, noise

CATEGORIES: dict[int, str] = dict(enumerate(DRAWN, start=1))
"""Names of the categories by id; 0 is the background."""

SHARPNESS = 92  # quality of the JPEGs


@dataclass(frozen=True)
class Scene:
    """A drawn picture and everything there is to know about it.

    Attributes
    ----------
    image : (H, W, 3) array of uint8
        The picture, RGB.
    semantic : (H, W) array of uint8
        Category id of each pixel, 0 for the background.
    instances : (H, W) array of uint16
        Object number of each pixel from 1, in order from back to front without gaps, 0 for the background.
    categories : dict
        Category names by id.
    """

    image: NDArray[np.uint8]
    semantic: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    categories: dict[int, str] = field(default_factory=lambda: dict(CATEGORIES))


@dataclass(frozen=True)
class _Placed:
    """Where an object lies: its category, centre in pixels, radius in pixels and angle."""

    category: int
    y: float
    x: float
    radius: float
    angle: float

    def central(self, size: tuple[int, int]) -> bool:
        """Tell whether the middle of the object lies within the image."""
        margin = 0.35 * self.radius
        return margin <= self.y <= size[0] - margin and margin <= self.x <= size[1] - margin

    def window(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Return the part of the image that the object and its shadow can touch."""
        reach = self.radius * 1.2 + 14
        top, left = max(int(self.y - reach), 0), max(int(self.x - reach), 0)
        bottom, right = min(int(self.y + reach), size[0]), min(int(self.x + reach), size[1])
        return slice(top, bottom), slice(left, right)


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int] = (240, 320), objects: tuple[int, int] = (3, 9)
) -> Scene:
    """Draw one scene.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything: the same state gives the same scene.
    size : tuple of int
        Height and width in pixels.
    objects : tuple of int
        Smallest and largest number of objects, both included; fewer come out where a small image has no more room.

    Returns
    -------
    Scene
        Each of its objects is visible with at least a quarter of its area.

    Examples
    --------
    >>> scene = draw_scene(np.random.default_rng(0), size=(60, 80), objects=(2, 2))
    >>> scene.image.shape, scene.semantic.dtype, int(scene.instances.max())
    ((60, 80, 3), dtype('uint8'), 2)
    """
    light = _light(rng)
    picture = _background(rng, size)
    semantic = np.zeros(size, np.uint8)
    instances = np.zeros(size, np.uint16)
    areas = visible = np.zeros(1, np.int64)  # of each object, at first and what is left of it
    placed: list[_Placed] = []
    wanted = int(rng.integers(objects[0], objects[1] + 1))
    favourites = rng.permutation(len(CATEGORIES))[:3] + 1
    for _ in range(wanted * 8):
        if len(placed) == wanted:
            break
        thing = _place(rng, placed, favourites, size)
        if not thing.central(size):
            continue
        window = thing.window(size)
        surface, distance = _shape(rng, thing, window)
        inside = distance <= 0
        hidden = np.bincount(instances[window][inside], minlength=len(areas))
        if not inside.any() or ((visible - hidden)[1:] < areas[1:] / 4).any():
            continue
        placed.append(thing)
        areas = np.append(areas, inside.sum())
        visible = np.append(visible - hidden, inside.sum())
        instances[window][inside] = len(placed)
        semantic[window][inside] = thing.category
        picture[window] = _paint(picture[window], surface, distance, light)
    falloff = np.add.outer(np.linspace(-1, 1, size[0]) * light[0], np.linspace(-1, 1, size[1]) * light[1])
    picture = picture * (1 + 0.12 * falloff)[..., None] + rng.uniform(-0.02, 0.02, (*size, 1))
    return Scene((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), semantic, instances)


def _light(rng: np.random.Generator) -> Array:
    """Return the direction towards the light (y, x, up), of length 1; it comes from above in the picture, as by day."""
    turn = rng.uniform(-1, 1)
    light = np.array([-np.cos(turn), np.sin(turn), rng.uniform(1.1, 1.6)])
    unit: Array = light / np.linalg.norm(light)
    return unit


def _place(
    rng: np.random.Generator, placed: Sequence[_Placed], favourites: NDArray[np.int64], size: tuple[int, int]
) -> _Placed:
    """Choose an object's category and place: often beside one of its kind, sometimes across another, or anywhere."""
    scale = (size[0] * size[1]) ** 0.5
    habit = rng.random()
    partner = placed[int(rng.integers(len(placed)))] if placed and habit < 0.7 else None
    category = int(favourites[rng.integers(len(favourites))])
    if partner and habit < 0.45:
        category = partner.category
    _, smallest, largest = DRAWN[CATEGORIES[category]]
    radius = rng.uniform(smallest, largest) * scale
    angle = rng.uniform(0, 2 * np.pi)
    y, x = rng.uniform(0.12, 0.88, 2) * size
    if partner:
        turn = rng.uniform(0, 2 * np.pi)
        if habit < 0.45:  # neighbours: about as far apart as makes them touch, and lying in about the same direction
            away = (radius + partner.radius) * rng.uniform(0.5, 0.95)
            angle = partner.angle + rng.uniform(-0.5, 0.5)
        else:
            away = (radius + partner.radius) * rng.uniform(0, 0.5)
        y, x = partner.y + away * np.sin(turn), partner.x + away * np.cos(turn)
    return _Placed(category, float(y), float(x), float(radius), float(angle))


def _shape(rng: np.random.Generator, thing: _Placed, window: tuple[slice, slice]) -> tuple[Surface, Array]:
    """Draw an object in its window; also return the distance to its outline in pixels, negative inside."""
    rows, columns = np.mgrid[window]
    rows, columns = rows + (0.5 - thing.y), columns + (0.5 - thing.x)
    sine, cosine = np.sin(thing.angle), np.cos(thing.angle)
    draw, _, _ = DRAWN[CATEGORIES[thing.category]]
    own = np.random.default_rng(int(rng.integers(2**63)))  # how much an object draws from it changes no other object
    surface = draw(own, rows * cosine - columns * sine, rows * sine + columns * cosine, thing.radius)
    slope_y, slope_x = np.gradient(surface.outline)
    slope = np.hypot(slope_y, slope_x)
    return surface, surface.outline / np.maximum(slope, 0.3 * slope.mean())


def _paint(below: Array, surface: Surface, distance: Array, light: Array) -> Array:
    """Light an object and lay it, with its shadow, over a part of the picture."""
    slope_y, slope_x = np.gradient(surface.height)
    normal = np.stack((-slope_y, -slope_x, np.ones_like(slope_y)), axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    facing = np.clip(normal @ light, 0, None)
    mirror = np.clip(2 * facing * normal[..., 2] - light[2], 0, None)
    contact = 1 - 0.4 * np.exp(np.minimum(distance, 0) / 1.6)  # edges get less of the sky's light
    lit = surface.colour * ((0.42 + 0.72 * facing / light[2]) * contact)[..., None]
    lit = lit + surface.gloss * (mirror**18)[..., None]

    cover = np.clip(0.5 - distance, 0, 1)
    shadow = 0.5 * _thrown(cover, light, far=2, blur=1.5) + 0.3 * _thrown(cover, light, far=5, blur=4)
    return mix(below * (1 - shadow)[..., None], np.clip(lit, 0, 1), cover)


def _thrown(cover: Array, light: Array, far: float, blur: float) -> Array:
    """Return the shadow of an object, moved `far` pixels away from the light and blurred."""
    dy, dx = (round(-far * v) for v in light[:2])
    moved = np.pad(cover, 5)[5 - dy : 5 - dy + cover.shape[0], 5 - dx : 5 - dx + cover.shape[1]]
    soft = Image.fromarray((moved * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(soft, np.float64) / 255


def _background(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    """Draw the ground: boards, sand, slate or linen."""
    kind = int(rng.integers(4))
    y, x = np.mgrid[0.0 : size[0], 0.0 : size[1]]
    coarse, fine = noise(rng, size, 60), noise(rng, size, 4, octaves=2)
    if kind == 0:
        base = between(rng, (112, 84, 60), (150, 118, 84), (172, 150, 122))
        width = rng.uniform(0.2, 0.34) * size[0]
        board = y / width + rng.random()
        tone = rng.uniform(-0.12, 0.12, 16)[board.astype(np.int64) % 16]
        grain = noise(rng, size, 5, octaves=3, stretch=14)
        rings = np.sin(8 * noise(rng, size, 26, octaves=2, stretch=9))
        gap = np.exp(-(((board - np.round(board)) * width / 1.3) ** 2))
        value = 1 + tone + 0.1 * grain + 0.05 * rings - 0.6 * gap
    elif kind == 1:
        base = between(rng, (186, 164, 128), (204, 188, 156))
        ripples = np.sin((y + 14 * coarse) / rng.uniform(4, 6) + x / 60)
        value = 1 + 0.05 * ripples + 0.07 * fine + 0.06 * coarse + rng.uniform(-0.07, 0.07, size)
    elif kind == 2:
        base = between(rng, (72, 80, 88), (104, 108, 106), (124, 126, 132))
        layers = noise(rng, size, 18, octaves=4, stretch=2.5)
        value = 1 + 0.14 * layers + 0.05 * fine + 0.1 * np.clip(np.sin(5 * layers) - 0.8, 0, 1)
    else:
        base = between(rng, (104, 124, 132), (156, 160, 146), (188, 176, 160))
        weave = np.sin(x * 1.7 + 0.6 * fine) * np.sin(y * 1.7 + 0.6 * fine)
        value = 1 + 0.09 * weave + 0.1 * coarse + 0.05 * fine
    ground: Array = base * np.clip(value, 0.2, 1.6)[..., None]
    return ground


def draw_scenes(count: int, seed: int = 0, size: tuple[int, int] = (240, 320)) -> list[Scene]:
    """Draw `count` scenes; scene i depends on `seed`, i and `size` alone."""
    return [draw_scene(np.random.default_rng([seed, number]), size) for number in range(count)]


def write_voc(folder: str | Path, scenes: Iterable[Scene], split: str = "val") -> list[str]:
    """Write scenes in the layout of a VOC devkit and return their names.

    The folder gets ``JPEGImages``, ``SegmentationClass`` and ``SegmentationObject`` (indexed PNGs),
    ``ImageSets/Segmentation/<split>.txt`` with the names, and ``classes.txt`` with the categories' names, one a line
    from id 1.
    """
    folder = Path(folder)
    folders = [folder / name for name in ("JPEGImages", "SegmentationClass", "SegmentationObject")]
    lists = folder / "ImageSets" / "Segmentation"
    for directory in (*folders, lists):
        directory.mkdir(parents=True, exist_ok=True)
    names = []
    palette = _palette()
    for number, scene in enumerate(scenes, start=1):
        name = f"scene-{number:02d}"
        Image.fromarray(scene.image).save(folders[0] / f"{name}.jpg", quality=SHARPNESS)
        if scene.instances.max() > 255:
            raise ValueError(f"{name} has {scene.instances.max()} objects; an indexed PNG holds at most 255")
        for directory, labels in zip(folders[1:], (scene.semantic, scene.instances.astype(np.uint8)), strict=True):
            picture = Image.fromarray(labels)
            picture.putpalette(palette)
            picture.save(directory / f"{name}.png", optimize=True)
        names.append(name)
    (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CATEGORIES.values()), encoding="utf-8")
    return names


def _palette() -> bytes:
    """Return VOC's colours: the bits of an id are dealt out to red, green and blue, the highest bits first."""
    ids = np.arange(256, dtype=np.int64)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= np.uint8(((ids >> (3 * bit + channel)) & 1) << (7 - bit))
    return colours.tobytes()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Draw scenes with semantic masks and instances in VOC layout.")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write, made if missing")
    parser.add_argument("--count", type=int, default=12, help="number of scenes (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random generator (%(default)s)")
    parser.add_argument("--size", default="240x320", help="height and width in pixels (%(default)s)")
    options = parser.parse_args(arguments)
    height, _, width = options.size.partition("x")
    if not (height.isdecimal() and width.isdecimal() and min(int(height), int(width)) >= 32):
        parser.error(f"--size is HEIGHTxWIDTH, such as 240x320, both at least 32, not {options.size}")
    names = write_voc(options.out, draw_scenes(options.count, options.seed, (int(height), int(width))))
    sys.stdout.write(f"{len(names)} scenes written to {options.out}\n")


if __name__ == "__main__":
    main()
