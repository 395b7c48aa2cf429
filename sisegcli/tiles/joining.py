"""Parts of instances in tiles: which of them are one instance, by what overlapping tiles say of the same pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sisegcli.instances import Labels
from sisegcli.tiles.plan import Tile

Pairs = NDArray[np.int64]


class Unions:
    """A union-find over parts, numbered from 1 as they come; 0 is nobody.

    Examples
    --------
    >>> unions = Unions()
    >>> unions.grow(4)
    >>> unions.unite(np.array([[1, 3], [3, 4]]))
    >>> unions.roots().tolist()
    [0, 1, 2, 1, 1]
    """

    def __init__(self) -> None:
        self._owner = [0]

    def grow(self, count: int) -> None:
        """Add parts that stand alone."""
        self._owner.extend(range(len(self._owner), len(self._owner) + count))

    def unite(self, pairs: Pairs) -> None:
        """Make the two parts of each row of an (n, 2) array one; the lowest number is the root."""
        for a, b in pairs.tolist():
            one, other = self._root(a), self._root(b)
            self._owner[max(one, other)] = min(one, other)

    def roots(self) -> NDArray[np.int64]:
        """Return the root of each part."""
        return np.array([self._root(part) for part in range(len(self._owner))], np.int64)

    def _root(self, part: int) -> int:
        owner = self._owner
        while owner[part] != part:
            owner[part] = owner[owner[part]]
            part = owner[part]
        return part


def matching_parts(
    one: tuple[Tile, Labels], other: tuple[Tile, Labels], categories: Sequence[int], agreement: float
) -> Pairs:
    """Find the parts of two overlapping tiles that are one instance.

    Parameters
    ----------
    one, other : tuple of Tile and (h, w) array of int32
        Tiles, and the parts in their windows.
    categories : sequence of int
        Category of each part.
    agreement : float
        See `Tiling.agreement`.

    Returns
    -------
    (n, 2) array of int64
        Pairs of parts: they share more than `agreement` of their union on the pixels that both tiles see, or they touch
        across the seam and share more than `agreement` of the smaller one. None where tiles do not overlap.
    """
    a, b = _shared(one, other)
    if not a.size:
        return np.zeros((0, 2), np.int64)
    (parts_a, area_a), (parts_b, area_b) = (np.unique(zone, return_counts=True) for zone in (a, b))
    both = (a > 0) & (b > 0)
    base = int(b.max()) + 1
    keys, shared = np.unique(a[both].astype(np.int64) * base + b[both], return_counts=True)
    pairs = np.stack((keys // base, keys % base), 1)
    seen_a = area_a[np.searchsorted(parts_a, pairs[:, 0])]
    seen_b = area_b[np.searchsorted(parts_b, pairs[:, 1])]
    close = shared > agreement * (seen_a + seen_b - shared)
    if agreement > 0:
        touching = np.isin(keys, _contacts(one, other, base))
        close |= touching & (shared > agreement * np.minimum(seen_a, seen_b))
    else:
        close[:] = True
    kind = np.asarray(categories)
    found: Pairs = pairs[close & (kind[pairs[:, 0]] == kind[pairs[:, 1]])]
    return found


def _shared(one: tuple[Tile, Labels], other: tuple[Tile, Labels]) -> tuple[Labels, Labels]:
    """Return what each of two tiles says of the pixels that both see."""
    zone = [
        slice(max(p.start, q.start), max(p.start, q.start, min(p.stop, q.stop)))
        for p, q in zip(one[0].window, other[0].window, strict=True)
    ]
    a, b = (
        labels[tuple(slice(z.start - w.start, z.stop - w.start) for z, w in zip(zone, tile.window, strict=True))]
        for tile, labels in (one, other)
    )
    return a, b


def _contacts(one: tuple[Tile, Labels], other: tuple[Tile, Labels], base: int) -> Pairs:
    """Return ``a * base + b`` for parts that are neighbours across the seam between two cores; `one` comes first."""
    (tile, labels), (next_tile, next_labels) = one, other
    last, first = labels[tile.inner], next_labels[next_tile.inner]
    if tile.row == next_tile.row:
        a, b = last[:, -1], first[:, 0]
    elif tile.column == next_tile.column:
        a, b = last[-1], first[0]
    else:  # cores that touch in a point
        return np.zeros(0, np.int64)
    touch = (a > 0) & (b > 0)
    return a[touch].astype(np.int64) * base + b[touch]
