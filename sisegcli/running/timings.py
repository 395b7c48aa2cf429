"""How long the images of a run took, as its journal has it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sisegcli.running.database import untext
from sisegcli.running.journal import FOLDER, SCHEMA
from sisegcli.running.rows import DONE


def read_seconds(out: Path) -> dict[str, float]:
    """Return the seconds that the method took for each image of a finished run, by stem.

    Nothing is known where there is no journal, or one that is at work, damaged or from another version. The journal is
    only looked at: it is neither locked nor changed.
    """
    path = out / FOLDER / "journal.sqlite"
    if not path.is_file() or path.with_name(f"{path.name}-wal").exists():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as journal:
            if journal.execute("PRAGMA user_version").fetchone() != (SCHEMA,):
                return {}
            found = journal.execute("SELECT stem, seconds FROM images WHERE state = ?", (DONE,)).fetchall()
        return {untext(stem): float(seconds) for stem, seconds in found}
    except (sqlite3.Error, TypeError, ValueError):
        return {}
