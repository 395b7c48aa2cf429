"""Composing a training picture: lone objects pasted beside, over and under others of their category."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sisegcli.errors import ImageError
from sisegcli.training.corrections import Objects
from sisegcli.training.objects import LoneObject, ObjectBank
from sisegcli.training.pasting import Canvas, Cutout, cut_out, match_colours

Image8 = NDArray[np.uint8]
Read = Callable[[int, int], tuple[Image8, Objects]]
"""Reads the image of (source, pair), and the objects of its mask."""

FIRST_PASTED = 10_000
"""Label of the first object that is pasted."""


@dataclass(frozen=True)
class Composer:
    """Pastes objects of a bank onto canvases.

    Attributes
    ----------
    bank : ObjectBank
        Lone objects.
    read : callable
        Reads the image of (source, pair), and the objects of its mask.
    most : float
        Objects that would have to grow more than this are left out: they would look blurred.
    """

    bank: ObjectBank
    read: Read
    most: float = 3.0

    def paste(
        self, canvas: Canvas, categories: Mapping[int, int], source: int, rng: np.random.Generator
    ) -> dict[int, int]:
        """Paste some objects, most of them beside others of their category; return the category of each new label.

        Parameters
        ----------
        canvas : Canvas
            Changed in place.
        categories : mapping
            Category of each label on the canvas.
        source : int
            The source of the canvas.
        rng : numpy.random.Generator
            Chance.
        """
        areas = np.bincount(np.maximum(canvas.labels, 0).ravel(), minlength=max(categories, default=0) + 1)
        hosts = [label for label in categories if areas[label] >= min(0.004 * canvas.labels.size, 150)]
        count = int(rng.choice([1, 2, 3, 4], p=[0.45, 0.3, 0.15, 0.1]))
        if len(hosts) > 8:  # a crowd stays one
            count = int(rng.integers(len(hosts) // 8, len(hosts) // 2 + 1))
        known, pasted = dict(categories), dict[int, int]()
        for label in range(FIRST_PASTED, FIRST_PASTED + count):
            host = int(rng.choice(hosts)) if hosts and rng.random() < 0.9 else None
            alike = rng.random() < 0.85
            item = self.bank.pick(rng, source, known.get(host) if host is not None and alike else None)
            place = self._place(canvas, host, rng)
            cutout = self._cutout(item, place, canvas.labels.shape[0], rng) if place is not None else None
            if place is None or cutout is None:
                continue
            corner = np.round(place.centre - np.array(cutout.alpha.shape) / 2).astype(int)
            under = host if host is not None and rng.random() < 0.4 else None
            if canvas.paste(cutout, int(corner[0]), int(corner[1]), label, under=under):
                pasted[label] = known[label] = item.category if item.source == source else -1
                hosts.append(label)
        return pasted

    def _place(self, canvas: Canvas, host: int | None, rng: np.random.Generator) -> _Place | None:
        """Choose where and how large: beside a host, from far inside it to just apart, or anywhere."""
        crop = canvas.labels.shape[0]
        if host is None:
            side, centre = crop * float(rng.uniform(0.2, 0.7)), rng.uniform(0.1, 0.9, 2) * crop
            return _Place(centre, side, canvas.image[::8, ::8].reshape(-1, 3))
        mask = canvas.labels == host
        ys, xs = np.nonzero(mask)
        if len(ys) < 50:
            return None
        side = float(np.sqrt(len(ys))) * float(np.exp(rng.normal(0.0, 0.35)))
        angle = rng.normal(0.0, 0.5) + (np.pi if rng.random() < 0.5 else 0.0)
        reach = np.array([ys.std() * 1.7 + side * 0.5, xs.std() * 1.7 + side * 0.5])
        direction = np.array([np.sin(angle), np.cos(angle)])
        centre = np.array([ys.mean(), xs.mean()]) + direction * reach * rng.uniform(0.35, 1.0)
        return _Place(centre, side, canvas.image[mask])

    def _cutout(self, item: LoneObject, place: _Place, crop: int, rng: np.random.Generator) -> Cutout | None:
        try:
            image, known = self.read(item.source, item.pair)
        except (ImageError, OSError):  # named when its own turn comes
            return None
        top, left, height, width = item.box
        window = (slice(top, top + height), slice(left, left + width))
        labels = known.labels[window]
        alike = [label for label, category in known.category_of.items() if category == item.category]
        inside = labels == np.bincount(labels[np.isin(labels, alike)]).argmax()  # not the rims of neighbours
        scale = place.side / max(float(np.sqrt(np.count_nonzero(inside))), 1.0)
        scale = min(scale, 1.6 * crop / max(height, width))
        if scale > self.most:
            return None
        inset = float(rng.uniform(0.6, 1.8))
        cutout = cut_out(image[window], inside, scale=scale, flip=rng.random() < 0.5, inset=inset)
        return match_colours(cutout, place.pixels, float(rng.uniform(0.0, 0.7)))


@dataclass(frozen=True)
class _Place:
    centre: NDArray[np.float64]
    side: float
    pixels: Image8
