"""Ctrl-C noted rather than obeyed at once, so that a run ends between two images."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While entered, the first Ctrl-C is only noted in `noted`; a second one raises KeyboardInterrupt as ever.

    Outside the main thread, where Python cannot set signal handlers, it changes nothing.

    Parameters
    ----------
    on_first : callable
        Called when the first interrupt is noted.
    """

    def __init__(self, on_first: Callable[[], None] = lambda: None) -> None:
        self.noted = False
        self._on_first = on_first
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True
        with suppress(RuntimeError):  # printing while the interrupted code prints
            self._on_first()
