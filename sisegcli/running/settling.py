"""What becomes of results: written, then noted in the journal when all that belongs to them is on disk."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sisegcli.categories import Categories
from sisegcli.data.layouts import Problem
from sisegcli.errors import SisegError, StorageError
from sisegcli.instances import Segmentation
from sisegcli.running.journal import Journal
from sisegcli.running.outputs import Outputs, Written
from sisegcli.running.reading import LargeSample, Sample
from sisegcli.running.rows import DONE, FAILED, Row
from sisegcli.running.summary import Summary

Done = tuple[Sample | LargeSample, Segmentation] | Problem


@dataclass(frozen=True)
class Finished:
    """What the method made of pairs that it got together.

    Attributes
    ----------
    numbers : list of int
        Their places in the run's list.
    results : list
        For each of them, a sample with its segmentation, or why there is none.
    seconds : float
        What the method took for all of them.
    """

    numbers: list[int]
    results: list[Done]
    seconds: float = 0.0


class Settler:
    """Writes results, and notes them in the journal, all of a batch or none, so that a resumed run has whole batches.

    Parameters
    ----------
    outputs : Outputs
        Writes them.
    journal : Journal
        Notes them.
    summary : Summary
        Counts them.
    categories : Categories
        Names to count by.
    ahead : int
        How many pictures may wait to be drawn.
    """

    def __init__(
        self, outputs: Outputs, journal: Journal, summary: Summary, categories: Categories, *, ahead: int
    ) -> None:
        self._outputs, self._journal, self._summary, self._categories = outputs, journal, summary, categories
        self._ahead = ahead
        self._waiting: deque[list[tuple[Row, Written | None]]] = deque()

    def settle(self, finished: Finished, told: Callable[[str], str] = str) -> list[Row]:
        """Write the results of a batch; return what is known of each by now.

        Parameters
        ----------
        finished : Finished
            The results.
        told : callable
            Turns a sentence into one that names places as the user does.

        Raises
        ------
        StorageError
            If nothing can be written any more.
        """
        seconds = finished.seconds / max(1, len(finished.numbers))
        rows = [self._write(*one, seconds, told) for one in zip(finished.numbers, finished.results, strict=True)]
        self._waiting.append(rows)
        while self._waiting and (self._pending() > self._ahead or all(map(_is_whole, self._waiting[0]))):
            self._note(self._waiting.popleft())
        return [row for row, _ in rows]

    def finish(self) -> None:
        """Wait for all pictures, and make sure of the journal."""
        while self._waiting:
            self._note(self._waiting.popleft())
        self._journal.commit()

    def abort(self) -> None:
        """Wait for nothing more."""
        for _, written in _all(self._waiting):
            if written is not None and written.drawn is not None:
                written.drawn.cancel()
        self._waiting.clear()

    def _write(self, number: int, done: Done, seconds: float, told: Callable[[str], str]) -> tuple[Row, Written | None]:
        if isinstance(done, Problem):
            return Row(number, FAILED, told(done.sentence), seconds), None
        sample, segmentation = done
        try:
            written = self._outputs.write(sample, segmentation)
        except StorageError:
            raise
        except SisegError as error:
            return Row(number, FAILED, told(str(error)), seconds), None
        counts = Counter(instance.category for instance in segmentation.instances)
        gone = segmentation.removed, segmentation.removed_pixels
        lacking = "\n".join(map(told, written.lacking)) or None
        doubted = sum(decision.doubtful for decision in segmentation.decisions)
        return Row(number, DONE, lacking, seconds, 0, counts, *gone, written.entries, doubted), written

    def _pending(self) -> int:
        return sum(not _is_whole(one) for one in _all(self._waiting))

    def _note(self, batch: list[tuple[Row, Written | None]]) -> None:
        rows = []
        for row, written in batch:
            if written is not None:
                problem = written.drawn.result() if written.drawn is not None else None
                size = sum(path.stat().st_size for path in written.files if path.exists())
                reasons = [row.reason, problem.sentence if problem else None]
                row = replace(row, bytes=size, reason="\n".join(filter(None, reasons)) or None)
            rows.append(row)
        self._journal.record(rows)
        for row in rows:
            if row.state == DONE:
                self._summary.count(row, self._categories)


def _all(batches: Iterable[list[tuple[Row, Written | None]]]) -> Iterable[tuple[Row, Written | None]]:
    return (one for batch in batches for one in batch)


def _is_whole(one: tuple[Row, Written | None]) -> bool:
    """Return whether all files of an image are on disk."""
    written = one[1]
    return written is None or written.drawn is None or written.drawn.done()
