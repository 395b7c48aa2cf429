"""Words that may come from a file, made safe for a terminal."""

from __future__ import annotations

# Control characters but line feeds and tabs, and those that turn the direction of what follows.
_HARMFUL = [*range(9), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: ascii(chr(code))[1:-1] for code in _HARMFUL}


def printable(text: str) -> str:
    r"""Return a text in which nothing commands the terminal: such characters become what Python writes for them.

    >>> print(printable("Café \x1b[2J.png\r\u202e"))
    Café \x1b[2J.png\r\u202e
    """
    return text.translate(_ESCAPES)
