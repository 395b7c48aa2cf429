"""The five categories of thing that the example scenes show, each drawn by one function.

A drawing function gets a random generator, pixel coordinates in the object's own frame (origin at its centre, x along
its long axis, already rotated) and its radius, and returns a `Surface`: outline, relief and colour. It knows nothing
of the scene. Random numbers decide the individual: its proportions, its colour within the category's range, its
markings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """An object before it is lit.

    Attributes
    ----------
    outline : (h, w) array
        Below zero inside the object, above outside; its scale does not matter.
    height : (h, w) array
        Relief above the ground in pixels; lighting uses its slope.
    colour : (h, w, 3) array
        Unlit colour in [0, 1].
    gloss : float
        Strength of highlights, 0 for a matt surface.
    """

    outline: Array
    height: Array
    colour: Array
    gloss: float


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int = 3, stretch: float = 1) -> Array:
    """Draw smooth random numbers, mostly in [-1, 1], with features of `cell` pixels (`stretch` times as wide)."""
    height, width = shape
    total = np.zeros(shape)
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        grid = rng.random((int(height / step) + 4, int(width / (step * stretch)) + 4)).astype(np.float32) * 2 - 1
        box = (1.0, 1.0, 1 + width / (step * stretch), 1 + height / step)
        layer = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box=box)
        total += np.asarray(layer, np.float64) / 2**octave
    return total


def mix(first: Array, second: Array, share: Array | float) -> Array:
    """Blend two colours or pictures; `share` in [0, 1] of shape (h, w) (or one number) is the second one's part."""
    part = np.clip(np.asarray(share, np.float64), 0, 1)[..., None]
    blend: Array = first * (1 - part) + second * part
    return blend


def between(rng: np.random.Generator, *colours: tuple[int, int, int]) -> Array:
    """Pick a colour, as (3,) floats in [0, 1], somewhere between two neighbours of a list of 8-bit RGB colours."""
    first = int(rng.integers(len(colours) - 1))
    pair = np.array(colours[first : first + 2], np.float64) / 255
    colour: Array = np.clip(pair[0] + (pair[1] - pair[0]) * rng.random() + rng.uniform(-0.04, 0.04, 3), 0, 1)
    return colour


def _line(distance: Array, width: float) -> Array:
    """Return 1 on a line, falling to 0 within its `width`; `distance` is the distance to it."""
    falling: Array = np.exp(-((distance / width) ** 2))
    return falling


def _segment(y: Array, x: Array, end: tuple[float, float]) -> Array:
    """Return the distance of (y, x) to the segment from the origin to `end`."""
    along = np.clip((y * end[0] + x * end[1]) / (end[0] ** 2 + end[1] ** 2), 0, 1)
    return np.hypot(y - along * end[0], x - along * end[1])


def apple(rng: np.random.Generator, y: Array, x: Array, radius: float) -> Surface:
    """Draw an apple from above: a lobed ball with a dimple, a stalk, streaks and pale dots."""
    angle = np.arctan2(y, x)
    phases = rng.uniform(0, 2 * np.pi, 3)
    reach = radius * (0.92 + sum(0.025 * np.cos(k * angle + p) for k, p in zip((2, 3, 5), phases, strict=True)))
    ratio = np.hypot(y, x) / reach
    turn, offset = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.35) * radius
    dimple_y, dimple_x = y - offset * np.sin(turn), x - offset * np.cos(turn)
    depth = _line(np.hypot(dimple_y, dimple_x), 0.24 * radius)
    height = 0.85 * radius * np.sqrt(np.clip(1.02 - ratio**2, 0, None)) - 0.2 * radius * depth

    around = np.arctan2(dimple_y, dimple_x)
    streaks = sum(np.sin(k * around + rng.uniform(0, 2 * np.pi)) / k**0.5 for k in (1, 2, 5, 9, 17, 26))
    skin = between(rng, (150, 22, 30), (196, 40, 36), (214, 120, 40), (206, 176, 60), (132, 168, 54))
    blush = between(rng, (206, 70, 44), (222, 186, 84), (170, 190, 80))
    colour = mix(skin, blush, 0.28 + 0.16 * streaks + 0.2 * noise(rng, y.shape, radius / 2))
    for dot in rng.uniform(-0.8, 0.8, (14, 2)) * radius:
        colour = mix(colour, np.array([0.95, 0.88, 0.68]), 0.45 * _line(np.hypot(y - dot[0], x - dot[1]), 1.1))
    colour = mix(colour, np.array([0.45, 0.42, 0.16]), 0.75 * depth)
    lean = rng.uniform(0, 2 * np.pi)
    stalk = _segment(dimple_y, dimple_x, (0.3 * radius * np.sin(lean), 0.3 * radius * np.cos(lean)))
    colour = mix(colour, np.array([0.27, 0.17, 0.09]), _line(stalk, 0.06 * radius) * 1.4)
    return Surface(ratio - 1, height + 0.1 * radius * _line(stalk, 0.06 * radius), colour, gloss=0.5)


def leaf(rng: np.random.Generator, y: Array, x: Array, radius: float) -> Surface:
    """Draw a leaf: a bent blade with a stalk, a midrib, side veins and a toothed edge."""
    y = y - rng.uniform(-0.3, 0.3) * (x**2 / radius - radius / 3)
    along = np.clip((x / radius + 0.8) / 1.8, 1e-6, 1 - 1e-6)
    profile = np.sin(np.pi * along ** rng.uniform(0.65, 0.95)) ** rng.uniform(0.8, 1.05)
    teeth = 1 + rng.uniform(0, 0.1) * np.abs(np.sin(np.pi * along * rng.integers(9, 14)))
    half = radius * rng.uniform(0.26, 0.42) * profile * teeth
    blade = np.maximum(np.abs(y) - half, np.maximum(x - radius, -0.8 * radius - x))
    stalk = _segment(y, x + radius, (0, 0.4 * radius)) - max(0.03 * radius, 1.1)

    share = np.abs(y) / np.maximum(half, 1)
    veins = along * rng.uniform(7, 10) - share * rng.uniform(0.8, 1.5)
    side = _line(np.abs(veins - np.round(veins)), 0.13) * (share < 0.95)
    middle = _line(y, max(0.03 * radius, 1.0))
    height = radius * 0.2 * np.sin(np.clip(share, 0, 1) * 2.6) - radius * 0.03 * side * (1 - middle)
    greens = (58, 92, 38), (92, 128, 48), (138, 158, 56), (186, 160, 58), (196, 112, 44), (152, 60, 36)
    base = between(rng, *greens)
    dry = between(rng, (150, 132, 56), (128, 84, 40))
    colour = mix(base, dry, 0.25 * noise(rng, y.shape, radius / 3) + 0.35 * share**4)
    colour = mix(colour, np.clip(base * 1.25 + 0.13, 0, 1), np.maximum(0.45 * side, 0.8 * middle))
    return Surface(np.minimum(blade, stalk), height, colour, gloss=0.16)


def brick(rng: np.random.Generator, y: Array, x: Array, radius: float) -> Surface:
    """Draw a brick: a rounded box with bevelled edges and pitted faces, sometimes with a hollow in its face."""
    half_y, half_x = radius * rng.uniform(0.4, 0.55), radius * rng.uniform(0.8, 0.9)
    corner = radius * rng.uniform(0.06, 0.14)

    def box(margin: float) -> Array:
        out_y, out_x = np.abs(y) - half_y + margin + corner, np.abs(x) - half_x + margin + corner
        outside = np.hypot(np.maximum(out_y, 0), np.maximum(out_x, 0))
        return outside + np.minimum(np.maximum(out_y, out_x), 0) - corner

    outline = box(0)
    bevel = 0.12 * radius
    pits = noise(rng, y.shape, 5, octaves=2)
    height = bevel * (1 - np.clip(1 + outline / bevel, 0, 1) ** 2) + 0.35 * pits
    base = between(rng, (132, 62, 46), (164, 82, 58), (186, 116, 82), (158, 128, 104), (126, 118, 112))
    colour = mix(base, base * 0.62, 0.25 + 0.3 * noise(rng, y.shape, radius / 3)) + 0.045 * pits[..., None]
    if rng.random() < 0.4:
        hollow = box(0.22 * radius)
        height = height - 0.7 * bevel * np.clip(-hollow / (0.5 * bevel), 0, 1)
        colour = mix(colour, colour * 0.8, (hollow < 0).astype(np.float64))
    return Surface(outline, height, np.clip(colour, 0, 1), gloss=0.04)


def fish(rng: np.random.Generator, y: Array, x: Array, radius: float) -> Surface:
    """Draw a fish from its side: body with scales, stripes, gill and eye, a forked tail and two fins."""
    y = y - rng.uniform(-0.22, 0.22) * (x**2 / radius - radius / 3)
    girth = rng.uniform(0.3, 0.42) * radius
    along = np.clip((x / radius + 0.98) / 1.62, 1e-6, 1 - 1e-6)
    half = girth * np.sin(np.pi * along**0.72) ** 0.75 + 0.06 * radius * along
    body = np.maximum(np.abs(y) - half, np.maximum(-0.98 * radius - x, x - 0.66 * radius))
    fan = (x - 0.5 * radius) * rng.uniform(0.8, 1.1)
    notch = 0.98 * radius - 0.45 * np.clip(fan - np.abs(y), 0, None) - x
    tail = np.maximum(np.abs(y) - fan, np.maximum(0.55 * radius - x, -notch))
    sweep = x + 0.18 * radius
    rise = girth * rng.uniform(1.3, 1.5) - 1.4 * np.clip(sweep - 0.3 * radius, 0, None) - 2 * np.clip(-sweep, 0, None)
    fins = np.maximum(-y - rise, np.abs(sweep - 0.2 * radius) - 0.5 * radius)
    fins = np.maximum(fins, y)
    in_body = body < 0

    size = 0.105 * radius
    row = np.round(y / size)
    scale_x = x / size + 0.5 * (row % 2)
    scales = np.hypot(scale_x - np.round(scale_x) - 0.35, y / size - row)
    height = 1.1 * np.where(in_body, np.sqrt(np.clip(half**2 - y**2, 0, None)), 0.1 * girth) + 0.4 * in_body * scales
    back = between(rng, (44, 74, 104), (72, 108, 124), (104, 112, 116), (176, 122, 62), (202, 92, 52))
    belly = np.clip(back * 0.35 + np.array([0.56, 0.54, 0.5]), 0, 1)
    colour = mix(back, belly, 0.5 + 0.75 * y / girth)
    bars = np.sin(x / radius * rng.uniform(9, 15) + rng.uniform(0, 6))
    colour = mix(colour, back * 0.5, rng.uniform(0, 0.6) * np.clip(2 * bars - 0.6, 0, 1) * (along > 0.3))
    colour = mix(colour, back * 0.45, 0.45 * np.clip(2 * scales - 0.75, 0, 1) * (along > 0.33))
    rays = np.sin(np.arctan2(y, x - 0.3 * radius) * 42)
    colour = np.where(in_body[..., None], colour, mix(back * 0.85, back * 0.5, 0.4 + 0.4 * rays))
    gill = np.abs(np.hypot(y, x + 0.72 * radius) - 0.32 * radius)
    colour = mix(colour, back * 0.35, 0.8 * _line(gill, 0.025 * radius) * (x > -0.72 * radius) * in_body)
    eye = np.hypot(y + 0.22 * girth, x + 0.7 * radius)
    colour = mix(colour, np.array([0.93, 0.9, 0.74]), 2 * _line(eye, 0.075 * radius))
    colour = mix(colour, np.array([0.05, 0.05, 0.07]), 2 * _line(eye, 0.04 * radius))
    return Surface(np.minimum(np.minimum(body, tail), fins), height, colour, gloss=0.4)


def starfish(rng: np.random.Generator, y: Array, x: Array, radius: float) -> Surface:
    """Draw a starfish: five tapering arms, a little bent, with rows of pale knobs."""
    reach = np.hypot(y, x)
    angle = np.arctan2(y, x) + rng.uniform(-0.35, 0.35) * (reach / radius) ** 2
    sector = 2 * np.pi / 5
    folded = angle - sector * np.round(angle / sector)
    along, across = reach * np.cos(folded), np.abs(reach * np.sin(folded))
    taper = np.clip(1 - along / radius, 0, None)
    half = radius * (rng.uniform(0.26, 0.34) * taper ** rng.uniform(0.75, 1) + 0.055)
    outline = np.maximum(across - half, np.hypot(across, along - 0.9 * radius) - 0.1 * radius)
    outline = np.where(along < 0.9 * radius, across - half, outline)

    share = np.clip(across / half, 0, 1)
    step = max(0.1 * radius, 4.0)
    lanes = np.abs(across) / step
    row = np.round(lanes)
    beads = (along + 0.5 * step * row) / step
    knobs = _line(np.hypot(beads - np.round(beads), lanes - row), 0.3) * (share < 0.85)
    height = 0.9 * half * np.sqrt(1.02 - share**2) + 0.12 * step * knobs
    base = between(rng, (206, 98, 52), (222, 138, 80), (190, 84, 94), (124, 76, 116), (96, 92, 140))
    colour = mix(base, base * 0.6, 0.2 + 0.45 * share**2 + 0.2 * noise(rng, y.shape, radius / 4))
    colour = mix(colour, np.clip(base * 0.5 + 0.5, 0, 1), 0.7 * knobs)
    return Surface(outline, height, colour, gloss=0.1)


Draw = Callable[[np.random.Generator, Array, Array, float], Surface]

DRAWN: dict[str, tuple[Draw, float, float]] = {
    "apple": (apple, 0.085, 0.16),
    "leaf": (leaf, 0.15, 0.27),
    "brick": (brick, 0.13, 0.23),
    "fish": (fish, 0.15, 0.27),
    "starfish": (starfish, 0.13, 0.2),
}
"""How to draw each category, and its smallest and largest radius as a share of the square root of the image's area."""
