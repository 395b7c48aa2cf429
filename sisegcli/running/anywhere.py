"""Conversion and merging where folders may be URLs: listed first, fetched pair by pair, outputs uploaded at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sisegcli.data.layouts import Layout, Problem
from sisegcli.errors import OptionError, OutputError, SisegError
from sisegcli.remote.mirror import Mirror
from sisegcli.remote.urls import local_path, url_of
from sisegcli.running.convert import convert
from sisegcli.running.fetching import Fetching
from sisegcli.running.listener import Listener
from sisegcli.running.merge import MergeSummary, merge
from sisegcli.running.options import ConvertOptions
from sisegcli.running.shards import RECORD
from sisegcli.running.summary import Summary


def convert_anywhere(options: ConvertOptions, listener: Listener | None = None) -> Summary:
    """Convert a folder of images and masks; see `convert`.

    The root, the folders of images and masks and the output folder may be URLs. Inputs are listed, then fetched as they
    are needed, and never more than the run reads ahead; outputs are uploaded when all of them are finished.

    Raises
    ------
    SisegError
        What `convert` raises, and if a URL cannot be listed, read or written.
    """
    listener = listener or Listener()
    given = {name: getattr(options, name) for name in ("root", "images", "masks", "out")}
    local: dict[str, Any] = {name: local_path(path) for name, path in given.items() if path is not None}
    options = replace(options, **local)
    urls = {name: url for name, path in local.items() if (url := url_of(path)) is not None}
    if not urls:
        return convert(options, listener)
    if options.resume and "out" in urls:
        raise OptionError(f"--resume needs an --out on this machine, and {urls['out']} is not; leave it out.")
    local["out"] = options.output  # named after the URL, not after its place
    with mirrored() as mirror:
        for name, url in urls.items():
            if name == "out":
                mirror.guard(url)
            else:
                mirror.list(url)
            local[name] = mirror.place(url)
        chosen = replace(options, **local)
        summary = convert(chosen, Telling(listener, mirror), fetch=Fetching.of(mirror), told=mirror.told)
        if "out" in urls:
            upload(mirror, chosen.output, [*summary.outputs, chosen.output / RECORD])
        summary.problems = told_problems(mirror, summary.problems)
        summary.outputs = [Path(mirror.told(str(path))) for path in summary.outputs]
        summary.layout = mirror.told(summary.layout)
        return summary


def merge_anywhere(
    folders: Sequence[Path],
    out: Path,
    *,
    partial: bool = False,
    overwrite: bool = False,
    detailed: Callable[[str], None] = lambda sentence: None,
) -> MergeSummary:
    """Join the outputs of several runs; see `merge`. Folders may be URLs; they are fetched whole.

    Raises
    ------
    SisegError
        What `merge` raises, and if a URL cannot be listed, read or written.
    """
    folders, out = [local_path(folder) for folder in folders], local_path(out)
    if not any(url_of(path) for path in (*folders, out)):
        return merge(folders, out, partial=partial, overwrite=overwrite, detailed=detailed)
    with mirrored() as mirror:
        places = []
        target = url_of(out)
        if target is not None:
            mirror.guard(target)
        for folder in folders:
            url = url_of(folder)
            if url is not None:
                mirror.fetch(url)
            places.append(folder if url is None else mirror.place(url))
        there = out if target is None else mirror.place(target)

        def told(sentence: str) -> None:
            detailed(mirror.told(sentence))

        summary = merge(places, there, partial=partial, overwrite=overwrite, detailed=told)
        if target is not None:
            upload(mirror, there, [*summary.outputs, there / RECORD])
        outputs = [Path(mirror.told(str(path))) for path in summary.outputs]
        return replace(summary, outputs=outputs, problems=told_problems(mirror, summary.problems))


class Telling(Listener):
    """Passes everything on, with URLs in place of local paths."""

    def __init__(self, listener: Listener, mirror: Mirror) -> None:
        self._listener, self._mirror = listener, mirror
        self.advanced = listener.advanced  # type: ignore[method-assign]
        self.tiled = listener.tiled  # type: ignore[method-assign]
        self.resumed = listener.resumed  # type: ignore[method-assign]
        self.stopping = listener.stopping  # type: ignore[method-assign]

    def found(self, layout: Layout, out: Path) -> None:
        """Pass on how the input was understood."""
        told = replace(layout, description=self._mirror.told(layout.description))
        self._listener.found(told, Path(self._mirror.told(str(out))))

    def noticed(self, sentence: str) -> None:
        """Pass a sentence on."""
        self._listener.noticed(self._mirror.told(sentence))

    def detailed(self, sentence: str) -> None:
        """Pass a detail on."""
        self._listener.detailed(self._mirror.told(sentence))


@contextmanager
def mirrored() -> Iterator[Mirror]:
    """Make a mirror for a run; it is removed at the end, and errors name URLs."""
    root = Path(tempfile.mkdtemp(prefix="sisegcli-")).resolve()
    mirror = Mirror(root)
    keep = False
    try:
        yield mirror
    except _NotUploadedError:
        keep = True
        raise
    except SisegError as error:
        raise type(error)(mirror.told(str(error))) from error
    finally:
        if not keep:
            shutil.rmtree(root, ignore_errors=True)


class _NotUploadedError(OutputError):
    """Outputs are finished but could not be uploaded; they are kept."""


def upload(mirror: Mirror, out: Path, outputs: Sequence[Path]) -> None:
    """Upload finished outputs, which lie in a folder; they are kept where that fails.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    try:
        mirror.upload(outputs)
    except OutputError as error:
        sentence = str(error).rstrip(".")
        raise _NotUploadedError(f"{sentence}; all outputs are in {out}, from where they can be copied.") from error


def told_problems(mirror: Mirror, problems: Sequence[Problem]) -> list[Problem]:
    """Return problems with URLs in place of local paths."""
    return [Problem(Path(mirror.told(str(problem.path))), mirror.told(problem.sentence)) for problem in problems]
