"""The journal of a run: what became of every image, kept in the output folder so that a killed run can be resumed.

One SQLite file, ``OUT/.sisegcli/journal.sqlite``. It is the first thing that a run makes and the last that it writes
to, and has a row for every image that is done or failed. Formats with one file for the whole run keep their entries in
it, and write that file from them at the end. It is also the lock: SQLite holds it for one process, and the system frees
it with the process, however that ends.

The write-ahead log takes a batch of images in one go. What is in it survives the end of the process at once, and a loss
of power from the next synchronisation on, which comes every few seconds; older rows are never lost by that.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sisegcli.errors import OutputError, StorageError
from sisegcli.formats.files import output_errors
from sisegcli.running.database import DamagedError, Database, files_of, text, untext
from sisegcli.running.packing import pack, unpack
from sisegcli.running.rows import DONE, FAILED, ODD, Row

FOLDER = ".sisegcli"
"""Where a run keeps what is no output, in the output folder."""

SCHEMA = 1
"""Raised whenever older versions could not read the journal, or this one could not read theirs."""

COMMIT_SECONDS = 0.1
"""Finished batches wait for others this long: what is done again, at most, beside what was under way."""

SYNC_SECONDS = 5.0
"""Time between two synchronisations with the disk: what a loss of power costs, at most."""

_TABLES = """
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE stems (number INTEGER PRIMARY KEY, stem);
CREATE TABLE results (
    number INTEGER PRIMARY KEY, state TEXT, reason TEXT, attempts INTEGER, seconds REAL, bytes INTEGER,
    instances TEXT, removed INTEGER, removed_pixels INTEGER
);
CREATE TABLE lacking (number INTEGER, sentence);
CREATE VIEW images AS
    SELECT number, stem, coalesce(state, 'waiting') AS state, reason, coalesce(attempts, 0) AS attempts, seconds,
        bytes, instances, removed, removed_pixels
    FROM stems LEFT JOIN results USING (number);
"""

_RESULT = """
INSERT OR REPLACE INTO results
SELECT number, state, reason, coalesce((SELECT attempts FROM results WHERE number = found.number), 0) + 1, seconds,
    bytes, instances, removed, removed_pixels
FROM (SELECT ? AS number, ? AS state, ? AS reason, ? AS seconds, ? AS bytes, ? AS instances, ? AS removed,
    ? AS removed_pixels) AS found
"""


class Journal:
    """The journal in an output folder, locked for this process until it is closed.

    Parameters
    ----------
    out : Path
        The output folder; it is made where it is missing.
    overwrite : bool
        Replace a file that is damaged or from another version.

    Raises
    ------
    OutputError
        If another process holds it, it cannot be written, or it is no journal of this version.
    """

    def __init__(self, out: Path, *, overwrite: bool = False) -> None:
        self.out, self.path = out, out / FOLDER / "journal.sqlite"
        self._made_out = not out.exists()
        self._committed, self._synced, self._keeps, self._closed = 0.0, time.monotonic(), True, False
        try:
            while True:
                with output_errors(out):
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                if self.path.parent.is_symlink():
                    raise OutputError(f"{self.path.parent} is a link; remove it, or choose another --out.")
                try:
                    self._file = Database(self.path, SCHEMA)
                    self._check()
                except DamagedError:
                    if not overwrite:
                        raise
                    for file in files_of(self.path):
                        file.unlink(missing_ok=True)
                    continue
                if self.path.exists():
                    return
                self._file.close()  # the process that held it before has just removed it
        except BaseException:
            self._remove_folders()
            raise

    def _check(self) -> None:
        """Refuse a journal with values that none has."""
        if self._file.new:
            return
        try:
            sound = isinstance(json.loads(self._file.get("settings")), dict) and not self._file.number(ODD)
            if not sound or self._file.get("state") not in ("running", "ended"):
                raise self._file.damaged()
        except (RecursionError, ValueError) as error:
            self._file.close()
            raise self._file.damaged() from error
        except BaseException:
            self._file.close()
            raise

    # -- beginning and ending -----------------------------------------------------------------------------------------

    @property
    def begun(self) -> bool:
        """Whether there is a run in it."""
        return not self._file.new

    @property
    def done(self) -> int:
        """How many images are done."""
        return 0 if self._file.new else self._file.number("SELECT count(*) FROM results WHERE state = ?", DONE)

    @property
    def left(self) -> int:
        """How many images are not done."""
        return 0 if self._file.new else self._file.number("SELECT count(*) FROM stems") - self.done

    @property
    def ended(self) -> bool:
        """Whether the run in it came to its end, by itself or by Ctrl-C, and wrote its outputs."""
        return not self._file.new and self._file.get("state") == "ended"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run in it."""
        found: dict[str, Any] = json.loads(self._file.get("settings"))
        return found

    @property
    def keeps_entries(self) -> bool:
        """Whether it still has the entries of the images; not after a run of which no image is left."""
        return self._file.number("SELECT count(*) FROM run WHERE name = 'entries'") > 0

    def begin(self, settings: Mapping[str, Any], stems: Iterable[str], formats: Sequence[str]) -> None:
        """Forget what is there, and begin a run.

        Parameters
        ----------
        settings : mapping
            What makes a difference to the outputs, as plain data.
        stems : iterable of str
            The images, in order.
        formats : sequence of str
            Names of formats that keep entries here.
        """
        entries = (f'CREATE TABLE "entries_{name}" (number INTEGER PRIMARY KEY, entry BLOB)' for name in formats)
        with self._file.change():
            self._file.start(";".join([_TABLES, *entries]))
            self._file.insert("INSERT INTO stems VALUES (?, ?)", enumerate(map(text, stems)))
            self._file.set({"settings": json.dumps(settings), "state": "running", "entries": "kept"})
        self._keeps = True

    def resume(self) -> None:
        """Go on with the run that is there."""
        self._keeps = self.keeps_entries
        self._file.set({"state": "running"})

    def end(self) -> None:
        """Note that all outputs are written; entries are forgotten if no image is left."""
        self.commit()
        with self._file.change(durable=True):
            self._file.set({"state": "ended"})
        if self.left:
            return
        with suppress(StorageError):  # then they stay
            entries = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'entries%'"
            with self._file.change():
                self._file.execute("DELETE FROM run WHERE name = 'entries'")
                for (name,) in list(self._file.rows(entries)):
                    self._file.execute(f'DROP TABLE "{name}"')
            self._file.execute("VACUUM")

    def close(self, *, remove: bool = False) -> None:
        """Free the file for others; remove it if no run was begun, or if that is asked for and no image is done.

        A second call does nothing.
        """
        if self._closed:
            return
        self._closed = True
        self.save()
        with suppress(OutputError):
            remove = self.done == 0 and (remove or not self.begun)
        self._file.close(remove=remove)
        self._remove_folders()

    def _remove_folders(self) -> None:
        with suppress(OSError):  # not empty, or not there
            self.path.parent.rmdir()
            if self._made_out:
                self.out.rmdir()

    # -- images -------------------------------------------------------------------------------------------------------

    def record(self, rows: Sequence[Row]) -> None:
        """Take what became of images, all or none of them."""
        if not self._file.changing:
            due = time.monotonic() - self._synced >= SYNC_SECONDS
            self._file.begin(durable=due)
            self._synced = time.monotonic() if due else self._synced
        try:
            for row in rows:
                self._insert(row)
        except BaseException:
            self._file.undo()  # half a row must never be committed
            raise
        if time.monotonic() - self._committed >= COMMIT_SECONDS:
            self.commit()

    def _insert(self, row: Row) -> None:
        self._file.execute(_RESULT, *row.kept())
        for name, entry in row.entries.items() if self._keeps else ():
            self._file.execute(f'INSERT OR REPLACE INTO "entries_{name}" VALUES (?, ?)', row.number, pack(entry))

    def commit(self) -> None:
        """Make safe what was taken."""
        if self._file.changing:
            self._file.commit()
            self._committed = time.monotonic()

    def save(self) -> None:
        """Make safe what was taken, or forget it where that is no longer possible."""
        with suppress(OutputError):
            self.commit()
        self._file.undo()

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget that images are done."""
        with self._file.change():
            self._file.insert("DELETE FROM results WHERE number = ?", ((number,) for number in numbers))

    def stems(self) -> list[str]:
        """Return the images of the run, in order."""
        return [untext(stem) for (stem,) in self._file.rows("SELECT stem FROM stems ORDER BY number")]

    def finished(self) -> Iterator[Row]:
        """Yield the images that are done, in order, without their entries."""
        columns = "number, state, reason, seconds, bytes, instances, removed, removed_pixels"
        for row in self._file.rows(f"SELECT {columns} FROM results WHERE state = 'done' ORDER BY number"):
            try:
                found = Row.of(*row)
            except (AttributeError, RecursionError, TypeError, ValueError) as error:
                raise self._file.damaged() from error
            yield found

    def failed(self) -> list[tuple[int, str]]:
        """Return the numbers of the images that failed, in order, with the reason."""
        found = "SELECT number, reason FROM results WHERE state = ? ORDER BY number"
        return [(number, untext(reason)) for number, reason in self._file.rows(found, FAILED)]

    def lacks(self) -> list[tuple[int, str]]:
        """Return what is missing of images that are done: numbers, in order, with a sentence each."""
        found = """
            SELECT number, reason FROM results WHERE state = ? AND reason IS NOT NULL
            UNION ALL SELECT number, sentence FROM lacking JOIN results USING (number) WHERE state = ?
            ORDER BY number
        """
        rows = list(self._file.rows(found, DONE, DONE))
        return [(number, sentence) for number, reason in rows for sentence in untext(reason).split("\n")]

    def lack(self, refused: Sequence[tuple[int, str]], *, failed: bool) -> None:
        """Note which images a file of the whole run does not hold, and why; `failed` if nothing else holds them."""
        rows = [(number, text(sentence)) for number, sentence in refused]
        with self._file.change():
            self._file.execute("DELETE FROM lacking")
            if failed:
                found = "UPDATE results SET state = ?, reason = ? WHERE number = ?"
                self._file.insert(found, ((FAILED, sentence, number) for number, sentence in rows))
            else:
                self._file.insert("INSERT INTO lacking VALUES (?, ?)", rows)

    def waiting(self) -> list[int]:
        """Return the numbers of the images of which nothing is known, in order."""
        found = "SELECT number FROM stems WHERE number NOT IN (SELECT number FROM results) ORDER BY number"
        return [number for (number,) in self._file.rows(found)]

    def entries(self, name: str) -> Iterator[tuple[int, str]]:
        """Yield the entries of a format with the numbers of their images, in order."""
        found = (
            f'SELECT number, entry FROM "entries_{name}" JOIN results USING (number) WHERE state = ? ORDER BY number'
        )
        for number, entry in self._file.rows(found, DONE):
            try:
                whole = unpack(entry)
            except (TypeError, UnicodeError, zlib.error) as error:
                raise self._file.damaged() from error
            yield number, whole
