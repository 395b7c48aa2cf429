"""Draw scenes that the shipped weights find hard, convert them and put everything into one picture, a row each.

    python examples/draw_failures.py

writes ``examples/failures.png``. The columns are the image, the semantic mask, the true instances, and the instances
found, each with its score. ``docs/failures.md`` says what the rows are for.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from draw_scenes import CATEGORIES, Scene, _background, _light, _paint, _palette, _Placed, _shape
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scene_objects import Array, Surface, mix, noise
from scipy import ndimage

from sisegcli import Instance, Segmenter
from sisegcli.formats.palette import PALETTE

SIZE = (222, 296)  # height and width of a panel
GAP = 5  # pixels between panels
PAPER = (255, 255, 255)
GROUND = (38, 40, 46)  # where there is no instance
CRUMB = 60  # pixels; smaller instances get no score written on them
IDS = {name: number for number, name in CATEGORIES.items()}


@dataclass(frozen=True)
class Part:
    """A part of a scene: what it looks like, where it lies, and which object it truly belongs to.

    Attributes
    ----------
    number : int
        Number of the true instance, 0 for the background.
    look : str
        What is drawn: a category of the example scenes, or ``post``.
    y, x, radius : float
        Centre and radius in pixels; a post has the radius as half its width.
    angle : float
        Turn in radians.
    seed : int
        Decides the individual: parts of one look and one seed look the same.
    category : str
        Category in the mask, if it is not the look.
    """

    number: int
    look: str
    y: float
    x: float
    radius: float
    angle: float = 0.0
    seed: int = 0
    category: str = ""

    def surface(self, size: tuple[int, int]) -> tuple[Surface, Array]:
        """Draw the part on a whole image; also return the distance to its outline, negative inside."""
        rng = np.random.default_rng(self.seed)
        if self.look == "post":
            return _post(rng, size, self.x, self.radius)
        placed = _Placed(IDS[self.look], self.y, self.x, self.radius, self.angle)
        return _shape(rng, placed, np.s_[: size[0], : size[1]])


Layers = Sequence[Sequence[Part]]
"""Parts from back to front; those of one layer are painted as one body, without a border or a shadow between them."""

CASES: dict[str, Layers] = {
    "occlusion": (
        [Part(1, "fish", 58, 148, 106, seed=3)],
        [Part(2, "fish", 164, 146, 100, seed=8)],
        [Part(0, "post", 0, 100, 13, seed=1)],
        [Part(0, "post", 0, 190, 13, seed=2)],
    ),
    "one centre": (
        [Part(1, "apple", 112, 76, 68, seed=4)],
        [Part(2, "apple", 116, 78, 32, seed=9)],
        [Part(3, "leaf", 112, 212, 88, angle=0.75, seed=5)],
        [Part(4, "leaf", 112, 212, 88, angle=2.4, seed=11)],
    ),
    "no border": ([Part(1, "brick", 100, 100, 70, seed=17), Part(2, "brick", 122, 190, 70, seed=17)],),
    "two colours": (
        [Part(1, "brick", 148, 80, 72, angle=1.57, seed=6, category="starfish")],
        [Part(1, "apple", 58, 80, 40, seed=12, category="starfish")],
        [Part(2, "leaf", 80, 214, 80, angle=-1.57, seed=14, category="leaf")],
        [Part(2, "brick", 172, 214, 48, seed=15, category="leaf")],
    ),
}
"""The hard scenes, by what is hard about them."""


def draw_case(layers: Layers, seed: int = 0, size: tuple[int, int] = SIZE) -> Scene:
    """Draw one scene; the same layers, seed and size give the same scene."""
    rng = np.random.default_rng(seed)
    light = _light(rng)
    picture = _background(rng, size)
    semantic = np.zeros(size, np.uint8)
    instances = np.zeros(size, np.uint16)
    for layer in layers:
        drawn = [part.surface(size) for part in layer]
        body, outline = drawn[0]
        for surface, distance in drawn[1:]:
            height = np.maximum(body.height, surface.height)
            body = Surface(np.minimum(body.outline, surface.outline), height, body.colour, body.gloss)
            outline = np.minimum(outline, distance)
        picture = _paint(picture, body, outline, light)
        for part, (_, distance) in zip(layer, drawn, strict=True):
            instances[distance <= 0] = part.number
            semantic[distance <= 0] = IDS.get(part.category or part.look, 0)
    return Scene((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), semantic, instances)


def _post(rng: np.random.Generator, size: tuple[int, int], x: float, half: float) -> tuple[Surface, Array]:
    """Draw an upright post of wood, as high as the image."""
    across = np.broadcast_to(np.arange(size[1]) + 0.5 - x, size)
    distance = np.abs(across) - half
    height = np.sqrt(np.clip(1.02 * half**2 - across**2, 0, None))
    grain = noise(rng, (size[1], size[0]), 4, stretch=14).T
    colour = mix(np.full((*size, 3), (0.62, 0.5, 0.36)), np.array([0.34, 0.25, 0.17]), 0.3 + 0.3 * grain)
    return Surface(distance, height, colour, gloss=0.05), distance


def draw_failures(segmenter: Segmenter, cases: dict[str, Layers] | None = None) -> Image.Image:
    """Draw the scenes, convert them, and put both into one picture.

    Parameters
    ----------
    segmenter : Segmenter
        Finds the instances.
    cases : dict, optional
        Scenes to draw, `CASES` without it.
    """
    cases = CASES if cases is None else cases
    height, width = SIZE
    sheet = Image.new("RGB", (4 * (width + GAP) - GAP, len(cases) * (height + GAP) - GAP), PAPER)
    for row, layers in enumerate(cases.values()):
        scene = draw_case(layers, seed=row)
        mask = Image.fromarray(scene.semantic)
        mask.putpalette(_palette())
        categories = {int(n): int(scene.semantic[scene.instances == n][0]) for n in np.unique(scene.instances) if n}
        true = [Instance.from_mask(scene.instances == n, category) for n, category in categories.items()]
        found = segmenter.predict(scene.image, scene.semantic)
        panels = Image.fromarray(scene.image), mask, _panel(true), _panel(found, scores=True)
        for column, panel in enumerate(panels):
            sheet.paste(panel.convert("RGB"), (column * (width + GAP), row * (height + GAP)))
    return sheet


def _panel(instances: Sequence[Instance], scores: bool = False) -> Image.Image:
    """Paint instances in colours of their own, and write their scores where they are widest."""
    pixels = np.full((*SIZE, 3), GROUND, np.uint8)
    for number, instance in enumerate(instances):
        pixels[instance.mask()] = PALETTE[number % len(PALETTE)]
    panel = Image.fromarray(pixels)
    if scores:
        draw, font = ImageDraw.Draw(panel), ImageFont.load_default(15)
        for instance in (found for found in instances if found.area >= CRUMB):
            y, x = _deepest(instance.mask())
            draw.text((x, y), f"{instance.score:.2f}", fill=(0, 0, 0), font=font, anchor="mm")
    return panel


def _deepest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the pixel (y, x) that is farthest from the edge of a mask."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(y), int(x)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Draw scenes that are hard, and what is found in them.")
    beside = Path(__file__).with_name("failures.png")
    parser.add_argument("out", type=Path, nargs="?", default=beside, help="picture to write, a PNG (%(default)s)")
    parser.add_argument("--weights", default="default", help="name or file of the weights (%(default)s)")
    options = parser.parse_args(arguments)
    sheet = draw_failures(Segmenter(options.weights, device="cpu"))
    # Indexed colours make the file less than half as large.
    indexed = sheet.quantize(palette=sheet.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)
    indexed.save(options.out, optimize=True)


if __name__ == "__main__":
    main()
