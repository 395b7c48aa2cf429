"""Images and masks read ahead of the method, in order, by a few threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sisegcli.data.images import image_size, read_image
from sisegcli.data.layouts import Pair, Problem
from sisegcli.data.masks import MaskReader
from sisegcli.errors import ImageError, SisegError
from sisegcli.stages import stage

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Sample:
    """A pair in memory: an (H, W, 3) image of uint8 and its (H, W) semantic mask of int32."""

    pair: Pair
    image: NDArray[np.uint8]
    mask: NDArray[np.int32]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.mask.shape[0], self.mask.shape[1]


@dataclass(frozen=True, slots=True)
class LargeSample:
    """A pair that stays on disk; `size` is its height and width, in pixels."""

    pair: Pair
    size: tuple[int, int]


@stage("decode")
def read_sample(pair: Pair, masks: MaskReader, *, decode: bool = True) -> Sample | Problem:
    """Read a pair, or tell why it can't be read.

    Parameters
    ----------
    pair : Pair
        Where the image and the mask are.
    masks : MaskReader
        Reads the mask.
    decode : bool
        Whether the photograph is wanted. If not, only its header is read, for its size, and the sample's image is a
        blank that takes no memory.
    """
    try:
        mask = masks.read(pair.mask)
        image = read_image(pair.image) if decode else np.broadcast_to(np.uint8(0), (*image_size(pair.image), 3))
        check_sizes(pair, image.shape, mask.shape)
        return Sample(pair, image, mask)
    except SisegError as error:
        return Problem(pair.image, str(error))


def check_sizes(pair: Pair, image: tuple[int, ...], mask: tuple[int, ...]) -> None:
    """Raise `ImageError` where an image and its mask differ in height or width."""
    if image[:2] != mask[:2]:
        raise ImageError(
            f"{pair.mask} is {_size(mask)} but its image {pair.image} is {_size(image)}; "
            "resize the mask without interpolation, or pair it with its own image."
        )


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], pool: Executor, ahead: int
) -> Iterator[Result]:
    """Map in a pool, in order, with no more than `ahead` results under way or waiting, so that memory is bounded.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(map_ahead(str.upper, "abc", pool, ahead=2))
    ['A', 'B', 'C']
    """
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} × {shape[0]} pixels"
