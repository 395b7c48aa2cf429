"""Joining the outputs of shards (or of any runs on different images) into the outputs of one run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sisegcli.data.layouts import Problem
from sisegcli.errors import InputError, OutputError
from sisegcli.formats import FORMATS, joiner
from sisegcli.formats.files import hidden_folder, output_errors, refuse_existing, refuse_links
from sisegcli.formats.joining import join_folders
from sisegcli.formats.own_files import foreign
from sisegcli.running.shards import RECORD, Shard, ShardRecord, read_record

_OUTPUTS = [name for known in FORMATS.values() for name in known.outputs]
FILES = [name for name in _OUTPUTS if Path(name).suffix]
FOLDERS = [*(name for name in _OUTPUTS if not Path(name).suffix), "overlay"]
_SHOWN = 10
"""Missing shards named in full."""


@dataclass(frozen=True)
class MergeSummary:
    """What came of joining.

    Attributes
    ----------
    folders : int
        How many outputs were joined.
    images : int
        Images in the joined outputs.
    outputs : list of Path
        Files and folders written.
    problems : list of Problem
        What the shards could not do, and shards that are missing where that was allowed.
    """

    folders: int
    images: int
    outputs: list[Path]
    problems: list[Problem]

    @property
    def exit_code(self) -> int:
        """0 if all went well, 1 if there were problems."""
        return 1 if self.problems else 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "folders": self.folders,
            "images": self.images,
            "outputs": [str(path) for path in self.outputs],
            "problems": [{"path": str(problem.path), "sentence": problem.sentence} for problem in self.problems],
        }


def merge(
    folders: Sequence[Path],
    out: Path,
    *,
    partial: bool = False,
    overwrite: bool = False,
    detailed: Callable[[str], None] = lambda sentence: None,
) -> MergeSummary:
    """Join the outputs of several runs.

    Shards are put in their order, whatever order they are given in, and the result is that of a run on all pairs, byte
    for byte. Outputs that are no shards are joined in the order given.

    Parameters
    ----------
    folders : sequence of Path
        Output folders of `convert`.
    out : Path
        The folder to write into.
    partial : bool
        Join although shards are missing or were interrupted, and list those as problems.
    overwrite : bool
        Whether outputs that exist already may be replaced.
    detailed : callable
        Hears what is joined, a sentence each.

    Raises
    ------
    InputError
        If folders are missing, are no outputs, clash, are parts of different wholes, or shards are missing.
    OutputError
        If an output exists already or cannot be written.
    """
    records = _read(folders, out)
    problems: list[Problem] = []
    if records is not None:
        shards = sorted(zip(folders, records, strict=True), key=lambda shard: shard[1].shard)
        folders, records = [folder for folder, _ in shards], [record for _, record in shards]
        problems = _check(folders, records, out, partial=partial)
        for folder, record in zip(folders, records, strict=True):
            detailed(
                f"{folder}: shard {record.shard}, images: {record.converted:,}, problems: {len(record.problems):,}"
            )
        folders = [folder for folder, record in zip(folders, records, strict=True) if record.converted]
        problems += dict.fromkeys(problem for record in records for problem in record.problems)
    kinds = _kinds(folders)
    detailed(f"Joined one by one: {', '.join(kinds)}.")
    targets = list(dict.fromkeys(out / Path(name).parts[0] for name in kinds))
    refuse_existing(*(out / name for name in kinds if name in FILES), overwrite=overwrite)
    for target in targets:
        if not overwrite and target.is_dir() and next(target.iterdir(), None):
            raise OutputError(f"{target} exists already; choose another folder with --out, or pass --overwrite.")
    refuse_links(out, targets)
    images = _join(folders, kinds, out, disjoint=records is not None)
    return MergeSummary(len(folders), images, targets, problems)


def _read(folders: Sequence[Path], out: Path) -> list[ShardRecord] | None:
    """Read the records of shards; None where the folders are no shards."""
    seen: set[Path] = set()
    records = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; give the output folders of sisegcli convert.")
        if folder.resolve() in seen:
            raise InputError(f"{folder} is given twice; name each output once.")
        if folder.resolve() == out.resolve():
            raise OutputError(f"{out} is one of the folders to join; choose another --out.")
        seen.add(folder.resolve())
        records.append(read_record(folder))
    found = [record for record in records if record is not None]
    if found and len(found) < len(records):
        lacking = folders[records.index(None)]
        raise InputError(f"{lacking} has no {RECORD}, so it is no finished shard; convert that shard again.")
    return found or None


def _check(folders: Sequence[Path], records: Sequence[ShardRecord], out: Path, *, partial: bool) -> list[Problem]:
    """Refuse shards that are not of one whole; return those that are missing, where that is allowed."""
    first = records[0]
    for number, (folder, record) in enumerate(zip(folders, records, strict=True)):
        if record.pairs != first.pairs or record.shard.of != first.shard.of:
            raise InputError(f"{folder} and {folders[0]} are not shards of the same images; join those of one run.")
        if differing := _differing(record.settings, first.settings):
            raise InputError(
                f"{folder} and {folders[0]} were converted with different settings ({', '.join(differing)}); convert "
                "one of them again."
            )
        if number and record.shard == records[number - 1].shard:
            raise InputError(f"{folder} and {folders[number - 1]} are both shard {record.shard}; leave one out.")
    there = {record.shard.number for record in records if not record.interrupted}
    lacking = [str(Shard(number, first.shard.of)) for number in range(1, first.shard.of + 1) if number not in there]
    if not lacking:
        return []
    more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    sentence = f"Shards {', '.join(lacking[:_SHOWN])}{more} are missing or were interrupted"
    if not partial:
        raise InputError(f"{sentence}; convert them, or pass --partial to join what is there.")
    return [Problem(out, f"{sentence}, so their images are not in {out}.")]


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _kinds(folders: Sequence[Path]) -> list[str]:
    """Return the names of the outputs that all folders have; those of some alone are refused."""
    kinds = [name for name in (*FILES, *FOLDERS) if any((folder / name).exists() for folder in folders)]
    if not kinds:
        raise InputError("There is nothing to join: no folder holds an output of sisegcli convert.")
    for folder in folders:
        for name in kinds:
            if not (folder / name).exists():
                raise InputError(f"{folder} has no {name}, but others have; convert all with the same --to.")
            if not ((folder / name).is_file() if name in FILES else (folder / name).is_dir()):
                raise foreign(folder / name)
    return kinds


def _join(folders: Sequence[Path], kinds: Sequence[str], out: Path, *, disjoint: bool) -> int:
    """Join into a hidden folder inside `out`, from which finished outputs move to their places."""
    made = not out.exists()
    try:
        with hidden_folder(out / "merge") as staging:
            counts = []
            for name in kinds:
                parts = [folder / name for folder in folders]
                join = join_folders if name == "overlay" else joiner(name)
                counts.append(join(parts, staging / name, disjoint=disjoint))
            for name in kinds:
                with output_errors(out / name):
                    (out / name).parent.mkdir(parents=True, exist_ok=True)
                    _move(staging / name, out / name)
            return max(counts)
    finally:
        if made:
            with suppress(OSError):  # not empty, as it should be
                out.rmdir()


def _move(source: Path, target: Path) -> None:
    """Move a file or a folder; into a folder that exists, file by file."""
    if not target.is_dir():
        source.replace(target)
        return
    for place, _, names in os.walk(source):
        folder = target / Path(place).relative_to(source)
        folder.mkdir(exist_ok=True)
        for name in names:
            Path(place, name).replace(folder / name)
