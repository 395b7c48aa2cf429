"""Names that were met, kept on disk, so that joining takes no more memory for many images than for few."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sisegcli.errors import InputError, StorageError
from sisegcli.formats.files import temporary_name


class Names:
    """Which of several files each image is in; make it with `names_beside`."""

    def __init__(self, connection: sqlite3.Connection, paths: Sequence[Path]) -> None:
        self._connection, self._paths = connection, paths

    def add(self, name: str, number: int) -> None:
        """Note that an image is in a file, by its place in the list; it may be there more than once.

        Raises
        ------
        InputError
            If it is in another one, too.
        """
        row = (name.encode("utf-8", "surrogatepass"), number)
        if self._connection.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", row).rowcount:
            return
        [(first,)] = self._connection.execute("SELECT number FROM names WHERE name = ?", row[:1])
        if first != number:
            raise InputError(
                f"{name} is in {self._paths[first]} and in {self._paths[number]} too; join only outputs of different "
                "images."
            )


@contextmanager
def names_beside(target: Path, paths: Sequence[Path]) -> Iterator[Names]:
    """Yield the names in `paths`, of which none is known yet, in a file beside `target` that is removed at the end.

    Raises
    ------
    StorageError
        If that file cannot be written.
    """
    place = temporary_name(target.with_name(f"{target.name}.names"))
    try:
        # It is never read again, so it needs neither a journal nor a synchronisation.
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("CREATE TABLE names (name BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID")
            connection.execute("BEGIN")
            yield Names(connection, paths)
    except sqlite3.Error as error:
        sentence = f"{target} cannot be written ({error}); choose another folder with --out."
        raise StorageError(sentence, str(error)) from error
    finally:
        place.unlink(missing_ok=True)
