"""Taking up a run: begun anew, or gone on with where another one ended, whatever ended it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.data.layouts import Layout, Pair, Problem
from sisegcli.errors import OutputError, SisegError
from sisegcli.formats.files import SUFFIX, refuse_links, remove_unfinished
from sisegcli.running.fingerprint import check_same, fingerprint, match_stems
from sisegcli.running.journal import Journal
from sisegcli.running.options import ConvertOptions
from sisegcli.running.outputs import Outputs
from sisegcli.running.rows import FAILED, Row
from sisegcli.running.summary import Summary


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Attributes
    ----------
    pairs : list or dict of Pair
        All pairs of the run by their places, or at least those that are not done.
    numbers : sequence of int
        Places of those that are not done, in order.
    """

    pairs: list[Pair] | dict[int, Pair]
    numbers: range | list[int]


def take_up(
    journal: Journal,
    options: ConvertOptions,
    categories: Categories,
    layout: Layout,
    summary: Summary,
    told: Callable[[str], str],
    make_outputs: Callable[[bool], Outputs],
) -> tuple[Outputs, Work]:
    """Make the outputs of a run, begin its journal or go on with it, and count what is done.

    `told` names places as the user does; `make_outputs` hears whether outputs may be there already.

    Raises
    ------
    OutputError
        If outputs exist that may not be replaced, or the run in the folder is another one.
    """
    resumed = options.resume and journal.begun
    if resumed or not options.overwrite:
        _refuse_unfinished(journal, resumed)
    settings = fingerprint(options, categories, told)
    if not resumed:
        outputs = make_outputs(options.overwrite)
        _clean(outputs)
        journal.begin(settings, (pair.stem for pair in layout.pairs), list(dict.fromkeys(options.to)))
        return outputs, Work(layout.pairs, range(len(layout.pairs)))
    check_same(journal, settings)
    pairs = _known_pairs(journal, layout)
    outputs = make_outputs(True)
    if not journal.keeps_entries:
        _refuse_gone(outputs)
    _clean(outputs)
    journal.resume()
    done = _restore(journal, outputs, pairs, summary, categories)
    gone = {number for number, pair in enumerate(pairs) if pair.image == pair.mask} - done
    journal.record([Row(number, FAILED, _gone(pairs[number].stem)) for number in sorted(gone)])
    journal.commit()
    summary.found = len(pairs)
    return outputs, Work(pairs, [number for number in range(len(pairs)) if number not in done | gone])


def _refuse_unfinished(journal: Journal, resumed: bool) -> None:
    if journal.done and not journal.ended and not resumed:
        raise OutputError(
            f"{journal.out} holds a run that was not finished ({journal.done:,} images are done); go on with it by "
            "--resume, or replace it with --overwrite."
        )


def _known_pairs(journal: Journal, layout: Layout) -> list[Pair]:
    """Return the pairs of the run that is resumed; those that are gone since have no files."""
    places = match_stems(journal, [pair.stem for pair in layout.pairs])
    stems = journal.stems() if None in places else []
    pairs = []
    for number, place in enumerate(places):
        nowhere = Path(stems[number]) if place is None else Path()
        pairs.append(Pair(stems[number], nowhere, nowhere) if place is None else layout.pairs[place])
    return pairs


def _gone(stem: str) -> str:
    return f"{stem} was there when the run began, and is gone; put its image and mask back, and go on with --resume."


def _restore(
    journal: Journal, outputs: Outputs, pairs: list[Pair], summary: Summary, categories: Categories
) -> set[int]:
    """Count what is done and still there; what has lost its files is forgotten."""
    done, lost = set(), []
    for row in journal.finished():
        files = [path for path in outputs.files(pairs[row.number].stem) if path.exists()]
        if sum(path.stat().st_size for path in files) == row.bytes:
            summary.count(row, categories)
            done.add(row.number)
        else:
            lost.append(row.number)
    journal.forget(lost)
    summary.resumed = len(done)
    return done


def _refuse_gone(outputs: Outputs) -> None:
    for path in outputs.finished:
        if not path.exists():
            raise OutputError(f"{path} of a finished run is gone; start a new run with --overwrite.")


def _clean(outputs: Outputs) -> None:
    """Remove what a run that was killed left under temporary names; links that lead out are refused."""
    refuse_links(outputs.folder, (path for path in outputs.paths if not path.suffix))
    for path in outputs.paths:
        remove_unfinished(path)
        for unfinished in path.parent.glob(f".{path.name}.*{SUFFIX}"):
            unfinished.unlink(missing_ok=True)


def list_problems(journal: Journal, layout: Layout, work: Work, stopped: SisegError | None) -> list[Problem]:
    """Return all that went wrong: what is no pair, what failed, what the run did not come to, and missing pictures.

    `stopped` is what ended the run before its end.
    """
    problems = list(layout.problems)
    problems += [Problem(work.pairs[number].image, reason) for number, reason in journal.failed()]
    if stopped is not None:
        reason = getattr(stopped, "reason", str(stopped))
        problems.append(Problem(journal.out, str(stopped)))
        for image in (work.pairs[number].image for number in journal.waiting()):
            problems.append(Problem(image, f"{image} is not converted ({reason}); go on with --resume."))
    problems += [Problem(work.pairs[number].image, reason) for number, reason in journal.lacks()]
    return problems
