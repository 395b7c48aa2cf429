"""Training samples: a random crop of an image and what is known of its pixels, each made from its number alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import IGNORE
from sisegcli.data.images import read_image
from sisegcli.errors import ImageError
from sisegcli.grid import STRIDE
from sisegcli.training.composing import Composer
from sisegcli.training.corrections import UNTOLD, Objects, label_objects, repeats
from sisegcli.training.guides import roughen
from sisegcli.training.objects import ObjectBank, Source, find_clumps
from sisegcli.training.options import Recipe
from sisegcli.training.outlines import Outlines, ask_outlines
from sisegcli.training.pairs import IGNORED
from sisegcli.training.pasting import Canvas
from sisegcli.training.questions import Questions, ask_questions
from sisegcli.training.shapes import Shapes, ask_shapes

Image8 = NDArray[np.uint8]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Sample:
    """One crop; h = w = crop / 4.

    Attributes
    ----------
    image : (crop, crop, 3) array of uint8
        The picture.
    guide : (crop, crop) array of uint8
        2 on things, 0 on background, 1 where unknown.
    labels : (h, w) array of int32
        0 background, above 0 objects (categories, where objects are not told apart), -1 ignored.
    centres : (2, h, w) array of float32
        Offset (y, x) to the object's centre, in stride-4 pixels.
    size : (h, w) array of float32
        Square root of the object's area, in stride-4 pixels.
    doubtful : (h, w) array of bool
        Cells of regions that may hold several objects.
    questions : Questions or None
        Windows of the picture, for the membership network.
    outlines : Outlines or None
        Rough instances, for the edge refiner.
    shapes : Shapes or None
        Shapes to be judged, for the wholeness network.
    """

    image: Image8
    guide: NDArray[np.uint8]
    labels: NDArray[np.int32]
    centres: NDArray[np.float32]
    size: NDArray[np.float32]
    doubtful: NDArray[np.bool_]
    questions: Questions | None = None
    outlines: Outlines | None = None
    shapes: Shapes | None = None


class SampleMaker:
    """Makes sample number n from the seed and n alone, so that a resumed run continues as if it had not stopped.

    Parameters
    ----------
    sources : sequence of Source
        The data sets.
    bank : ObjectBank or None
        Lone objects to paste.
    recipe : Recipe
        Scales, crop and pasting.
    seed : int
        The run's seed.

    Attributes
    ----------
    corrected : int
        Images of which somebody told instances.
    """

    def __init__(self, sources: tuple[Source, ...], bank: ObjectBank | None, recipe: Recipe, seed: int) -> None:
        self.sources, self.bank, self.recipe, self.seed = sources, bank, recipe, seed
        self.places = [(s, p) for s, source in enumerate(sources) for p in range(len(source.pairs))]
        corrected = [place for place in self.places if self._is_corrected(*place)]
        self.corrected = len(corrected)
        self.places += corrected * (repeats(len(corrected), len(self.places)) - 1)

    def __len__(self) -> int:
        return len(self.places)

    def make(self, number: int) -> Sample:
        """Make sample `number`; each image comes once in every `len(self)` samples, corrected ones more often."""
        epoch, position = divmod(number, len(self.places))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.places))
        rng = np.random.default_rng((self.seed, epoch, position))
        source, pair = self.places[int(order[position])]
        image, mask, hints = self._read(source, pair)
        recipe = self.recipe
        image, mask, hints = _random_crop(image, mask, hints, recipe, rng)
        if not recipe.by_object:
            return _finish(image, self._category_labels(mask, source), None, recipe, rng)
        known = label_objects(mask, hints, stuff=self.sources[source].stuff, ignored=IGNORED)
        labels, category_of = known.labels, known.category_of
        labels[mask == IGNORE] = IGNORED
        canvas = Canvas(image, labels)
        natural = labels.copy()
        clumps = find_clumps(labels, category_of) - known.certain | known.clumps
        pasted: dict[int, int] = {}
        if self.bank is not None and len(self.bank) and rng.random() < recipe.pasted:
            pasted = Composer(self.bank, self._look, max(3.0, 2.3 * recipe.scales[1])).paste(
                canvas, category_of, source, rng
            )
        certain = known.certain | set(pasted)
        sample = _finish(canvas.image, canvas.labels, (natural, set(pasted), certain), recipe, rng)
        sample.labels[np.isin(sample.labels, list(clumps))] = IGNORED
        categories = {**category_of, **pasted}
        if recipe.asked:
            questions = ask_questions(
                sample.image, canvas.labels, categories, certain, recipe.asked, rng, clumps=clumps
            )
            sample = replace(sample, questions=questions)
        if recipe.outlined:
            sample = replace(sample, outlines=ask_outlines(sample.image, canvas.labels, recipe.outlined, rng))
        if recipe.judged:
            shapes = ask_shapes(sample.image, canvas.labels, categories, certain, recipe.judged, rng, clumps=clumps)
            sample = replace(sample, shapes=shapes)
        return sample

    def _is_corrected(self, source: int, pair: int) -> bool:
        corrections = self.sources[source].corrections
        return corrections is not None and self.sources[source].pairs[pair].stem in corrections.images

    def _read(self, source: int, pair: int) -> tuple[Image8, Labels, Labels]:
        files = self.sources[source].pairs[pair]
        image, mask = read_image(files.image), self.sources[source].reader.read(files.mask)
        if image.shape[:2] != mask.shape:
            raise ImageError(
                f"{files.mask} is {mask.shape[1]} × {mask.shape[0]} pixels but its image {files.image.name} is "
                f"{image.shape[1]} × {image.shape[0]}; give them one size."
            )
        return image, mask, self.sources[source].hints(files, mask.shape)

    def _look(self, source: int, pair: int) -> tuple[Image8, Objects]:
        image, mask, hints = self._read(source, pair)
        return image, label_objects(mask, hints, stuff=self.sources[source].stuff, ignored=IGNORED)

    def _category_labels(self, mask: NDArray[np.int32], source: int) -> NDArray[np.int32]:
        """Return category numbers from 1; stuff is background of its own kind, so only things are objects."""
        labels = np.where(mask >= 0, mask + 1, 0).astype(np.int32)
        labels[np.isin(mask, self.sources[source].stuff)] = 0
        labels[mask == IGNORE] = IGNORED
        return labels


def _random_crop(
    image: Image8, mask: Labels, hints: Labels, recipe: Recipe, rng: np.random.Generator
) -> tuple[Image8, Labels, Labels]:
    """Scale, flip and crop at random; what lies outside the picture is grey and ignored."""
    height, width = mask.shape
    base = min(1.0, recipe.long_side / max(height, width)) if recipe.long_side else 1.0
    scale = base * float(np.exp(rng.uniform(*np.log(recipe.scales))))
    crop = recipe.crop
    # The window in the original picture that becomes the crop.
    span = crop / scale
    top = _start(height, span, rng)
    left = _start(width, span, rng)
    box = (left, top, left + span, top + span)
    inner = (max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3]))
    size = (max(1, round((inner[2] - inner[0]) * scale)), max(1, round((inner[3] - inner[1]) * scale)))
    size = (min(size[0], crop), min(size[1], crop))
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box=inner, reducing_gap=2.0)
    y, x = round(max(0.0, -top) * scale), round(max(0.0, -left) * scale)
    y, x = min(y, crop - size[1]), min(x, crop - size[0])
    out = np.full((crop, crop, 3), 124, np.uint8)
    maps = [np.full((crop, crop), IGNORE, np.int32), np.full((crop, crop), UNTOLD, np.int32)]
    out[y : y + size[1], x : x + size[0]] = np.asarray(picture)
    for whole, part in zip((mask, hints), maps, strict=True):
        shape = Image.fromarray(whole).resize(size, Image.Resampling.NEAREST, box=inner)
        part[y : y + size[1], x : x + size[0]] = np.asarray(shape, np.int32)
    if rng.random() < 0.5:
        out, maps = out[:, ::-1].copy(), [part[:, ::-1].copy() for part in maps]
    return out, maps[0], maps[1]


def _start(length: int, span: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(min(0.0, length - span), max(0.0, length - span)))


def _jitter_colours(image: Image8, rng: np.random.Generator) -> Image8:
    """Brightness, contrast and colour balance, a little."""
    gain = float(np.exp(rng.normal(0, 0.15))) * np.exp(rng.normal(0, 0.06, 3))
    table = (np.arange(256, dtype=np.float32)[:, None] - 128) * gain + 128 + rng.normal(0, 14)
    table = np.clip(table, 0, 255).astype(np.uint8)
    out = np.empty_like(image)
    for channel in range(3):
        out[..., channel] = table[image[..., channel], channel]
    if rng.random() < 0.1:
        out[:] = out.mean(-1, keepdims=True).astype(np.uint8)
    return out


def _finish(
    image: Image8,
    labels: Labels,
    origin: tuple[Labels, set[int], set[int]] | None,
    recipe: Recipe,
    rng: np.random.Generator,
) -> Sample:
    """Bring labels to the grid, point each cell to its object's centre, and draw the guide.

    `origin` holds the labels before anything was pasted, what was pasted, and which labels are certain.
    """
    natural, pasted, certain = origin if origin is not None else (labels, set(), set())
    half = STRIDE // 2
    cells = labels[half::STRIDE, half::STRIDE]
    centres = np.zeros((2, *cells.shape), np.float32)
    size = np.ones(cells.shape, np.float32)
    doubtful = (cells > 0) & ~np.isin(cells, list(certain))
    if recipe.by_object:
        whole = natural[half::STRIDE, half::STRIDE]
        grid = np.mgrid[: cells.shape[0], : cells.shape[1]].astype(np.float32)
        for label in np.unique(cells[cells > 0]):
            # An object that something was pasted over keeps its centre: all its fragments point there.
            seen = cells == label
            full = seen if label in pasted else whole == label
            if np.count_nonzero(seen) < 0.3 * np.count_nonzero(full):
                full = seen
            centre = grid[:, full].mean(1)
            centres[:, seen] = centre[:, None] - grid[:, seen]
            size[seen] = np.sqrt(np.count_nonzero(full))
    things = labels > 0
    guide = np.where(things, 2, 0).astype(np.uint8)
    if recipe.guided:
        guide = roughen(things, rng)
        guide[labels == IGNORED] = 1
        if rng.random() < 0.2:
            guide[:] = 1
    return Sample(_jitter_colours(image, rng), guide, cells.astype(np.int32), centres, size, doubtful)
