"""All outputs of a run as one: guarded before any work, filled image by image, finished from the run's journal."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.data.layouts import Layout, Problem
from sisegcli.errors import OptionError, OutputError
from sisegcli.formats import WRITERS
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.instances import Segmentation
from sisegcli.running.journal import Journal
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
        depth = pair.stem.count("/")
        searched |= {path.parents[min(depth, len(path.parents) - 1)] for path in (pair.image, pair.mask)}
    for folder in sorted(searched):
        inside = target.is_relative_to(folder.resolve()) and layout.name != "flat"  # flat folders are not read deeply
        if inside or target in (folder.resolve(), folder.resolve().parent):
            raise OutputError(f"Outputs in {out} would mix with the input folder {folder}; choose another --out.")


@dataclass(frozen=True)
class Written:
    """What was written of one image.

    Attributes
    ----------
    files : list of Path
        Files of the image alone.
    entries : dict
        Entries in files of the whole run, by format.
    drawn : Future or Problem, optional
        Tells why there is no picture of it, now or when it should be there.
    """

    files: list[Path]
    entries: dict[str, str]
    drawn: Future[Problem | None] | Problem | None = None


class Outputs:
    """The writers of a run, and its overlays.

    Raises
    ------
    OptionError
        If no format has a name given.
    OutputError
        If an output exists already and may not be replaced.
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
    ) -> None:
        for name in formats:
            if name not in WRITERS:
                raise OptionError(f"There is no format {name!r}; choose from {', '.join(WRITERS)}.")
        self._overlays = Overlays(out, categories, pool) if overlays else None
        self._writers: dict[str, Writer] = {}
        try:
            for name in dict.fromkeys(formats):
                self._writers[name] = WRITERS[name](out, categories, polygons=polygons, overwrite=overwrite)
            if not overwrite:
                _refuse_filled(self.paths)
        except BaseException:
            self.abort()
            raise

    @property
    def paths(self) -> list[Path]:
        """The files and folders that are written."""
        overlays = [self._overlays.folder] if self._overlays else []
        return [path for writer in self._writers.values() for path in writer.paths] + overlays

    def files(self, stem: str) -> list[Path]:
        """Return the files of one image alone."""
        overlay = self._overlays.files(stem) if self._overlays else []
        return [path for writer in self._writers.values() for path in writer.files(stem)] + overlay

    @stage("encode")
    def write(self, sample: Sample | LargeSample, segmentation: Segmentation) -> Written:
        """Write all that belongs to one image alone.

        Raises
        ------
        OutputError
            If it can't be written.
        """
        result = ImageResult(sample.pair.stem, sample.pair.image, sample.size, segmentation.instances)
        entries = {name: writer.write(result) for name, writer in self._writers.items()}
        try:
            "".join(entries.values()).encode("utf-8")
        except UnicodeEncodeError as error:
            sentence = f"{sample.pair.image} has a name that is no UTF-8; rename it."
            raise OutputError(sentence.encode("utf-8", "backslashreplace").decode("utf-8")) from error
        drawn: Future[Problem | None] | Problem | None = None
        if self._overlays and isinstance(sample, Sample):
            drawn = self._overlays.add(sample, segmentation)
        elif self._overlays:
            sentence = f"{sample.pair.image} is converted, but too large for a picture of it; leave --overlay out."
            drawn = Problem(sample.pair.image, sentence)
        return Written(self.files(sample.pair.stem), {name: entry for name, entry in entries.items() if entry}, drawn)

    @stage("encode")
    def close(self, journal: Journal) -> list[Path]:
        """Write the files of the whole run from its journal; return the files and folders written.

        They are there already if the journal keeps no entries any more.
        """
        for name, writer in self._writers.items() if journal.keeps_entries else ():
            for entry in journal.entries(name):
                writer.append(entry)
            writer.close()
        return self.paths

    @property
    def untouched(self) -> bool:
        """Whether nothing is there of what is written."""
        return not any(map(_is_filled, self.paths))

    def abort(self) -> None:
        """Take back what is not finished."""
        for writer in self._writers.values():
            writer.abort()


def _refuse_filled(targets: Sequence[Path]) -> None:
    for target in targets:
        if _is_filled(target):
            raise OutputError(f"{target} exists already; choose another folder with --out, or pass --overwrite.")


def _is_filled(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and next(path.iterdir(), None) is not None)
