"""Files that our writers made, read again line by line; what is not as they wrote it is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from sisegcli.data.texts import parse_json
from sisegcli.errors import InputError

MAX_LINE = 2**28
"""Longest line that is read, in characters: far more than the instances of a large image take."""

Kind = TypeVar("Kind", int, str)


def lines(path: Path, *, limit: int | None = None) -> Iterator[str]:
    """Yield the lines of a text file, with their ends.

    Parameters
    ----------
    path : Path
        The file; links are followed, pipes and devices are not read.
    limit : int, optional
        A larger file, in bytes, is refused.

    Raises
    ------
    InputError
        If it cannot be read, is no UTF-8, or has a line without end.
    """
    if not path.is_file() and path.exists():
        raise foreign(path)
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            if limit is not None and path.stat().st_size > limit:
                raise foreign(path)
            while line := file.readline(MAX_LINE):
                if len(line) == MAX_LINE:
                    raise foreign(path)
                yield line
    except UnicodeDecodeError as error:
        raise foreign(path) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the name.") from error


def records(path: Path, start: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a list that begins with a line, and has one record a line, as `CocoStream` writes them.

    Raises
    ------
    InputError
        If the file cannot be read or has another form.
    """
    found = lines(path)
    if not any(line.startswith(start) for line in found):
        raise foreign(path)
    for line in found:
        if line.startswith("]"):
            return
        try:
            record = parse_json(line.rstrip(",\n"))
            if "\\u" in line:  # half a character cannot be written again
                json.dumps(record, ensure_ascii=False).encode()
        except ValueError as error:
            raise foreign(path) from error
        if not isinstance(record, dict):
            raise foreign(path)
        yield record
    raise foreign(path)


def value(record: dict[str, Any], name: str, kind: type[Kind], path: Path) -> Kind:
    """Return a value of a record, or raise `InputError` where there is none of this type."""
    found = record.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise foreign(path)
    return found


def foreign(path: Path) -> InputError:
    """Return the error for a file of another form than ours."""
    return InputError(f"{path} is not as sisegcli wrote it; convert its images again.")
