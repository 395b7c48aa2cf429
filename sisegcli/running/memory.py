"""Memory that is used again at once, rather than given back to the system between two layers of a network."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, see malloc.h
LARGEST = 32 << 20
"""Blocks below this, in bytes, come from memory that the process keeps; more than this glibc does not allow."""
KEPT = 1 << 30
"""Free memory, in bytes, from which some is given back."""


def keep_freed_memory() -> bool:
    """Let glibc keep memory that was freed; return whether it does.

    A network frees a block of some megabytes after each layer and asks for the next one. By default each of them is
    mapped anew, and the system fills it with zeros a page at a time, which takes as long as the convolution. This
    concerns the whole process, so it is for programs to call, and not for libraries. Other systems stay as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))
