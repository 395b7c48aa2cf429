"""How the reading and comparing of many images is watched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Watch(Protocol):
    """Yields the items of a sequence, in order, and sees how it goes on; the command line draws a progress bar."""

    def __call__(self, items: Sequence[T], what: str) -> Iterable[T]:
        """Yield the items; `what` says in words what is being done with them."""
        ...


def unwatched(items: Sequence[T], what: str) -> Iterable[T]:
    """Return the items."""
    return items
