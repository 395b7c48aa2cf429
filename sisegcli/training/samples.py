"""Training samples: a random crop of an image and what is known of its pixels, each made from its number alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import IGNORE
from sisegcli.data.images import read_image
from sisegcli.errors import ImageError
from sisegcli.grid import STRIDE
from sisegcli.grouping.components import label_components
from sisegcli.training.guides import roughen
from sisegcli.training.objects import ObjectBank, Source
from sisegcli.training.options import Recipe
from sisegcli.training.pairs import IGNORED
from sisegcli.training.pasting import Canvas, cut_out, match_colours

Image8 = NDArray[np.uint8]


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
    """

    image: Image8
    guide: NDArray[np.uint8]
    labels: NDArray[np.int32]
    centres: NDArray[np.float32]
    size: NDArray[np.float32]
    doubtful: NDArray[np.bool_]


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
    """

    def __init__(self, sources: tuple[Source, ...], bank: ObjectBank | None, recipe: Recipe, seed: int) -> None:
        self.sources, self.bank, self.recipe, self.seed = sources, bank, recipe, seed
        self.places = [(s, p) for s, source in enumerate(sources) for p in range(len(source.pairs))]

    def __len__(self) -> int:
        return len(self.places)

    def make(self, number: int) -> Sample:
        """Make sample `number`; each image comes once in every `len(self)` samples."""
        epoch, position = divmod(number, len(self.places))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.places))
        rng = np.random.default_rng((self.seed, epoch, position))
        source, pair = self.places[int(order[position])]
        image, mask = self._read(source, pair)
        recipe = self.recipe
        image, mask = _random_crop(image, mask, recipe, rng)
        if not recipe.by_object:
            return _finish(image, self._category_labels(mask, source), None, recipe, rng)
        labels, category_of = self._objects(mask, source)
        canvas = Canvas(image, labels)
        natural = labels.copy()
        pasted = set()
        if self.bank is not None and len(self.bank) and rng.random() < recipe.pasted:
            count = int(rng.choice([1, 2, 3, 4], p=[0.45, 0.3, 0.15, 0.1]))
            pasted = self._paste(canvas, category_of, source, count, rng)
        return _finish(canvas.image, canvas.labels, (natural, pasted), recipe, rng)

    def _read(self, source: int, pair: int) -> tuple[Image8, NDArray[np.int32]]:
        files = self.sources[source].pairs[pair]
        image, mask = read_image(files.image), self.sources[source].reader.read(files.mask)
        if image.shape[:2] != mask.shape:
            raise ImageError(
                f"{files.mask} is {mask.shape[1]} × {mask.shape[0]} pixels but its image {files.image.name} is "
                f"{image.shape[1]} × {image.shape[0]}; give them one size."
            )
        return image, mask

    def _category_labels(self, mask: NDArray[np.int32], source: int) -> NDArray[np.int32]:
        """Return category numbers from 1; stuff is background of its own kind, so only things are objects."""
        labels = np.where(mask >= 0, mask + 1, 0).astype(np.int32)
        for category in np.unique(mask[mask >= 0]):
            if not self.sources[source].categories.isthing(int(category)):
                labels[mask == category] = 0
        labels[mask == IGNORE] = IGNORED
        return labels

    def _objects(self, mask: NDArray[np.int32], source: int) -> tuple[NDArray[np.int32], dict[int, int]]:
        labels, category_of = label_components(mask)
        stuff = [label for label, c in category_of.items() if not self.sources[source].categories.isthing(c)]
        if stuff:
            labels[np.isin(labels, stuff)] = 0
        labels[mask == IGNORE] = IGNORED
        return labels, {label: c for label, c in category_of.items() if label not in stuff}

    def _paste(
        self, canvas: Canvas, category_of: dict[int, int], source: int, count: int, rng: np.random.Generator
    ) -> set[int]:
        assert self.bank is not None
        areas = np.bincount(np.maximum(canvas.labels, 0).ravel(), minlength=max(category_of, default=0) + 1)
        hosts = [label for label in category_of if areas[label] >= 0.004 * canvas.labels.size]
        pasted: set[int] = set()
        categories = dict(category_of)
        crop = canvas.labels.shape[0]
        for step in range(count):
            label = 10_000 + step
            host = int(rng.choice(hosts)) if hosts and rng.random() < 0.9 else None
            alike = rng.random() < 0.85
            item = self.bank.pick(rng, source, categories.get(host) if host is not None and alike else None)
            try:
                image, mask = self._read(item.source, item.pair)
            except (ImageError, OSError):  # named when its own turn comes
                continue
            top, left, height, width = item.box
            window = (slice(top, top + height), slice(left, left + width))
            inside = mask[window] == item.category
            if host is None:
                side, centre = crop * rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.9, 2) * crop
                pixels = canvas.image[::8, ::8].reshape(-1, 3)
            else:
                host_mask = canvas.labels == host
                ys, xs = np.nonzero(host_mask)
                if len(ys) < 50:
                    continue
                side = float(np.sqrt(len(ys))) * float(np.exp(rng.normal(0.0, 0.35)))
                # Beside the host, at a distance from far inside it to just apart.
                angle = rng.normal(0.0, 0.5) + (np.pi if rng.random() < 0.5 else 0.0)
                reach = np.array([ys.std() * 1.7 + side * 0.5, xs.std() * 1.7 + side * 0.5])
                direction = np.array([np.sin(angle), np.cos(angle)])
                centre = np.array([ys.mean(), xs.mean()]) + direction * reach * rng.uniform(0.35, 1.0)
                pixels = canvas.image[host_mask]
            scale = side / max(float(np.sqrt(np.count_nonzero(inside))), 1.0)
            scale = min(scale, 1.6 * crop / max(height, width))
            if scale > 3:
                continue
            cutout = cut_out(
                image[window], inside, scale=scale, flip=rng.random() < 0.5, inset=float(rng.uniform(0.6, 1.8))
            )
            cutout = match_colours(cutout, pixels, float(rng.uniform(0.0, 0.7)))
            corner = np.round(centre - np.array(cutout.alpha.shape) / 2).astype(int)
            under = host if host is not None and rng.random() < 0.4 else None
            if canvas.paste(cutout, int(corner[0]), int(corner[1]), label, under=under):
                pasted.add(label)
                hosts.append(label)
                categories[label] = item.category if item.source == source else -1
        return pasted


def _random_crop(
    image: Image8, mask: NDArray[np.int32], recipe: Recipe, rng: np.random.Generator
) -> tuple[Image8, NDArray[np.int32]]:
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
    shape = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST, box=inner)
    y, x = round(max(0.0, -top) * scale), round(max(0.0, -left) * scale)
    y, x = min(y, crop - size[1]), min(x, crop - size[0])
    out = np.full((crop, crop, 3), 124, np.uint8)
    out_mask = np.full((crop, crop), IGNORE, np.int32)
    out[y : y + size[1], x : x + size[0]] = np.asarray(picture)
    out_mask[y : y + size[1], x : x + size[0]] = np.asarray(shape, np.int32)
    if rng.random() < 0.5:
        out, out_mask = out[:, ::-1].copy(), out_mask[:, ::-1].copy()
    return out, out_mask


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
    labels: NDArray[np.int32],
    origin: tuple[NDArray[np.int32], set[int]] | None,
    recipe: Recipe,
    rng: np.random.Generator,
) -> Sample:
    """Bring labels to the grid, point each cell to its object's centre, and draw the guide."""
    natural, pasted = origin if origin is not None else (labels, set())
    half = STRIDE // 2
    cells = labels[half::STRIDE, half::STRIDE]
    centres = np.zeros((2, *cells.shape), np.float32)
    size = np.ones(cells.shape, np.float32)
    doubtful = (cells > 0) & ~np.isin(cells, list(pasted))
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
