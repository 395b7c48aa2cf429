"""A local folder in which every URL has a place, so that all other rooms know paths alone."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sisegcli.data.layouts.category_files import READ
from sisegcli.errors import InputError, OptionError, OutputError, SisegError
from sisegcli.remote.urls import READ_ONLY, WHOLE_OBJECTS, Url, file_system


@dataclass(frozen=True)
class Mirror:
    """Gives ``s3://bucket/x`` the place ``ROOT/s3/bucket/x``, whether anything is there or not.

    What lies in, beside or above what is therefore the same as among the URLs. A mirror can be sent; on another
    machine it still tells URLs from places, and fetches.

    Parameters
    ----------
    root : Path
        An empty local folder, absolute and without links.
    """

    root: Path

    def place(self, url: Url) -> Path:
        """Return the place of a URL."""
        return self.root.joinpath(url.protocol, *PurePosixPath("/", url.rest).parts[1:])

    def url(self, place: Path) -> Url | None:
        """Return the URL of a place; None for other paths."""
        if not place.is_relative_to(self.root):
            return None
        protocol, *rest = place.relative_to(self.root).parts
        return Url(protocol, "/".join(rest))

    def holds(self, place: Path) -> bool:
        """Return whether a path is the place of a URL."""
        return self.url(place) is not None

    def told(self, text: str) -> str:
        """Return a text with places replaced by their URLs.

        >>> Mirror(Path("/tmp/m")).told("/tmp/m/s3/bucket/x.png is damaged.")
        's3://bucket/x.png is damaged.'
        """
        return re.sub(re.escape(str(self.root)) + r"/([a-z][a-z0-9+.-]*)/", r"\1://", text)

    def list(self, url: Url) -> None:
        """Put an empty file in the place of every file below a URL; lists of categories and of splits are fetched.

        Nothing is put there if there is nothing: what is missing is for others to say.

        Raises
        ------
        InputError
            If the URL cannot be listed, or names there are no paths.
        """
        for place, source, system in self._files(url):
            with _input_errors(url, "listed"):
                place.touch()
                if place.name in READ or "ImageSets" in place.parts:
                    system.get_file(source, str(place))

    def fetch(self, url: Url, skip: Container[str] = ()) -> None:
        """Put a file, or every file below a URL, in its place.

        Parameters
        ----------
        url : Url
            A file or a folder.
        skip : container of str
            Names of folders and files directly in it that are not wanted.

        Raises
        ------
        InputError
            If it cannot be listed or read.
        """
        for place, source, system in self._files(url):
            inside = place.relative_to(self.place(url)).parts
            if inside and inside[0] in skip:
                continue
            with _input_errors(url, "read"):
                system.get_file(source, str(place))

    def _files(self, url: Url) -> Iterator[tuple[Path, str, Any]]:
        system, base = file_system(url)
        with _input_errors(url, "listed"):
            system.invalidate_cache()
            found = system.find(base)
        for source in sorted(found):
            name = source[len(base) :].lstrip("/")
            if not name and len(found) == 1 and system.isfile(source):  # the URL is a file's
                place = self.place(url)
                place.parent.mkdir(parents=True, exist_ok=True)
                yield place, source, system
                return
            if not name or name.endswith("/"):  # what some stores keep in place of folders
                continue
            inside = PurePosixPath(name)
            if ".." in inside.parts or str(inside) != name:
                raise InputError(f"{url}/{name} has a name that is no path; rename it.")
            place = self.place(url) / inside
            with _input_errors(url, "listed"):
                place.parent.mkdir(parents=True, exist_ok=True)
            yield place, source, system

    def guard(self, url: Url) -> None:
        """Put empty files in the places of what an output folder holds already, so that writers refuse to replace it.

        Raises
        ------
        OptionError
            If nothing can be written under this protocol.
        InputError
            If the URL cannot be listed.
        """
        if url.protocol in READ_ONLY:
            raise OptionError(f"Nothing can be written to {url}; choose another --out.")
        system, base = file_system(url)
        with _input_errors(url, "listed"), suppress(FileNotFoundError, NotADirectoryError):
            system.invalidate_cache()
            for entry in system.ls(base, detail=True):
                name = PurePosixPath(entry["name"].rstrip("/")).name
                place = self.place(url) / name
                if entry["type"] == "directory":
                    place.mkdir(parents=True, exist_ok=True)
                    (place / ".there").touch()
                elif entry["name"].rstrip("/") != base.rstrip("/"):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.touch()

    def upload(self, outputs: Iterable[Path]) -> None:
        """Upload finished outputs, files in folders first, so that whoever sees the last one sees all.

        Where this fails, what was not there before is removed again.

        Parameters
        ----------
        outputs : iterable of Path
            Files, and folders with files, in places of URLs.

        Raises
        ------
        OutputError
            If a file cannot be written.
        """
        outputs = list(outputs)
        folders, single = [path for path in outputs if path.is_dir()], [path for path in outputs if path.is_file()]
        files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()] + single
        new: list[tuple[Any, str]] = []
        for file in files:
            url = self.url(file)
            if url is None or file.stat().st_size == 0:  # what `guard` put there
                continue
            system, path = file_system(url)
            try:
                if not system.exists(path):
                    new.append((system, path))
                _put(system, url, file, path)
            except Exception as error:  # every store has errors of its own
                for store, name in new:
                    with suppress(Exception):
                        store.rm_file(name)
                raise OutputError(f"{url} cannot be written ({_reason(error)}); check your permissions.") from error

    def get(self, place: Path, target: Path) -> None:
        """Fetch the file that a place stands for to another path.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        url = self.url(place)
        assert url is not None
        system, path = file_system(url)
        with _input_errors(url, "read"):
            system.get_file(path, str(target))


@contextmanager
def _input_errors(url: Url, what: str) -> Iterator[None]:
    """Turn whatever a store raises into an `InputError` that names the URL: every store has errors of its own."""
    try:
        yield
    except SisegError:
        raise
    except Exception as error:
        raise InputError(f"{url} cannot be {what} ({_reason(error)}); check the URL and your permissions.") from error


def _put(system: Any, url: Url, file: Path, path: str) -> None:
    if url.protocol in WHOLE_OBJECTS:
        system.put_file(str(file), path)
        return
    system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    system.put_file(str(file), f"{path}.part")
    system.mv(f"{path}.part", path)


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(reason.split()).rstrip(".")
