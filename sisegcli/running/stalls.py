"""Threads that read, of which one that hangs is given up: a network path may stall for ever."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from sisegcli.data.layouts import Pair, Problem
from sisegcli.errors import StalledError

STUCK = 16
"""Threads that may hang at once; where more do, nothing can be read any more."""

_GRACE = 1.0
"""Seconds that a thread has to end with the run."""


class Readers(Executor):
    """A pool of daemon threads; one that is stuck is left alone and replaced, and does not keep the program alive.

    Its tasks are functions of pairs. The result of one that is given up is a `Problem`.

    Parameters
    ----------
    workers : int
        Threads at work.
    timeout : float
        Seconds after which a task that has begun is given up; 0: never.
    """

    def __init__(self, workers: int, timeout: float) -> None:
        self.timeout = timeout
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._stuck: set[_Task] = set()
        self._threads: list[threading.Thread] = []
        for _ in range(workers):
            self._start()

    def _start(self) -> None:
        self._threads.append(threading.Thread(target=self._work, name="sisegcli-reader", daemon=True))
        self._threads[-1].start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a function of a pair called by one of the threads."""
        task = _Task(self, fn, *args, **kwargs)
        self._tasks.put(task)
        return task

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.work()
            with self._lock:
                if task in self._stuck:  # another thread has taken the place of this one
                    self._stuck.discard(task)
                    return

    def give_up(self, task: _Task, pair: Pair) -> Problem | None:
        """Replace the thread of a task that takes too long; return what to tell of it, or None if it is done after all.

        Raises
        ------
        StalledError
            If too many threads are stuck.
        """
        with self._lock:
            if task.done():
                return None
            self._stuck.add(task)
            stuck = len(self._stuck)
        if stuck > STUCK:
            raise StalledError(f"Reading stalls: {stuck} images at once were not read {self._limit}; {_WAY}.")
        self._start()
        return Problem(pair.image, f"{_names(pair)} was not read {self._limit}; {_WAY}.")

    @property
    def _limit(self) -> str:
        return f"within {self.timeout:g} s"

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Begin no more tasks, and let the threads end; those that are stuck are not waited for."""
        with suppress(Empty):
            while (task := self._tasks.get_nowait()) is not None:
                task.cancel()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if wait and not self._stuck else ():
            thread.join(_GRACE if self.timeout else None)


_WAY = "check the disk or the network, and go on with --resume"


def _names(pair: Pair) -> Path | str:
    return pair.image if pair.image == pair.mask else f"{pair.image} or its mask"


class _Task(Future[Any]):
    """A call on its way."""

    def __init__(self, readers: Readers, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._readers, self._call = readers, (fn, args, kwargs)
        self._begun, self._since = threading.Event(), 0.0

    def work(self) -> None:
        """Make the call."""
        fn, args, kwargs = self._call
        self._since = time.monotonic()
        self._begun.set()
        if self.set_running_or_notify_cancel():
            try:
                found = fn(*args, **kwargs)
            except BaseException as error:
                self.set_exception(error)
            else:
                self.set_result(found)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result, no longer than the pool allows."""
        if self._readers.timeout and not self.done():
            self._begun.wait()
            left = self._since + self._readers.timeout - time.monotonic()
            if self not in concurrent.futures.wait([self], max(0.0, left)).done:
                problem = self._readers.give_up(self, self._call[1][0])
                if problem is not None:
                    return problem
        return super().result(timeout)
