"""URLs of folders, and the file systems behind them; fsspec is imported only where there is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from sisegcli.errors import OptionError

# `pathlib` makes one slash of two, so s3://bucket/x arrives as s3:/bucket/x. One letter is a drive.
_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]+):/+(?P<rest>.*)", re.DOTALL)

READ_ONLY = ("http", "https")
"""Protocols that nothing can be written to."""

WHOLE_OBJECTS = ("abfs", "az", "gcs", "gs", "memory", "s3", "s3a")
"""Protocols under which an object appears as a whole when its upload ends, and not before."""


class Url(NamedTuple):
    """A place in a store: ``protocol://rest``."""

    protocol: str
    rest: str

    def __str__(self) -> str:
        return f"{self.protocol}://{self.rest}"


def url_of(path: Path | str) -> Url | None:
    """Return the URL that a path stands for; None for a local path.

    >>> print(url_of(Path("s3://bucket/photos")), url_of("photos"), url_of(Path("C:/photos")))
    s3://bucket/photos None None
    """
    match = _URL.fullmatch(path if isinstance(path, str) else path.as_posix())
    if match is None or match["protocol"].lower() == "file":
        return None
    return Url(match["protocol"].lower(), match["rest"].rstrip("/"))


def local_path(path: Path) -> Path:
    """Return a path as it is, without the ``file://`` that it may begin with.

    >>> local_path(Path("file:///data/x")).as_posix(), local_path(Path("x")).as_posix()
    ('/data/x', 'x')
    """
    match = _URL.fullmatch(path.as_posix())
    return Path("/", match["rest"]) if match is not None and match["protocol"].lower() == "file" else path


def file_system(url: Url) -> tuple[Any, str]:
    """Return fsspec's file system of a URL, and the URL's path in it.

    Raises
    ------
    OptionError
        If fsspec, or its part for this protocol, is not installed.
    """
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(str(url))
    except ImportError as error:
        raise OptionError(f"{url} needs more packages ({error}); pip install 'sisegcli[remote]'.") from error
    except ValueError as error:
        raise OptionError(f"{url} cannot be opened ({error}); s3://, gs:// and https:// are known.") from error
    return system, path
