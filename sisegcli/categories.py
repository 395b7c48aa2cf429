"""The category type that all rooms share."""

from __future__ import annotations

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

    >>> categories = Categories([Category(15, "person"), Category(3, "sky", isthing=False)])
    >>> [category.name for category in categories.values()]
    ['sky', 'person']
    >>> categories.name(7), categories.isthing(7), categories.isthing(3)
    ('class-7', True, False)
    """

    def __init__(self, categories: Iterable[Category] = ()) -> None:
        self._by_id = {c.id: c for c in sorted(categories, key=lambda c: c.id)}

    def __getitem__(self, category_id: int) -> Category:
        return self._by_id[category_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return f"Categories({list(self._by_id.values())!r})"

    def find(self, category_id: int) -> Category:
        """Return the category of an id, made up as a thing where nobody named it."""
        return self._by_id.get(category_id) or Category(category_id, f"class-{category_id}")

    def name(self, category_id: int) -> str:
        """Return the name of an id."""
        return self.find(category_id).name

    def isthing(self, category_id: int) -> bool:
        """Return whether an id is a thing; unnamed ids are."""
        return self.find(category_id).isthing
