"""Text and JSON files that somebody else wrote: read up to a limit, and refused where they are ambiguous."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

MAX_TEXT = 2**26
"""Largest list, table or piece of metadata that is read, in bytes: 64 MiB."""
MAX_JSON = 2**30
"""Largest JSON file of annotations that is read by default, in bytes: 1 GiB; Python takes up to ten times as much."""

_BLOCK = 2**20


def read_text(path: Path, encoding: str = "utf-8-sig", *, limit: int = MAX_TEXT) -> str:
    """Read a text file, or a pipe, of no more than `limit` bytes.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is larger, a device (which has no end), or not in this encoding.
    """
    known = path.stat()
    if stat.S_ISCHR(known.st_mode) or stat.S_ISBLK(known.st_mode):
        raise ValueError("it is a device")
    if known.st_size > limit:
        raise ValueError(f"it has {known.st_size:,} bytes, more than the {limit:,} allowed")
    content = bytearray()
    with path.open("rb", buffering=0) as file:
        while block := file.read(min(_BLOCK, limit + 1 - len(content))):
            content += block
            if len(content) > limit:
                raise ValueError(f"it has more bytes than the {limit:,} allowed")
    # New lines as Python's own text files have them.
    return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str) -> Any:
    """Parse JSON; a name that an object has twice is an error, as is nesting without end.

    Raises
    ------
    ValueError
        If it is not JSON, or ambiguous.

    Examples
    --------
    >>> parse_json('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    ValueError: the name 'a' is there twice in one object
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {twice!r} is there twice in one object")
    return found
