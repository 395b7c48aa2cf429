"""Shards: the pairs of a folder dealt to several runs that know nothing of each other, and joined again by `merge`.

A shard is a block of the sorted pairs, so the outputs of all shards, one after the other, are the output of one run.
Each shard leaves a record, `shard.json`, when it is done: by it `merge` knows what is missing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisegcli import __version__
from sisegcli.data.layouts import Layout, Problem
from sisegcli.data.texts import parse_json, read_text
from sisegcli.errors import InputError, OptionError
from sisegcli.formats.files import refuse_existing, replacing

if TYPE_CHECKING:
    from sisegcli.running.options import ConvertOptions
    from sisegcli.running.summary import Summary

RECORD = "shard.json"
"""Name of a shard's record in its output folder."""

_NO_SETTINGS = {
    *("root", "images", "masks", "out", "overwrite", "resume", "workers", "timeout", "device", "shard", "engine"),
    *("ray_address", "processes", "profile"),
}
"""Options that may differ from shard to shard, and when a run is resumed."""

_FIELDS = {"shard": str, "pairs": str, "settings": dict, "converted": int, "interrupted": bool}
"""What a record says besides problems."""


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of several parts of the work.

    Attributes
    ----------
    number : int
        Which part, from 1.
    of : int
        How many parts there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``.

        >>> Shard.parse("2/7")
        Shard(number=2, of=7)

        Raises
        ------
        OptionError
            If the text is something else, or I is not from 1 to N.
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise OptionError(f"--shard {text} is no I/N with I from 1 to N; the parts of three are 1/3, 2/3 and 3/3.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def block(self, total: int, unit: int = 1) -> slice:
        """Return which of `total` items this shard has: blocks of whole units, as even as can be.

        >>> [list(range(7)[Shard(number, 3).block(7)]) for number in (1, 2, 3)]
        [[0, 1], [2, 3], [4, 5, 6]]
        >>> [list(range(7)[Shard(number, 3).block(7, unit=4)]) for number in (1, 2, 3)]
        [[], [0, 1, 2, 3], [4, 5, 6]]
        """
        units = -(-total // unit)
        first, end = ((number * units // self.of) * unit for number in (self.number - 1, self.number))
        return slice(first, min(end, total))


def shared_settings(options: ConvertOptions) -> dict[str, Any]:
    """Return the version, and the options that have to be the same in all shards, as plain data."""
    settings = {name: value for name, value in asdict(options).items() if name not in _NO_SETTINGS}
    plain: dict[str, Any] = json.loads(json.dumps({"version": __version__, **settings}, default=str))
    return plain


def take_part(layout: Layout, shard: Shard, unit: int) -> Layout:
    """Return a shard's part of a layout.

    Parameters
    ----------
    layout : Layout
        All pairs.
    shard : Shard
        Which part; it may have no pairs. What could not be paired is told by the first shard alone.
    unit : int
        Pairs that stay together: those that a network sees at once, so that it computes what it would in one run.
    """
    pairs = layout.pairs[shard.block(len(layout.pairs), unit)]
    description = f"{layout.description} Shard {shard}: {len(pairs)} of them."
    return replace(layout, pairs=pairs, description=description, problems=layout.problems if shard.number == 1 else [])


@dataclass(frozen=True)
class ShardRecord:
    """What a shard leaves for `merge` when it is done.

    Attributes
    ----------
    shard : Shard
        Which part it is.
    pairs : str
        Digest of the stems of all pairs, of which this is a part.
    settings : dict
        The options that make a difference to the results, and the version.
    converted : int
        Images in its outputs.
    interrupted : bool
        Whether the run was stopped before its end.
    problems : list of Problem
        What could not be done.
    """

    shard: Shard
    pairs: str
    settings: dict[str, Any]
    converted: int = 0
    interrupted: bool = False
    problems: tuple[Problem, ...] = ()

    @classmethod
    def begin(cls, shard: Shard, layout: Layout, options: ConvertOptions) -> ShardRecord:
        """Start a record before any work; that of an earlier run is refused, or removed where it may be overwritten.

        Raises
        ------
        OutputError
            If there is a record already and it may not be overwritten.
        """
        path = options.output / RECORD
        refuse_existing(path, overwrite=options.overwrite or options.resume)
        if not options.resume:
            path.unlink(missing_ok=True)
        return cls(shard, _digest(pair.stem for pair in layout.pairs), shared_settings(options))

    def finish(self, summary: Summary, out: Path) -> None:
        """Write the record into the output folder; the last thing that a shard does.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        content = {
            "shard": str(self.shard),
            "pairs": self.pairs,
            "settings": self.settings,
            "converted": summary.converted,
            "interrupted": summary.interrupted,
            "problems": [{"path": str(problem.path), "sentence": problem.sentence} for problem in summary.problems],
        }
        with replacing(out / RECORD) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_record(folder: Path) -> ShardRecord | None:
    """Read the record that a shard left in its output folder; None where there is none.

    Raises
    ------
    InputError
        If it cannot be read or is something else.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        content = parse_json(read_text(path))
        shard, pairs, settings, converted, interrupted = (content[name] for name in _FIELDS)
        if not all(isinstance(content[name], kind) for name, kind in _FIELDS.items()) or converted < 0:
            raise ValueError("it has values of another kind")
        problems = [(problem["path"], problem["sentence"]) for problem in content["problems"]]
        if not all(isinstance(text, str) for problem in problems for text in problem):
            raise ValueError("it has problems that are no texts")
        listed = tuple(Problem(Path(place), sentence) for place, sentence in problems)
        return ShardRecord(Shard.parse(shard), pairs, settings, converted, interrupted, listed)
    except (OSError, ValueError, KeyError, TypeError, OptionError) as error:
        raise InputError(f"{path} is no record of a shard; convert that shard again.") from error


def _digest(stems: Iterable[str]) -> str:
    found = hashlib.sha256()
    for stem in stems:
        found.update(stem.encode("utf-8", "surrogateescape") + b"\0")
    return found.hexdigest()
