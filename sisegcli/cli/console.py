"""What the commands show: a progress bar on a terminal and few lines elsewhere, tables, problems, JSON.

Progress and problems go to stderr, results to stdout, so that ``--json`` can be piped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import rich.console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn, track
from rich.table import Table
from rich.text import Text

from sisegcli.cli.printable import printable
from sisegcli.data.layouts import Layout, Problem
from sisegcli.running.listener import Listener
from sisegcli.running.merge import MergeSummary
from sisegcli.running.summary import Summary

if TYPE_CHECKING:
    from sisegcli.report import ReportSummary

T = TypeVar("T")

SHOWN_PROBLEMS = 20
"""Problems listed in full; the rest are counted."""

LINE_SECONDS = 15.0
"""Time between two lines of progress where there is no terminal."""


class Console:
    """Prints for people, or JSON for programs.

    Parameters
    ----------
    as_json : bool
        Print JSON alone on stdout, and no words about problems, which are in it.
    verbose : bool
        Print details, too, and all problems; with `as_json` on stderr.
    quiet : bool
        Print nothing but problems and JSON.
    """

    def __init__(self, as_json: bool = False, *, verbose: bool = False, quiet: bool = False) -> None:
        self.as_json, self.verbose, self.quiet = as_json, verbose, quiet
        self.out = rich.console.Console(highlight=False)
        self.err = rich.console.Console(stderr=True, highlight=False)

    def say(self, sentence: str) -> None:
        """Print a sentence that is no result to stderr."""
        if not self.quiet:
            self.warn(sentence)

    def detail(self, sentence: str) -> None:
        """Print a sentence to stderr for whoever wants to know all."""
        if self.verbose:
            self.warn(sentence)

    def warn(self, sentence: str) -> None:
        """Print a sentence about a problem to stderr; JSON has them itself."""
        if not self.as_json or self.verbose:
            self.err.print(printable(sentence), markup=False, soft_wrap=True)

    def tell(self, sentence: str) -> None:
        """Print a sentence that is a result to stdout."""
        if not self.quiet:
            self.out.print(printable(sentence), markup=False, soft_wrap=True)

    @property
    def has_bars(self) -> bool:
        """Whether progress is shown by bars."""
        return self.err.is_terminal and not self.quiet

    def print_json(self, data: Any) -> None:
        """Print data as JSON to stdout."""
        self.out.out(json.dumps(data, indent=2, ensure_ascii=False), highlight=False)

    def watch(self, items: Sequence[T], what: str) -> Iterator[T]:
        """Yield items: with a bar on a terminal, elsewhere with a line now and then."""
        if self.has_bars:
            yield from track(items, what, console=self.err, transient=True)
            return
        said = time.monotonic()
        for number, item in enumerate(items):
            now = time.monotonic()
            if now - said >= LINE_SECONDS:
                said = now
                self.say(f"{what}: {number:,} of {len(items):,}")
            yield item

    def show(self, summary: Summary) -> None:
        """Print what a conversion did."""
        if self.as_json:
            self.print_json(summary.to_json())
            return
        if summary.instances and not self.quiet:
            self.out.print(_categories(summary))
        if self.quiet and summary.interrupted:
            self.warn(_facts(summary)[0])
        for line in _facts(summary):
            self.tell(line)
        for line in _stages(summary):  # were asked for by name
            self.out.print(printable(line), markup=False, soft_wrap=True)
        for path in summary.outputs:
            self.tell(f"Written: {path}")
        self._list(summary.problems)

    def show_merged(self, summary: MergeSummary) -> None:
        """Print what came of joining."""
        if self.as_json:
            self.print_json(summary.to_json())
            return
        self.tell(f"{count(summary.folders, 'folder')} joined: {count(summary.images, 'image')}.")
        for path in summary.outputs:
            self.tell(f"Written: {path}")
        self._list(summary.problems)

    def show_report(self, summary: ReportSummary) -> None:
        """Print what a report holds."""
        if self.as_json:
            self.print_json(summary.to_json())
            return
        self.tell(
            f"{count(summary.images, 'image')} with {count(summary.instances, 'instance')}, layers "
            f"{', '.join(summary.layers)}: {summary.size / 1e6:.1f} MB."
        )
        for path in summary.outputs:
            self.tell(f"Written: {path}")
        self._list(summary.problems)

    def _list(self, problems: Sequence[Problem]) -> None:
        shown = len(problems) if self.verbose else SHOWN_PROBLEMS
        if problems:
            self.warn(f"{count(len(problems), 'problem')}:")
        for problem in problems[:shown]:
            self.warn(f"  {problem.sentence}")
        if len(problems) > shown:
            self.warn(f"  … and {len(problems) - shown} more; --verbose or --json lists them all.")


class _Speed(TextColumn):
    """Images per second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} images/s" if task.speed else "")


class ConvertProgress(Listener):
    """A bar with images per second on a terminal; elsewhere a line now and then."""

    def __init__(self, console: Console, what: str = "Converting") -> None:
        self._console = console
        self._bar = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            _Speed(),
            TimeRemainingColumn(),
            console=console.err,
            transient=True,
            disable=not console.has_bars,
        )
        self._task = self._bar.add_task("", total=None, start=False)
        self._total = self._done = self._before = 0
        self._start = self._said = time.monotonic()

    def __enter__(self) -> ConvertProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def found(self, layout: Layout, out: Path) -> None:
        """Say how the folder was understood, and start the bar."""
        self._console.say(layout.description)
        self._total = len(layout.pairs)
        self._bar.update(self._task, total=self._total)
        self._bar.start_task(self._task)
        self._bar.start()
        self._start = self._said = time.monotonic()

    def noticed(self, sentence: str) -> None:
        """Say it."""
        self._console.say(sentence)

    def detailed(self, sentence: str) -> None:
        """Say it to whoever wants to know all."""
        self._console.detail(sentence)

    def resumed(self, images: int) -> None:
        """Say how many images are done already."""
        self._before = images
        if images:
            self._console.say(f"Going on: {count(images, 'image')} of {self._total:,} are done.")
            self._bar.update(self._task, completed=images)

    def advanced(self, images: int) -> None:
        """Move the bar."""
        self._done += images
        self._bar.update(self._task, advance=images)
        now = time.monotonic()
        if self._bar.disable and now - self._said >= LINE_SECONDS:
            self._said = now
            speed = self._done / (now - self._start)
            self._console.say(f"{self._before + self._done} of {self._total} images, {speed:.1f} images/s")

    def tiled(self, done: int, count: int) -> None:
        """Say it now and then, as a large image takes a while."""
        now = time.monotonic()
        if now - self._said >= LINE_SECONDS:
            self._said = now
            self._console.say(f"{done:,} of {count:,} tiles of image {self._before + self._done + 1}")

    def stopping(self) -> None:
        """Say that an interrupt was heard."""
        self._console.say("Stopping after the images at hand; press Ctrl-C again to stop at once.")


def _categories(summary: Summary) -> Table:
    table = Table("category", box=None, header_style="bold", pad_edge=False)
    table.add_column("instances", justify="right")
    for name, count in summary.instances.most_common():
        table.add_row(Text(printable(name)), str(count))
    return table


def _facts(summary: Summary) -> list[str]:
    done = f"{count(summary.converted, 'image')} converted to {count(summary.instances.total(), 'instance')} "
    lines = [f"{done}in {summary.seconds:.1f} s ({summary.images_per_second:.1f} images/s)."]
    if summary.interrupted:
        done = f"Interrupted: {summary.converted} of {summary.found} images are done, and safe."
        lines.insert(0, f"{done} --resume does the rest.")
    elif summary.skipped:
        lines.append(f"{count(summary.skipped, 'image')} skipped.")
    if summary.resumed:
        lines.append(f"{count(summary.resumed, 'image')} of them had been converted before.")
    if summary.removed:
        what = f"{count(summary.removed, 'instance')} ({count(summary.removed_pixels, 'pixel')})"
        lines.append(f"{what} removed by --min-area or --min-score.")
    return lines


def _stages(summary: Summary) -> list[str]:
    lines = []
    total = sum(summary.stages.values())
    for name, seconds in summary.stages.items():
        share = seconds / total if total else 0.0
        lines.append(f"{name:<10} {seconds:8.2f} s {share:6.1%}")
    if total:
        lines.append(f"{'together':<10} {total:8.2f} s, in all threads, of {summary.seconds:.2f} s")
    return lines


def count(number: int, noun: str) -> str:
    """Count things in words.

    >>> count(1, "image"), count(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
