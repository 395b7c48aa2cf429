"""The table of images and instances in a page, column by column: what filters, charts and lists are made from."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sisegcli.categories import Categories
from sisegcli.formats.palette import PALETTE
from sisegcli.instances import Instance
from sisegcli.report.doubt import image_doubt
from sisegcli.report.errors import Box, ImageErrors


@dataclass
class Table:
    """Columns of the page's data; the browser filters and counts them.

    Attributes
    ----------
    categories : Categories
        Names.
    doubted : bool
        Whether scores tell doubts.
    judged : bool
        Whether there is ground truth.
    places : dict
        Place of each category in the page's list, by id.
    curves : dict
        Precision by recall, by IoU, of each category with true objects.
    """

    categories: Categories
    doubted: bool
    judged: bool
    places: dict[int, int] = field(default_factory=dict)
    images: dict[str, list[Any]] = field(default_factory=dict)
    instances: dict[str, list[Any]] = field(default_factory=dict)
    errors: dict[int, list[Any]] = field(default_factory=dict)
    curves: dict[int, dict[float, list[float]]] = field(default_factory=dict)

    def add(
        self,
        stem: str,
        size: tuple[int, int],
        instances: Sequence[Instance],
        doubts: Sequence[float],
        colours: Sequence[int],
        *,
        link: str | None = None,
        seconds: float | None = None,
        errors: ImageErrors | None = None,
    ) -> None:
        """Append an image; its instances follow those of the image before."""
        image: dict[str, Any] = {
            "stem": stem,
            "height": size[0],
            "width": size[1],
            "first": len(self.instances.get("score", [])),
            "count": len(instances),
            "doubt": round(image_doubt(doubts), 4) if self.doubted else 0,
            "link": link or 0,
            "seconds": 0 if seconds is None else round(seconds, 4),
        }
        _append(self.images, image)
        for place, i in enumerate(instances):
            row: dict[str, Any] = {
                "category": self.place(i.category),
                "score": round(i.score, 4),
                "area": i.area,
                "box": list(i.box),
                "colour": colours[place],
                "doubt": round(doubts[place], 4) if self.doubted else 0,
            }
            if self.judged:  # -1: not judged, 0: spurious, 1: right
                row["right"] = errors.verdicts[place] if errors else -1
                row["merged"] = int(errors is not None and place in errors.merged)
            _append(self.instances, row)
        if errors is not None:
            self.errors[len(self.images["stem"]) - 1] = [self._boxes(errors.missed), self._boxes(errors.split)]

    def _boxes(self, found: Sequence[tuple[int, Box]]) -> list[list[int]]:
        return [[self.place(category), *box] for category, box in found]

    def place(self, category: int) -> int:
        """Return a category's place in the page's list; a new one goes to the end."""
        return self.places.setdefault(category, len(self.places))

    def to_json(self) -> dict[str, Any]:
        """Return what the page's script reads."""
        curves = [
            [self.place(category), [_thousandths(values) for values in found.values()]]
            for category, found in self.curves.items()
        ]
        return {
            "categories": [
                {
                    "id": category,
                    "name": self.categories.name(category),
                    "thing": self.categories.isthing(category),
                    "colour": category_colour(place),
                }
                for category, place in self.places.items()
            ],
            "palette": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in PALETTE.tolist()],
            "doubt": self.doubted,
            "judged": self.judged,
            "images": self.images,
            "instances": self.instances,
            "errors": self.errors,
            "ious": [iou for found in list(self.curves.values())[:1] for iou in found],
            "curves": curves,
        }


def _thousandths(curve: Sequence[float]) -> list[int]:
    """Return precision in thousandths, up to the last recall that was reached: the rest is 0.

    >>> _thousandths([1.0, 0.75, 0.0, 0.0])
    [1000, 750]
    """
    reached = next((n for n in range(len(curve), 0, -1) if curve[n - 1] > 0), 0)
    return [round(1000 * value) for value in curve[:reached]]


def _append(columns: dict[str, list[Any]], row: dict[str, Any]) -> None:
    for name, value in row.items():
        columns.setdefault(name, []).append(value)


def category_colour(place: int) -> str:
    """Return the colour of a category by its place in the list; the first dozens are all different.

    >>> category_colour(0), category_colour(1)
    ('#e3635f', '#446fec')
    """
    hue = (0.006 + place * 0.6180339887) % 1.0
    lightness = (0.63, 0.596, 0.52)[place % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.7 if place % 3 == 0 else 0.82)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
