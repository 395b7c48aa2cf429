"""Names of images in several files, kept on disk."""

import sqlite3
import tracemalloc
from pathlib import Path

import pytest

from sisegcli.errors import InputError, StorageError
from sisegcli.formats import names as module
from sisegcli.formats.names import names_beside

PATHS = [Path("x/instances.json"), Path("y/instances.json")]
ODD = ["a.png", "A.png", "a\0.png", "é.png", "é.png", "caf\udce9.png", "\ud800.png", "", "n" * 5000]


def test_a_name_is_in_one_file(tmp_path):
    with names_beside(tmp_path / "instances.json", PATHS) as names:
        for name in (*ODD, *ODD):  # an archive has several members of a name's image
            names.add(name, 0)
        names.add("b.png", 1)
        for name in ODD:
            with pytest.raises(InputError) as caught:
                names.add(name, 1)
            sentence = f"{name} is in {PATHS[0]} and in {PATHS[1]} too; join only outputs of different images."
            assert str(caught.value) == sentence
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_many_names_take_no_memory(tmp_path):
    tracemalloc.start()
    try:
        with names_beside(tmp_path / "instances.json", PATHS) as names:
            for number in range(20_000):
                names.add(f"a folder/{number:09}.png", number % 2)
        assert tracemalloc.get_traced_memory()[1] < 300_000  # a dictionary of them takes 3 MB
    finally:
        tracemalloc.stop()


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(place, **options):
        connection = sqlite3.connect(place, **options)
        connection.execute("PRAGMA max_page_count = 3")
        return connection

    monkeypatch.setattr(module, "sqlite3", type("Full", (), {"connect": full, "Error": sqlite3.Error}))
    with (
        pytest.raises(StorageError, match=r"instances.json cannot be written \(database or disk is full\); choose"),
        names_beside(tmp_path / "instances.json", PATHS) as names,
    ):
        for number in range(5000):
            names.add(f"{number:0100}", 0)
    assert not list(tmp_path.iterdir())
