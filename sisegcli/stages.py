"""Where the time of a run goes: seconds by stage, in all threads together, without what other stages in them take."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

STAGES = ("decode", "forward", "grouping", "membership", "wholeness", "edges", "encode")
"""What a conversion consists of, in order."""

Given = ParamSpec("Given")
Made = TypeVar("Made")

_lock = threading.Lock()
_local = threading.local()
_listening: list[dict[str, float]] = []


def stage(name: str) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Mark a function as (part of) a stage. It costs nothing to speak of unless somebody listens.

    >>> @stage("grouping")
    ... def add(a, b):
    ...     return a + b
    >>> with profiled() as seconds:
    ...     add(1, 2)
    3
    >>> list(seconds), seconds["grouping"] > 0
    (['grouping'], True)
    """

    def mark(function: Callable[Given, Made]) -> Callable[Given, Made]:
        @wraps(function)
        def timed(*given: Given.args, **named: Given.kwargs) -> Made:
            if not _listening:
                return function(*given, **named)
            around: float = getattr(_local, "inner", 0.0)
            _local.inner = 0.0
            begin = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                took = time.perf_counter() - begin
                with _lock:
                    for seconds in _listening:
                        seconds[name] += took - _local.inner
                _local.inner = around + took

        return timed

    return mark


def add_seconds(found: Mapping[str, float]) -> None:
    """Add what another process has measured.

    >>> with profiled() as seconds:
    ...     add_seconds({"grouping": 1.5})
    >>> dict(seconds)
    {'grouping': 1.5}
    """
    with _lock:
        for seconds in _listening:
            for name, took in found.items():
                seconds[name] += took


@contextmanager
def profiled(wanted: bool = True) -> Iterator[dict[str, float]]:
    """While entered, gather the seconds of each stage, of all threads, if that is wanted."""
    seconds: dict[str, float] = defaultdict(float)
    if wanted:
        _listening.append(seconds)
    try:
        yield seconds
    finally:
        # By identity: equal dictionaries may be listening, too.
        _listening[:] = [other for other in _listening if other is not seconds]
