"""One image for the page: its picture and its maps, or what kept them from being read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sisegcli.data.images import image_size
from sisegcli.data.layouts import Pair, Problem
from sisegcli.data.masks import MaskReader
from sisegcli.errors import ImageError, SisegError
from sisegcli.instances import Instance, Labels
from sisegcli.report.budget import Sizes
from sisegcli.report.errors import ImageErrors
from sisegcli.report.maps import colour_numbers, jpeg, label_map, mask_map, pack, small_picture


@dataclass(slots=True)
class Seen:
    """What a page shows of an image.

    Attributes
    ----------
    stem, pair
        Its name, and its files where they are known.
    size : tuple of int
        Height and width in pixels; zero where nothing tells them.
    colours : list of int
        Place of each instance's colour in the overlays' palette.
    content : dict
        JPEGs and packed maps by layer.
    problems : list of Problem
        What could not be read.
    labels : (h, w) array of int32, optional
        The map of the instances.
    linked : bool
        Whether there is an image file that can be shown.
    """

    stem: str
    pair: Pair | None
    size: tuple[int, int] = (0, 0)
    colours: list[int] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    labels: Labels | None = None
    linked: bool = False

    @property
    def layers(self) -> set[str]:
        """The layers that this image has."""
        return {*self.content, *({"image"} if self.linked else ())}


class ImageReader:
    """Reads images, masks and instances for the page.

    Parameters
    ----------
    masks : MaskReader
        Reads semantic masks.
    sizes : Sizes
        How large pictures and maps may be.
    """

    def __init__(self, masks: MaskReader, sizes: Sizes) -> None:
        self._masks, self._sizes = masks, sizes

    def read(self, stem: str, instances: Sequence[Instance], pair: Pair | None, errors: ImageErrors | None) -> Seen:
        """Read one image; it may be called by several threads at once."""
        seen = Seen(stem, pair, linked=pair is not None)
        if instances:
            seen.size = instances[0].size
        elif errors is not None:
            seen.size = errors.truth.size
        if pair is not None:
            self._read_pair(pair, seen)
        if min(seen.size) > 0:
            labels = label_map(instances, seen.size, self._sizes.grid)
            seen.colours = colour_numbers(labels, len(instances))
            seen.labels = labels
            seen.content["instances"] = pack(labels)
            if errors is not None:
                true = label_map(errors.truth.instances, seen.size, self._sizes.grid)
                seen.content["truth"] = {**pack(true), "c": colour_numbers(true, len(errors.truth.instances))}
        return seen

    def _read_pair(self, pair: Pair, seen: Seen) -> None:
        try:
            size = image_size(pair.image)
            if min(seen.size) == 0:
                seen.size = size
            if size != seen.size:
                raise ImageError(
                    f"{pair.image} is {size[1]} × {size[0]} pixels but its instances are for {seen.size[1]} × "
                    f"{seen.size[0]}; give the folder that was converted as --input."
                )
            if self._sizes.picture:
                seen.content["image"] = jpeg(small_picture(pair.image, self._sizes.picture))
        except SisegError as error:
            seen.linked = False
            seen.problems.append(Problem(pair.image, str(error)))
            return
        try:
            mask = self._masks.read(pair.mask)
            if mask.shape != seen.size:
                raise ImageError(f"{pair.mask} and its image {pair.image} differ in size; pair it with its own image.")
            labels, categories = mask_map(mask, self._sizes.grid)
            seen.content["mask"] = {**pack(labels), "c": categories}
        except SisegError as error:
            seen.problems.append(Problem(pair.mask, str(error)))
