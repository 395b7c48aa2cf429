"""A method at work on batches that may fail: halved until only what fails alone is left, and that on the processor."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence

from sisegcli.data.layouts import Problem
from sisegcli.errors import SisegError
from sisegcli.instances import Segmentation
from sisegcli.methods import Method, on_processor
from sisegcli.running.reading import LargeSample, Sample
from sisegcli.running.settling import Done, Finished
from sisegcli.running.tiling import Tiler

Read = Sample | LargeSample | Problem
Batch = list[tuple[int, Read]]
"""Numbers of pairs in the run's list, and what was read of them."""


class Worker:
    """Segments batches.

    Parameters
    ----------
    method : Method
        Does it.
    tiler : Tiler
        Does it for large pairs.
    noticed : callable
        Hears a sentence when the processor has to stand in for a device.
    """

    def __init__(self, method: Method, tiler: Tiler, noticed: Callable[[str], None]) -> None:
        self._method, self._tiler, self._noticed = method, tiler, noticed
        self._spare: Method | None = None
        self._lock = threading.Lock()

    def __call__(self, batch: Batch) -> Finished:
        """Segment a batch; what could not be read goes through, and a large pair comes alone."""
        start = time.perf_counter()
        found: dict[int, Done] = {number: read for number, read in batch if isinstance(read, Problem)}
        for number, read in batch:
            if isinstance(read, LargeSample):
                done = self._tiler.segment(read)
                if done is not None:
                    found[number] = done
        samples = [(number, read) for number, read in batch if isinstance(read, Sample)]
        if samples:
            results = self._segment([sample for _, sample in samples])
            found.update(zip((number for number, _ in samples), results, strict=True))
        numbers = sorted(found)
        return Finished(numbers, [found[number] for number in numbers], time.perf_counter() - start)

    def _segment(self, samples: Sequence[Sample]) -> list[Done]:
        """Segment samples; if that fails, halve them until only those that fail alone are left as problems."""
        try:
            return list(zip(samples, _segmented(self._method, samples), strict=True))
        except Exception as error:
            if not (isinstance(error, SisegError) or out_of_memory(error)):
                raise
            failed = error
        if out_of_memory(failed):
            _free_device()
        if len(samples) > 1:
            half = len(samples) // 2
            return self._segment(samples[:half]) + self._segment(samples[half:])
        return [self._alone(samples[0], failed)]

    def _alone(self, sample: Sample, error: Exception) -> Done:
        """Segment a sample on the processor if memory ran out on it alone; else, or if it does there, tell why."""
        if not out_of_memory(error):
            return Problem(sample.pair.image, str(error))
        try:
            with self._lock:  # one at a time is enough, and two might run out of memory, too
                spare = self._spare = self._spare or on_processor(self._method)
                if spare is not None:
                    found = _segmented(spare, [sample])[0]
                    self._noticed(f"Memory ran out on {sample.pair.image}, so the processor did it.")
                    return sample, found
        except SisegError as other:
            return Problem(sample.pair.image, str(other))
        except Exception as other:
            if not out_of_memory(other):
                raise
        height, width = sample.size
        sentence = f"Memory ran out on {sample.pair.image} ({width} × {height} pixels); use a smaller image."
        return Problem(sample.pair.image, sentence)


def out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out, on a device too (torch's error is known by name, as torch may not be there)."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _segmented(method: Method, samples: Sequence[Sample]) -> list[Segmentation]:
    return method.segment([sample.image for sample in samples], [sample.mask for sample in samples])


def _free_device() -> None:
    """Give back what a device keeps for later, as the next try needs it in one piece."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
