"""Predicted instances of many images, whatever file they are from."""

from __future__ import annotations

import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sisegcli.categories import Categories, Category
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.formats.own_files import foreign
from sisegcli.instances import Instance

WHAT = "Reading predictions"

_UNNAMED = re.compile(r"class-(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted instances of many images.

    Attributes
    ----------
    images : dict
        Instances by stem: the image's path below its folder, without suffix.
    categories : Categories
        Names, where the file tells them.
    notes : list of str
        What a reader of figures made from them must know.
    """

    images: dict[str, list[Instance]]
    categories: Categories = field(default_factory=Categories)
    notes: list[str] = field(default_factory=list)


def score_by_area(instances: Iterable[Instance]) -> list[Instance]:
    """Give each instance the part of the image that it covers as its score: larger instances are more often right.

    Examples
    --------
    >>> import numpy as np
    >>> half = Instance.from_mask(np.array([[1, 1, 0, 0]], bool), category=5)
    >>> [instance.score for instance in score_by_area([half])]
    [0.5]
    """
    return [replace(i, score=i.area / (i.size[0] * i.size[1])) for i in instances]


def unscored(path: object, what: str = "scores") -> str:
    """Return the note on a file that does not tell scores."""
    return f"{path} has no {what}, so an instance's score is the part of the image that it covers."


class Names:
    """Finds the ids of categories in files that name them alone: those of the ground truth, or new ones.

    Examples
    --------
    >>> names = Names(GroundTruth({}, Categories([Category(15, "person")])))
    >>> names.id("person"), names.id("class-7"), names.id("tree"), names.id("tree")
    (15, 7, 16, 16)
    """

    def __init__(self, truth: GroundTruth | None) -> None:
        known = truth.categories.values() if truth is not None else ()
        self._ids = {category.name: category.id for category in known}

    def id(self, name: str) -> int:
        """Return the id of a name."""
        if name not in self._ids:
            unnamed = _UNNAMED.fullmatch(name)
            taken = self._ids.values()
            free = unnamed is not None and int(unnamed[1]) not in taken
            self._ids[name] = int(unnamed[1]) if unnamed and free else max(taken, default=0) + 1
        return self._ids[name]

    @property
    def categories(self) -> Categories:
        """All names that were asked for, and those of the ground truth."""
        return named({number: name for name, number in self._ids.items()})


def named(names: Mapping[int, str]) -> Categories:
    """Return categories of these names by id, without those that writers make up for ids that nobody named.

    >>> list(named({7: "class-7", 15: "person"}))
    [15]
    """
    return Categories(Category(number, name) for number, name in names.items() if not _UNNAMED.fullmatch(name))


@contextmanager
def as_written(path: Path) -> Iterator[None]:
    """Refuse a file that is not as our writers made it.

    Raises
    ------
    InputError
        If reading it fails as damaged and foreign files make it fail, or takes more memory than there is.
    """
    try:
        yield
    except (
        OSError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        MemoryError,
    ) as error:
        raise foreign(path) from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:  # or locked
        raise foreign(path) from error
