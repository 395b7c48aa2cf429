"""An SQLite file that one process holds at a time, with errors as sentences.

SQLite itself is the lock, and the system frees it with the process, however that ends. There is no shared memory beside
the file, so network file systems that lock files will do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sisegcli.errors import OutputError, StorageError

_REASONS = {
    "database or disk is full": "No space left on device",
    "attempt to write a readonly database": "Read-only file system",
}


class DamagedError(OutputError):
    """The file is not one that this version can read."""


class Database:
    """An SQLite file with a write-ahead log, locked for this process until it is closed.

    Parameters
    ----------
    path : Path
        The file; it is made where it is missing.
    schema : int
        Number of the form that its tables have; a new file has no tables.

    Raises
    ------
    DamagedError
        If the file is a link or something else, or has tables of another form.
    OutputError
        If another process holds the file.
    StorageError
        If it cannot be written.
    """

    def __init__(self, path: Path, schema: int) -> None:
        self.path, self.schema = path, schema
        if any(file.is_symlink() for file in files_of(path)):  # SQLite would write to what it leads to
            raise DamagedError(f"{path} is a link; remove it, or start a new run with --overwrite.")
        with self.errors():
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with self.errors():
                self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("BEGIN IMMEDIATE")
                version = self.number("PRAGMA user_version")
                tables = self.number("SELECT count(*) FROM sqlite_master")
                self._connection.execute("COMMIT")
            if version == 0 and tables:  # it would lose them
                raise DamagedError(f"{path} is no journal of sisegcli; start a new run with --overwrite.")
            if version not in (0, schema):
                raise DamagedError(f"{path} is from another version of sisegcli; start a new run with --overwrite.")
        except BaseException:
            self._connection.close()
            raise
        self.new = version == 0
        self.changing = False

    def begin(self, *, durable: bool = False) -> None:
        """Begin a change; one that is `durable` survives a loss of power, together with all before it."""
        with self.errors():
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
        self.changing = True

    def commit(self) -> None:
        """End a change; it survives the end of the process from here on."""
        with self.errors():
            self._connection.execute("COMMIT")
        self.changing = False

    @contextmanager
    def change(self, *, durable: bool = False) -> Iterator[None]:
        """Make a change, or none if there is an error inside."""
        self.begin(durable=durable)
        try:
            yield
            self.commit()
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """Take back a change that is not committed."""
        if self.changing:
            self.changing = False
            with suppress(sqlite3.Error):  # SQLite took it back itself
                self._connection.execute("ROLLBACK")

    def start(self, statements: str) -> None:
        """Remove all tables, and make new ones; inside a change."""
        there = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view')"
        for kind, name in list(self.rows(there)):
            self.execute(f'DROP {kind} "{name}"')
        for statement in statements.split(";"):
            self.execute(statement)
        self.execute(f"PRAGMA user_version = {self.schema}")
        self.new = False

    def execute(self, statement: str, *values: Any) -> None:
        """Run a statement."""
        with self.errors():
            self._connection.execute(statement, values)

    def insert(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement once for every row."""
        with self.errors():
            self._connection.executemany(statement, rows)

    def rows(self, statement: str, *values: Any) -> Iterator[Any]:
        """Yield what a statement finds."""
        with self.errors():
            yield from self._connection.execute(statement, values)

    def number(self, statement: str, *values: Any) -> int:
        """Return the one number that a statement finds."""
        [(found,)] = self.rows(statement, *values)
        return int(found)

    def get(self, name: str) -> str:
        """Return a value of the table ``run``."""
        for (value,) in self.rows("SELECT value FROM run WHERE name = ?", name):
            return str(value)
        raise self.damaged()

    def set(self, values: Mapping[str, str]) -> None:
        """Set values of the table ``run``."""
        self.insert("INSERT OR REPLACE INTO run VALUES (?, ?)", list(values.items()))

    def close(self, *, remove: bool = False) -> None:
        """Free the file for others."""
        self.undo()
        if remove:
            for file in files_of(self.path):  # before others can open it
                file.unlink(missing_ok=True)
        with suppress(sqlite3.Error):  # what is in the log stays there
            self._connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                folder = self.path.parent.parent
                sentence = f"{folder} is being written by another run; wait for its end, or choose another --out."
                raise OutputError(sentence) from error
            if any(word in str(error) for word in ("no such", "cannot join", "malformed")):  # tables and columns
                raise self.damaged() from error
            reason = _REASONS.get(str(error), str(error))
            sentence = f"{self.path} cannot be written ({reason}); choose another folder with --out."
            raise StorageError(sentence, reason) from error
        except sqlite3.DatabaseError as error:
            raise self.damaged() from error

    def damaged(self) -> DamagedError:
        """Return the error for contents that are not as they were written."""
        return DamagedError(f"{self.path} is damaged; start a new run with --overwrite.")


def files_of(path: Path) -> tuple[Path, Path]:
    """Return the log of a database, and itself."""
    return path.with_name(f"{path.name}-wal"), path


def text(string: str) -> str | bytes:
    """Return what SQLite takes: names that are no UTF-8 as they are on disk."""
    try:
        string.encode("utf-8")
    except UnicodeEncodeError:
        return string.encode("utf-8", "surrogateescape")
    return string


def untext(stored: str | bytes) -> str:
    r"""Return the string again.

    >>> untext(text("caf\udce9"))
    'caf\udce9'
    """
    return stored.decode("utf-8", "surrogateescape") if isinstance(stored, bytes) else stored
