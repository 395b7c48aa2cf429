"""One large image through a method, tile by tile, from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sisegcli.errors import ImageError
from sisegcli.instances import Labels, Segmentation, labels_from_instances
from sisegcli.tiles.gathering import Parts, gather
from sisegcli.tiles.joining import Unions, matching_parts
from sisegcli.tiles.plan import Tile, margin_of, plan_tiles
from sisegcli.tiles.store import LabelStore
from sisegcli.tiling import Tiling

MOST_PIXELS = 2**32 - 1
"""Pixels of an image at most: run-length codes count them with 32 bits."""


class Rows(Protocol):
    """Pixels of an image or a mask, a band of rows at a time."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Return the rows from `top` up to `bottom`: (n, W, 3) of uint8, or (n, W) category ids of int32."""


def segment_in_tiles(
    image: Rows,
    mask: Rows,
    tiling: Tiling,
    *,
    folder: Path,
    side: int | None = None,
    min_area: int = 0,
    min_score: float = 0.0,
    advanced: Callable[[int, int], None] = lambda done, count: None,
) -> Segmentation:
    """Segment an image in tiles; see `sisegcli.tiles` for how.

    Parameters
    ----------
    image, mask : Rows
        RGB pixels, and category ids with `BACKGROUND` and `IGNORE`.
    tiling : Tiling
        The method, and how its tiles are made.
    folder : Path
        Where the labels wait, four bytes a pixel, until all tiles are done.
    side : int, optional
        Side of the tiles in pixels, margins included; by default what the method wants.
    min_area : int
        Instances with fewer pixels are removed.
    min_score : float
        Instances with a lower score are removed.
    advanced : callable
        Hears how many tiles are done, and how many there are; what it raises stops the work.

    Raises
    ------
    ImageError
        If the image has more than 2 ** 32 - 1 pixels.
    OutputError
        If the labels do not fit into `folder`.
    """
    height, width = mask.size
    if height * width > MOST_PIXELS:
        raise ImageError(f"{height} x {width} pixels are more than run-length codes can count; cut the image in two.")
    side = side or tiling.side
    grid = plan_tiles((height, width), side, margin_of(tiling, side), tiling.aligned)
    work = _Work(tiling)
    done, count = 0, sum(len(row) for row in grid)
    with LabelStore(width, folder) as store:
        for row in grid:
            (window, _), (core, _) = row[0].window, row[0].core
            pixels, ids = image.rows(window.start, window.stop), mask.rows(window.start, window.stop)
            band = np.zeros((core.stop - core.start, width), np.int32)
            for tile in row:
                columns = tile.window[1]
                labels = work.tile(tile, pixels[:, columns], ids[:, columns])
                if labels is not None:
                    band[:, tile.core[1]] = labels[tile.inner]
                done += 1
                advanced(done, count)
            work.forget(row[0].row)
            store.append(band)
        work.join_stuff()
        return gather(store, work.parts, work.unions.roots(), tiling, min_area=min_area, min_score=min_score)


class _Work:
    """Parts found so far, and the tiles that those to come will be compared with."""

    def __init__(self, tiling: Tiling) -> None:
        self.parts, self.unions = Parts(), Unions()
        self._tiling = tiling
        self._near: dict[tuple[int, int], tuple[Tile, Labels]] = {}

    def tile(self, tile: Tile, image: NDArray[np.uint8], mask: NDArray[np.int32]) -> Labels | None:
        """Segment a tile, and join its parts with those around; return the part of each pixel of its window."""
        if not (mask[tile.inner] >= 0).any():
            return None
        image, mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
        [found] = self._tiling.method.segment([image], [mask])
        base = len(self.parts.category)
        labels = labels_from_instances(found.instances, (mask.shape[0], mask.shape[1]))
        core = labels[tile.inner]
        area, bottom = _extents(core, len(found.instances))
        self.parts.category += [instance.category for instance in found.instances]
        self.parts.sureness += [instance.score for instance in found.instances]
        self.parts.area += area.tolist()
        self.parts.bottom += np.where(bottom > 0, bottom + tile.core[0].start, 0).tolist()
        self.unions.grow(len(found.instances))
        labels[labels > 0] += base - 1
        for place in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
            before = self._near.get((tile.row + place[0], tile.column + place[1]))
            if before is not None:
                pairs = matching_parts(before, (tile, labels), self.parts.category, self._tiling.agreement)
                self.unions.unite(pairs)
        self._near[tile.row, tile.column] = (tile, labels)
        return labels

    def forget(self, row: int) -> None:
        """Let go of the tiles above a row, which is done."""
        self._near = {place: near for place, near in self._near.items() if place[0] >= row}

    def join_stuff(self) -> None:
        """Make all parts of a category of stuff one."""
        category = np.array(self.parts.category)
        for stuff in self._tiling.stuff:
            members = np.flatnonzero(category == stuff)
            self.unions.unite(np.stack((members[:-1], members[1:]), 1))


def _extents(labels: Labels, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the area of each label from 1, and the row behind its last one; 0 for those without pixels."""
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    bottom = np.zeros(count + 1, np.int64)
    rows = np.broadcast_to(np.arange(1, len(labels) + 1)[:, None], labels.shape)
    bottom[labels.ravel()] = rows.ravel()  # of several values for a label the last one, the lowest row's, stays
    return area, bottom[1:]
