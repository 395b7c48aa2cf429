"""All outputs of a run as one: guarded before any work, filled image by image, finished from the run's journal."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.data.layouts import Layout, Problem
from sisegcli.errors import OutputError, SisegError, StorageError
from sisegcli.formats import FORMATS
from sisegcli.formats.files import output_errors
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
        # Masks of an image folder may have any place.
        depth = 0 if layout.name == "hugging-face" else pair.stem.count("/")
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
    lacking : list of str
        Why it is not in some format, or not drawn; sentences.
    drawn : Future, optional
        Tells why there is no picture of it, when it should be there.
    """

    files: list[Path]
    entries: dict[str, str]
    lacking: list[str]
    drawn: Future[Problem | None] | None = None


class Outputs:
    """The writers of a run, and its overlays.

    Raises
    ------
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
        legend: bool = True,
        overwrite: bool = False,
        pool: Executor,
    ) -> None:
        self.folder = out
        self._overlays = Overlays(out, categories, pool, legend=legend) if overlays else None
        self._writers: dict[str, Writer] = {}
        try:
            for name in dict.fromkeys(formats):
                make = FORMATS[name].writer
                self._writers[name] = make(out, categories, polygons=polygons, overwrite=overwrite)
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
        files = self._overlays.files(stem) if self._overlays else []
        for writer in self._writers.values():
            with suppress(OutputError):  # a name that this format cannot hold
                files += writer.files(stem)
        return files

    @property
    def finished(self) -> list[Path]:
        """What is there when a run is over."""
        names = [name for written in self._writers for name in FORMATS[written].outputs if Path(name).suffix]
        return [*self.paths, *(self.folder / name for name in names)]

    @stage("encode")
    def write(self, sample: Sample | LargeSample, segmentation: Segmentation) -> Written:
        """Write all that belongs to one image alone.

        A format that cannot hold the image does not keep it from the others.

        Raises
        ------
        StorageError
            If nothing can be written any more.
        SisegError
            If no format can hold it.
        """
        result = ImageResult(sample.pair.stem, sample.pair.image, sample.size, segmentation.instances)
        entries: dict[str, str] = {}
        refused: list[SisegError] = []
        for name, writer in self._writers.items():
            entry = _write(writer, result)
            if isinstance(entry, str):
                entries[name] = entry
            else:
                refused.append(entry)
        if refused and not entries:
            raise refused[0]
        lacking = [str(error) for error in refused]
        drawn: Future[Problem | None] | None = None
        if self._overlays and isinstance(sample, Sample):
            drawn = self._overlays.add(sample, segmentation)
        elif self._overlays:
            sentence = f"{sample.pair.image} is converted, but too large for a picture of it; leave --overlay out."
            lacking.append(sentence)
        kept = {name: entry for name, entry in entries.items() if entry}
        return Written(self.files(result.stem), kept, lacking, drawn)

    @stage("encode")
    def close(self, journal: Journal) -> list[Path]:
        """Write the files of the whole run from its journal; return the files and folders written.

        They are there already if the journal keeps no entries any more. The journal is told of images that a format
        could not take after all.
        """
        refused: list[tuple[int, str]] = []
        for name, writer in self._writers.items() if journal.keeps_entries else ():
            for number, entry in journal.entries(name):
                refused += [(number, sentence) for sentence in _append(writer, entry)]
            writer.close()
            for path in writer.paths:
                if not path.suffix:  # a folder, empty where a format could not hold any image
                    with output_errors(path):
                        path.mkdir(parents=True, exist_ok=True)
        if journal.keeps_entries:
            journal.lack(refused, failed=len(self._writers) == 1)
        return self.paths

    @property
    def untouched(self) -> bool:
        """Whether nothing is there of what is written."""
        return not any(map(_is_filled, self.paths))

    def abort(self) -> None:
        """Take back what is not finished."""
        for writer in self._writers.values():
            writer.abort()


def _write(writer: Writer, result: ImageResult) -> str | SisegError:
    """Return the entry of an image, or why the format cannot hold it."""
    try:
        entry = writer.write(result)
        entry.encode("utf-8")
    except StorageError:
        raise
    except SisegError as error:
        return error
    except UnicodeEncodeError:
        sentence = f"{result.image} has a name that is no UTF-8; rename it."
        return OutputError(sentence.encode("utf-8", "backslashreplace").decode("utf-8"))
    return entry


def _append(writer: Writer, entry: str) -> list[str]:
    """Append an entry, or tell why the file cannot hold it."""
    try:
        writer.append(entry)
    except StorageError:
        raise
    except OutputError as error:
        return [str(error)]
    return []


def _refuse_filled(targets: Sequence[Path]) -> None:
    for target in targets:
        if _is_filled(target):
            raise OutputError(f"{target} exists already; choose another folder with --out, or pass --overwrite.")


def _is_filled(path: Path) -> bool:
    return path.is_file() or any(inside.is_file() for inside in path.rglob("*"))
