"""All outputs of a run as one: guarded before any work, filled image by image, finished or taken back together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.data.layouts import Layout, Problem
from sisegcli.errors import OutputError, SisegError
from sisegcli.formats import FORMATS
from sisegcli.formats.files import output_errors
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.instances import Segmentation
from sisegcli.running.overlays import Overlays
from sisegcli.running.reading import LargeSample, Sample
from sisegcli.stages import stage


def check_apart(out: Path, layout: Layout) -> None:
    """Refuse an output folder whose files would land among the input's, where the next run would read them.

    Raises
    ------
    OutputError
        If a folder with images or masks is the output folder or lies directly in it, or the other way round.
    """
    target = out.resolve()
    searched: set[Path] = set()
    for pair in layout.pairs:
        # Masks of an image folder may have any place.
        depth = 0 if layout.name == "hugging-face" else pair.stem.count("/")
        searched |= {path.parents[min(depth, len(path.parents) - 1)] for path in (pair.image, pair.mask)}
    for folder in sorted(searched):
        inside = target.is_relative_to(folder.resolve()) and layout.name != "flat"  # flat folders are not read deeply
        if inside or target in (folder.resolve(), folder.resolve().parent):
            raise OutputError(f"Outputs in {out} would mix with the input folder {folder}; choose another --out.")


class Outputs:
    """The writers of a run, and its overlays.

    Raises
    ------
    OutputError
        If an output exists already and may not be overwritten.
    """

    def __init__(
        self,
        out: Path,
        categories: Categories,
        formats: Sequence[str],
        *,
        polygons: bool = False,
        overlays: bool = False,
        overwrite: bool = False,
        pool: Executor,
        ahead: int,
    ) -> None:
        self._out, self._made = out, not out.exists()
        self._overlays = Overlays(out, categories, pool, ahead=ahead) if overlays else None
        self._lacking: list[Problem] = []
        self._writers: list[Writer] = []
        try:
            for name in dict.fromkeys(formats):
                make = FORMATS[name].writer
                self._writers.append(make(out, categories, polygons=polygons, overwrite=overwrite))
            if not overwrite:
                _refuse_filled(self._paths)
        except BaseException:
            self.abort()
            raise

    @stage("encode")
    def add(self, sample: Sample | LargeSample, segmentation: Segmentation) -> Problem | None:
        """Write one image, or tell why it can't be written.

        A format that cannot hold it does not keep it from the others; `close` tells of that.
        """
        if not _encodes(sample.pair.stem):
            shown = str(sample.pair.image).encode("utf-8", "backslashreplace").decode()
            return Problem(Path(shown), f"{shown} has a name that is not UTF-8, which no output can hold; rename it.")
        result = ImageResult(sample.pair.stem, sample.pair.image, sample.size, segmentation.instances)
        tried = [_add(writer, result) for writer in self._writers]
        refused = [problem for problem in tried if problem is not None]
        if refused and len(refused) == len(self._writers):
            return refused[0]
        self._lacking += refused
        if self._overlays and isinstance(sample, Sample):
            self._overlays.add(sample, segmentation)
        elif self._overlays:
            sentence = f"{sample.pair.image} is converted, but too large for a picture of it; leave --overlay out."
            self._lacking.append(Problem(sample.pair.image, sentence))
        return None

    @stage("encode")
    def close(self) -> tuple[list[Path], list[Problem]]:
        """Finish all outputs; return the files and folders written, and what went wrong on the way."""
        problems = self._overlays.finish() if self._overlays else []
        for writer in self._writers:
            writer.close()
            for path in writer.paths:
                if not path.suffix:  # a folder, empty where a format could not hold any image
                    with output_errors(path):
                        path.mkdir(parents=True, exist_ok=True)
        return self._paths, problems + self._lacking

    @property
    def _paths(self) -> list[Path]:
        overlays = [self._overlays.folder] if self._overlays else []
        return [path for writer in self._writers for path in writer.paths] + overlays

    def abort(self) -> None:
        """Take back what is not finished."""
        if self._overlays:
            self._overlays.abort()
        for writer in self._writers:
            writer.abort()
        if self._made:
            with suppress(OSError):  # not there, or not empty
                self._out.rmdir()


def _add(writer: Writer, result: ImageResult) -> Problem | None:
    try:
        writer.add(result)
    except SisegError as error:
        return Problem(result.image, str(error))
    return None


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_filled(targets: Sequence[Path]) -> None:
    for target in targets:
        if target.is_file() or (target.is_dir() and next(target.iterdir(), None)):
            raise OutputError(f"{target} exists already; choose another folder with --out, or pass --overwrite.")
