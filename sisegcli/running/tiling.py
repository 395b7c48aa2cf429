"""Pairs too large for one pass: which they are, and how they are read and segmented in tiles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from sisegcli.data.layouts import Pair, Problem
from sisegcli.data.masks import MaskReader
from sisegcli.data.rasters import TIFF, Blank, open_image, open_mask, raster_size
from sisegcli.errors import ImageError, OptionError, SisegError
from sisegcli.instances import Segmentation
from sisegcli.methods import Method, needs_images, tiling_of
from sisegcli.running.interrupts import Interrupts
from sisegcli.running.listener import Listener
from sisegcli.running.options import ConvertOptions
from sisegcli.running.reading import LargeSample, check_sizes
from sisegcli.tiles import segment_in_tiles

Read = TypeVar("Read")


class Tiler:
    """Segments large pairs in tiles.

    Parameters
    ----------
    options : ConvertOptions
        Whether to tile, and the least area and score of instances.
    method : Method
        Segments the tiles.
    masks : MaskReader
        Reads masks.
    listener : Listener
        Hears how many tiles are done.
    interrupts : Interrupts
        Once one is noted, an image that is not done is given up.

    Raises
    ------
    OptionError
        If the method cannot work in tiles and a size of tiles is asked for.
    """

    def __init__(
        self, options: ConvertOptions, method: Method, masks: MaskReader, listener: Listener, interrupts: Interrupts
    ) -> None:
        self._options, self._masks, self._listener, self._interrupts = options, masks, listener, interrupts
        self._tiling = None if options.tile == "off" else tiling_of(method)
        self._looks = needs_images(method)
        if self._tiling is None and isinstance(options.tile, int):
            raise OptionError("--tile needs a method that works in tiles; leave it out.")

    def defer(self, read: Callable[[Pair], Read]) -> Callable[[Pair], Read | LargeSample]:
        """Return a reader that leaves large pairs on disk."""
        if self._tiling is None:
            return read

        def read_or_defer(pair: Pair) -> Read | LargeSample:
            size = self._large(pair)
            return read(pair) if size is None else LargeSample(pair, size)

        return read_or_defer

    def _large(self, pair: Pair) -> tuple[int, int] | None:
        """Return the size of a pair that is to be tiled; an image that cannot be opened is the ordinary reader's."""
        assert self._tiling is not None
        try:
            size, readable = raster_size(pair.image)
        except SisegError:
            return None
        tile = self._options.tile
        large = max(size) > tile if isinstance(tile, int) else size[0] * size[1] > self._tiling.limit
        return size if large or not readable else None

    def segment(self, sample: LargeSample) -> tuple[LargeSample, Segmentation] | Problem | None:
        """Segment a large pair; None where an interrupt came before it was done."""
        assert self._tiling is not None
        options, pair, folder = self._options, sample.pair, self._options.output
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                height, width = sample.size
                if height * width > options.max_pixels:
                    raise ImageError(
                        f"{pair.image} has {height} x {width} pixels, more than the {options.max_pixels:,} allowed; "
                        "raise --max-pixels if that is meant."
                    )
                if pair.mask.suffix.lower() not in TIFF:  # which are read piece by piece; others are decoded at once
                    check_sizes(pair, sample.size, raster_size(pair.mask)[0])
                mask = stack.enter_context(open_mask(pair.mask, self._masks, folder))
                image = stack.enter_context(open_image(pair.image, folder)) if self._looks else Blank(sample.size)
                check_sizes(pair, image.size, mask.size)
                found = segment_in_tiles(
                    image,
                    mask,
                    self._tiling,
                    folder=folder,
                    side=options.tile if isinstance(options.tile, int) else None,
                    min_area=options.min_area,
                    min_score=options.min_score,
                    advanced=self._go_on,
                )
            return sample, found
        except _StoppedError:
            return None
        except SisegError as error:
            return Problem(pair.image, str(error))
        except (MemoryError, RuntimeError) as error:
            if not (isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"):
                raise
            return Problem(pair.image, f"Memory ran out on a tile of {pair.image}; give --tile a smaller size.")

    def _go_on(self, done: int, count: int) -> None:
        self._listener.tiled(done, count)
        if self._interrupts.noted and done < count:
            raise _StoppedError


class _StoppedError(Exception):
    """An interrupt was noted."""
