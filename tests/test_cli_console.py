import io
import re
from pathlib import Path

import pytest
import rich.console

from sisegcli.cli import console as module
from sisegcli.cli.console import Console, ConvertProgress
from sisegcli.data.layouts import Layout, Pair, Problem
from sisegcli.running.summary import Summary

LAYOUT = Layout("flat", "Flat pairs: 2.", [Pair(stem, Path(f"{stem}.jpg"), Path(f"{stem}.png")) for stem in "ab"], [])


@pytest.fixture
def printed():
    """Make a console that prints into strings, on a terminal or not; return it with what reads them."""

    def make(terminal, as_json=False):
        console = Console(as_json)
        out, err = io.StringIO(), io.StringIO()
        console.out = rich.console.Console(file=out, width=60, highlight=False)
        console.err = rich.console.Console(file=err, width=100, highlight=False, force_terminal=terminal)
        plain = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
        return console, lambda: (plain.sub("", out.getvalue()), plain.sub("", err.getvalue()))

    return make


def progress_of_two(console):
    with ConvertProgress(console) as progress:
        progress.found(LAYOUT, Path("out"))
        progress.advanced(1)
        progress.advanced(1)


def test_a_terminal_gets_a_bar(printed):
    console, read = printed(terminal=True)
    progress_of_two(console)
    out, err = read()
    assert out == ""
    assert "Flat pairs: 2." in err
    assert "2/2" in err
    assert "Converting" in err


def test_elsewhere_few_lines(printed, monkeypatch):
    console, read = printed(terminal=False)
    progress_of_two(console)
    assert read() == ("", "Flat pairs: 2.\n")
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    progress_of_two(console)
    assert re.search(r"^1 of 2 images, [0-9.]+ images/s\n2 of 2 images, ", read()[1], re.MULTILINE)


def test_with_json_no_words(printed):
    console, read = printed(terminal=False, as_json=True)
    progress_of_two(console)
    assert read() == ("", "")


def test_long_paths_are_not_wrapped(printed):
    console, read = printed(terminal=False)
    path = Path("/".join(["a-long-folder"] * 12))
    sentence = f"{path} has no mask."
    console.show(Summary("flat", "siseg", found=0, outputs=[path], problems=[Problem(path, sentence)]))
    out, err = read()
    assert f"Written: {path}\n" in out
    assert f"  {sentence}\n" in err


def test_an_interrupted_run_says_what_is_safe(printed):
    console, read = printed(terminal=False)
    console.show(Summary("flat", "siseg", found=9, converted=4, interrupted=True))
    assert "Interrupted: 4 of 9 images are done, and safe." in read()[0]


def test_quiet_keeps_that_a_run_was_interrupted(printed):
    console, read = printed(terminal=True)
    console.quiet = True
    console.show(Summary("flat", "siseg", found=9, converted=4, interrupted=True))
    assert read() == ("", "Interrupted: 4 of 9 images are done, and safe. --resume does the rest.\n")


def test_what_takes_long_is_watched(printed, monkeypatch):
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    console, read = printed(terminal=False)
    assert list(console.watch("abc", "Comparing")) == ["a", "b", "c"]
    assert read() == ("", "Comparing: 0 of 3\nComparing: 1 of 3\nComparing: 2 of 3\n")
    console, read = printed(terminal=False, as_json=True)
    assert list(console.watch("abc", "Comparing")) == ["a", "b", "c"]
    assert read() == ("", "")
    console, read = printed(terminal=True)
    assert list(console.watch("abc", "Comparing")) == ["a", "b", "c"]
    assert "Comparing" in read()[1]
