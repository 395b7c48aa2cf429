"""What a layout is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sisegcli.categories import Categories
from sisegcli.data.mask_values import MaskValues


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """An image and its semantic mask.

    Attributes
    ----------
    stem : str
        Path of the image within its folder, without extension, with forward slashes; unique in a layout.
    image, mask : Path
        The files.
    """

    stem: str
    image: Path
    mask: Path


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that keeps a file from being used, and is no reason to stop.

    Attributes
    ----------
    path : Path
        The file, which need not exist.
    sentence : str
        What is wrong with it, with the file's name.
    """

    path: Path
    sentence: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How a folder was understood.

    Attributes
    ----------
    name : str
        One of `LAYOUTS`.
    description : str
        One sentence that says which images were paired with which masks.
    pairs : list of Pair
        In order of stem; never empty.
    problems : list of Problem
        In order of path.
    categories : Categories or None
        Where the layout tells them: a list beside the images, or the data set that it is the layout of.
    values : MaskValues
        What the masks' values mean in this data set.
    """

    name: str
    description: str
    pairs: list[Pair]
    problems: list[Problem]
    categories: Categories | None = None
    values: MaskValues = field(default_factory=MaskValues)


def leads_out(name: str) -> bool:
    r"""Return whether a name that a file gives leads out of the folder it should be in, or is the name of nothing.

    >>> [leads_out(name) for name in ("a/b.png", "a..b", "../b.png", "/b.png", "a/../b.png", ".", "", "b\0")]
    [False, False, True, True, True, True, True, True]
    """
    path = PurePosixPath(name)
    return not path.name or path.is_absolute() or ".." in path.parts or "\0" in name


def counted(pairs: Sequence[Pair]) -> str:
    """Return how many pairs there are, in words.

    >>> counted([]), counted([Pair("a", Path("a.jpg"), Path("a.png"))])
    ('0 pairs', '1 pair')
    """
    return f"{len(pairs)} pair{'' if len(pairs) == 1 else 's'}"
