"""A scene with all that formats find hard: holes, several pieces, stuff, ids that nobody named, folders inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw

from sisegcli.categories import Categories, Category
from sisegcli.formats import FORMATS
from sisegcli.formats.records import ImageResult
from sisegcli.instances import instances_from_labels

CATEGORIES = Categories([Category(3, "car"), Category(7, 'person "x", <b>'), Category(21, "sky", isthing=False)])

LABELS = np.array(
    [
        [4, 4, 4, 4, 4, 4, 4],
        [1, 1, 1, 0, 2, 0, 2],
        [1, 0, 1, 0, 2, 0, 0],
        [1, 1, 1, 0, 2, 0, 2],
        [0, 0, 0, 3, 5, 5, 0],
    ]
)
"""1: with a hole; 2: of three pieces; 3: one pixel; 4: stuff; 5: of a category that nobody named."""

CATEGORY = {1: 3, 2: 7, 3: 7, 4: 21, 5: 9}
SCORES = {1: 0.875, 2: 0.25, 3: 0.5, 4: 1.0, 5: 0.125}

RANDOM = arrays.arrays(np.int32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 3))


def scene(stem: str = "street/a", labels: np.ndarray = LABELS, category: dict[int, int] | None = None) -> ImageResult:
    """Return the scene, or other labels; a label that nobody named has the category 3."""
    category = category or {**dict.fromkeys(np.unique(labels[labels > 0]).tolist(), 3), **CATEGORY}
    size = labels.shape[0], labels.shape[1]
    return ImageResult(stem, Path(f"photos/{stem}.jpg"), size, instances_from_labels(labels, category, SCORES))


def write(name: str, out: Path, *results: ImageResult, categories: Categories = CATEGORIES, **options: Any) -> Path:
    """Write results in a format."""
    writer = FORMATS[name].writer(out, categories, **options)
    for result in results:
        writer.add(result)
    writer.close()
    return out


def fill(corners: list[tuple[float, float]], size: tuple[int, int]) -> np.ndarray:
    """Fill a polygon by the even-odd rule at the middles of pixels, one pixel and one edge after the other."""
    mask = np.zeros(size, bool)
    # Downwards, as rounding may put what runs along an edge on either side of it, by its direction.
    edges = [
        sorted(edge, key=lambda corner: corner[1]) for edge in zip(corners, [*corners[1:], corners[0]], strict=True)
    ]
    for y in range(size[0]):
        for x in range(size[1]):
            for (x0, y0), (x1, y1) in edges:
                if (y0 > y + 0.5) != (y1 > y + 0.5) and x + 0.5 < x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0):
                    mask[y, x] ^= True
    return mask


def drawn(corners: list[tuple[float, float]], size: tuple[int, int], scale: int = 10) -> np.ndarray:
    """Fill a polygon with Pillow, enlarged so that its lines have no width to speak of."""
    picture = Image.new("1", (size[1] * scale, size[0] * scale))
    ImageDraw.Draw(picture).polygon([(x * scale, y * scale) for x, y in corners], fill=1)
    return np.asarray(picture)[scale // 2 :: scale, scale // 2 :: scale]
