"""Batches side by side: while one is in the network, another is grouped; results come in the order of the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sisegcli.methods import Method, lanes_of
from sisegcli.running.reading import map_ahead

Batch = TypeVar("Batch")
Result = TypeVar("Result")


def map_in_lanes(function: Callable[[Batch], Result], batches: Iterable[Batch], method: Method) -> Iterator[Result]:
    """Map batches, in order, in as many threads as the method has use for.

    Where that is several, they share the processor's cores: each computes with its part of torch's threads, which is
    faster than all cores on one batch after the other, as much of the work between two layers is done by one core. One
    batch more than there are threads is under way or waits, so that memory is bounded.
    """
    wanted = lanes_of(method)
    if wanted == 1:
        yield from map(function, batches)
        return
    import torch

    threads = torch.get_num_threads()
    count = min(wanted, threads)
    torch.set_num_threads(threads // count)
    pool = ThreadPoolExecutor(count, thread_name_prefix="lane")
    try:
        yield from map_ahead(function, batches, pool, count + 1)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        torch.set_num_threads(threads)
