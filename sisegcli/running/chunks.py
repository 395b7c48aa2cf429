"""Chunks of pairs, for several processes or machines, each of which is the local engine on the chunks that it gets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.data.layouts import Pair
from sisegcli.data.masks import MaskReader
from sisegcli.running.convert import build, run
from sisegcli.running.fetching import Read
from sisegcli.running.interrupts import Interrupts
from sisegcli.running.listener import Listener
from sisegcli.running.messages import pack_batches
from sisegcli.running.options import ConvertOptions
from sisegcli.running.resuming import Work
from sisegcli.running.stalls import Readers
from sisegcli.running.tiling import Tiler

BATCHES = 4
"""Batches in a chunk, at most: what is done again if somebody dies, and what is read ahead."""


@dataclass(frozen=True)
class Task:
    """What whoever works on chunks has to know."""

    options: ConvertOptions
    categories: Categories
    masks: MaskReader
    fetch: Callable[[Read], Read] | None
    folder: Path = field(default_factory=Path.cwd)


class ChunkWorker:
    """Holds the method, in one process.

    Parameters
    ----------
    task : Task
        What to do.
    noticed : callable
        Hears a sentence when the processor has to stand in for a device.

    Raises
    ------
    SisegError
        What building the method raises.
    """

    def __init__(self, task: Task, noticed: Callable[[str], None] = lambda sentence: None) -> None:
        with suppress(OSError):  # where there is no such folder here, paths have to be absolute
            os.chdir(task.folder)
        self.task, self.noticed = task, noticed
        self.method = build(task.options, task.categories)
        self.readers = Readers(task.options.workers, task.options.timeout)

    def convert(self, pairs: dict[int, Pair]) -> bytes:
        """Convert pairs, by number; return the finished batches, packed by `pack_batches`."""
        task, interrupts = self.task, Interrupts()
        tiler = Tiler(task.options, self.method, task.masks, Listener(), interrupts)
        work = Work(pairs, list(pairs))
        done = run(
            task.options, work, task.masks, self.method, self.readers, interrupts, tiler, task.fetch, self.noticed
        )
        return pack_batches(list(done), fields=task.options.overlay)


def chunks_of(work: Work, batch_size: int, *, takers: int | None = None) -> Iterator[list[int]]:
    """Yield numbers of pairs in chunks of whole batches, so that the network sees the same images together as ever.

    Parameters
    ----------
    work : Work
        What there is to do.
    batch_size : int
        Images in a batch.
    takers : int, optional
        How many share the chunks; of little work, chunks are smaller then, so that all have some.

    Examples
    --------
    >>> [len(chunk) for chunk in chunks_of(Work({}, range(80)), 8)]
    [32, 32, 16]
    >>> [len(chunk) for chunk in chunks_of(Work({}, range(80)), 8, takers=3)]
    [8, 8, 8, 8, 8, 8, 8, 8, 8, 8]
    """
    batches = BATCHES
    if takers is not None:
        batches = min(BATCHES, max(1, len(work.numbers) // (4 * takers * batch_size)))
    size = batches * batch_size
    return (list(chunk) for _, chunk in groupby(work.numbers, lambda number: number // size))
