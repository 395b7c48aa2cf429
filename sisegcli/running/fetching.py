"""Pairs that lie elsewhere, among URLs or in archives: fetched one by one, just before they are read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sisegcli.data.layouts import Pair, Problem
from sisegcli.errors import SisegError
from sisegcli.running.reading import Sample

Read = Callable[[Pair], Sample | Problem]


class Store(Protocol):
    """Where files lie that are no files here."""

    def holds(self, place: Path) -> bool:
        """Return whether a path stands for something there."""

    def get(self, place: Path, target: Path) -> None:
        """Copy what a path stands for to a file; raise `InputError` if it cannot be read."""


@dataclass(frozen=True)
class Fetching:
    """Makes a reader of pairs fetch them first, into a folder that is gone when they are read; it can be sent."""

    store: Store
    read: Read | None = None

    @classmethod
    def of(cls, store: Store) -> Callable[[Read], Read]:
        """Return a function that makes readers fetch."""
        return cls(store)._around

    def _around(self, read: Read) -> Read:
        return replace(self, read=read)

    def __call__(self, pair: Pair) -> Sample | Problem:
        """Fetch and read a pair, or tell why it can't be read."""
        assert self.read is not None
        with tempfile.TemporaryDirectory(prefix="sisegcli-") as folder:
            # Apart, as both may have one name.
            here = Pair(pair.stem, Path(folder, "image", pair.image.name), Path(folder, "mask", pair.mask.name))
            try:
                image, mask = self._get(pair.image, here.image), self._get(pair.mask, here.mask)
            except SisegError as error:
                return Problem(pair.image, str(error))
            found = self.read(Pair(pair.stem, image, mask))
        if isinstance(found, Sample):
            return replace(found, pair=pair)
        sentence = found.sentence
        for mine, theirs in ((here.image, pair.image), (here.mask, pair.mask)):
            sentence = sentence.replace(str(mine), str(theirs))
        return Problem(pair.image, sentence)

    def _get(self, place: Path, target: Path) -> Path:
        """Fetch a file, unless it is local anyway; return where it is."""
        if not self.store.holds(place):
            return place
        target.parent.mkdir()
        self.store.get(place, target)
        return target
