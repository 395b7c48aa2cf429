"""The category type that all rooms share."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

BACKGROUND = -1
"""The value of background pixels in a semantic mask in memory."""

IGNORE = -2
"""The value of ignored (void) pixels in a semantic mask in memory."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category of a semantic mask.

    Attributes
    ----------
    id : int
        The value that marks the category in masks.
    name : str
        Its name, such as ``person``.
    isthing : bool
        Whether it consists of countable objects; stuff (sky, grass) is one segment an image and never split.
    supercategory : str
        COCO's supercategory, or an empty string.
    """

    id: int
    name: str
    isthing: bool = True
    supercategory: str = ""


class Categories(Mapping[int, Category]):
    """Categories by id, in order of id; ids that nobody named are things called ``class-7``.

    Examples
    --------
    >>> categories = Categories([Category(15, "person"), Category(3, "sky", isthing=False)])
    >>> [category.name for category in categories.values()]
    ['sky', 'person']
    >>> categories.name(7), categories.isthing(7), categories.isthing(3)
    ('class-7', True, False)
    """

    def __init__(self, categories: Iterable[Category] = ()) -> None:
        self._by_id = {c.id: c for c in sorted(categories, key=lambda c: c.id)}
        self._ids = list(self._by_id)

    def __getitem__(self, category_id: int) -> Category:
        return self._by_id[category_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"Categories({list(self._by_id.values())!r})"

    def find(self, category_id: int) -> Category:
        """Return the category of an id, made up as a thing where nobody named it.

        Examples
        --------
        >>> Categories([Category(3, "sky", isthing=False)]).find(7)
        Category(id=7, name='class-7', isthing=True, supercategory='')
        """
        return self._by_id.get(category_id) or Category(category_id, f"class-{category_id}")

    def number(self, category_id: int) -> int:
        """Return the number of an id where ids have to count from 0 without gaps.

        Named ids come first, in order, and all others after them, so that the number depends on nothing else.

        Examples
        --------
        >>> categories = Categories([Category(3, "sky"), Category(15, "person")])
        >>> [categories.number(category_id) for category_id in (3, 15, 0, 1, 2, 4, 16)]
        [0, 1, 2, 3, 4, 5, 16]
        """
        below = bisect_left(self._ids, category_id)
        return below if category_id in self._by_id else len(self._ids) + category_id - below

    def numbered(self, count: int) -> list[Category]:
        """Return the categories of the numbers from 0 up to `count`, and all named ones in any case.

        Examples
        --------
        >>> [category.name for category in Categories([Category(1, "sky")]).numbered(3)]
        ['sky', 'class-0', 'class-2']
        """
        others = (category_id for category_id in itertools.count() if category_id not in self._by_id)
        more = max(0, count - len(self._ids))
        return [*self._by_id.values(), *(self.find(category_id) for category_id in itertools.islice(others, more))]

    def name(self, category_id: int) -> str:
        """Return the name of an id."""
        return self.find(category_id).name

    def isthing(self, category_id: int) -> bool:
        """Return whether an id is a thing; unnamed ids are."""
        return self.find(category_id).isthing
