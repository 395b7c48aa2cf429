"""Ground truth: what is known of each image, whatever data set it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sisegcli.categories import Categories
from sisegcli.errors import LayoutError
from sisegcli.instances import Instance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TruthImage:
    """The true instances of an image.

    Attributes
    ----------
    size : tuple of int
        Height and width, in pixels.
    instances : list of Instance
        The objects to be found.
    crowds : list of Instance
        Regions of many objects that nobody told apart (COCO's ``iscrowd``): predictions of their category inside them
        count neither for nor against.
    void : Instance, optional
        Pixels of unknown category (VOC's 255): taken out of every prediction before it is compared.
    areas : list of float, optional
        Areas of `instances` as the file states them, which decide what is small, medium or large; None: their pixels.
    id : int, optional
        COCO's id of the image.
    stuff : list of Instance, optional
        Segments of stuff (sky, road), one a category; None where the data set says nothing about stuff. Panoptic
        quality alone looks at them.
    unlabeled : Instance, optional
        Pixels that are void to panoptic quality, but not to average precision (ADE20K's).
    """

    size: tuple[int, int]
    instances: list[Instance]
    crowds: list[Instance] = field(default_factory=list)
    void: Instance | None = None
    areas: list[float] | None = None
    id: int | None = None
    stuff: list[Instance] | None = None
    unlabeled: Instance | None = None


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """True instances of many images.

    Attributes
    ----------
    images : mapping
        Images by stem: the image's path below its folder, without suffix.
    categories : Categories
        Names, where the data set tells them.
    """

    images: Mapping[str, TruthImage]
    categories: Categories = field(default_factory=Categories)

    @property
    def knows_stuff(self) -> bool:
        """Whether any image tells what its stuff is."""
        return any(image.stuff is not None for image in self.images.values())

    def stuff_alone(self) -> set[int]:
        """Return the categories in which no instances are to be found: stuff, where the data set tells its segments."""
        if not self.knows_stuff:
            return set()
        images = self.images.values()
        objects = {i.category for image in images for i in (*image.instances, *image.crowds)}
        return {category for category in self.categories if not self.categories.isthing(category)} - objects

    def subset(self, stems: Iterable[str]) -> GroundTruth:
        """Keep the images of these stems, in their order."""
        return GroundTruth({stem: self.images[stem] for stem in stems}, self.categories)


def of_split(paths: Mapping[str, T], split: str | None, folder: Path) -> dict[str, T]:
    """Keep the stems that lie in a folder called as the split, or in `folder` itself where it is called so.

    Raises
    ------
    LayoutError
        If there are none.

    Examples
    --------
    >>> of_split({"val/a": 1, "train/b": 2}, "val", Path("gtFine"))
    {'val/a': 1}
    """
    if split is None or split == folder.name:
        return dict(paths)
    chosen = {stem: path for stem, path in paths.items() if split in stem.split("/")[:-1]}
    if not chosen:
        there = sorted({part for stem in paths for part in stem.split("/")[:1] if "/" in stem})
        raise LayoutError(
            f"{folder} has no images in a folder called {split}; folders there: {', '.join(there) or 'none at all'}."
        )
    return chosen
