"""Memory that is used again at once, rather than given back to the system between two layers of a network.

What is kept is full of holes after a while: something small that stays, a result or a kernel, lies where a large block
was, and the next large block needs new memory. So holes are given back now and then; without that, thousands of images
take twice the memory of a hundred, though no more of it is in use. One heap for all threads would need less still, but
threads would wait for each other: conversions took a quarter longer on two cores.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, see malloc.h
LARGEST = 32 << 20
"""Blocks below this, in bytes, come from memory that the process keeps; more than this glibc does not allow."""
KEPT = 1 << 30
"""Free memory, in bytes, from which some is given back."""
SECONDS = 1.0
"""Time between two times that holes are given back; each takes some 20 milliseconds, and as long to fill them again."""


def keep_freed_memory() -> bool:
    """Let glibc keep memory that was freed; return whether it does.

    A network frees a block of some megabytes after each layer and asks for the next one. By default each of them is
    mapped anew, and the system fills it with zeros a page at a time, which takes as long as the convolution. This
    concerns the whole process, so it is for programs to call, and not for libraries. Other systems stay as they are.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))


class Holes:
    """The holes in the memory of this process, which are given back to the system now and then."""

    def __init__(self) -> None:
        self._trim, self._last = _glibc("malloc_trim"), time.monotonic()

    def give_back(self) -> bool:
        """Give them back if that was long ago; return whether it was."""
        if self._trim is None or time.monotonic() - self._last < SECONDS:
            return False
        self._trim(0)
        self._last = time.monotonic()
        return True


def _glibc(name: str) -> Any:
    """Return a function of glibc; None with another C library."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError):
        return None
