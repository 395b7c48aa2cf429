"""Pictures in the terminal, byte by byte."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from sisegcli.terminal import choose_kind, half_blocks, iterm_image, kitty_image, show, sixel_image

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)


def picture(*rows: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(rows, np.uint8)


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "3"}, "kitty"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm-256color"}, "sixel"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230805"}, "sixel"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "210400"}, "blocks"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({}, "blocks"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "3"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, "blocks"),
        ({"TERM": "screen.xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "blocks"),
        ({"TERM": "dumb"}, None),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, None),
        ({"TERM": "xterm-kitty", "NO_COLOR": ""}, "kitty"),
    ],
)
def test_what_terminals_can_do(environment: dict[str, str], kind: str | None) -> None:
    assert choose_kind(environment, terminal=True) == kind
    assert choose_kind(environment, terminal=False) is None


def test_half_blocks() -> None:
    found = half_blocks(picture([RED, RED, BLUE], [GREEN, BLUE, BLUE], [RED, RED, RED]), 80, 24)
    assert found == (
        "\x1b[38;2;255;0;0m\x1b[48;2;0;255;0m▀\x1b[48;2;0;0;255m▀\x1b[38;2;0;0;255m▀\x1b[0m\n"
        "\x1b[38;2;255;0;0m▀▀▀\x1b[0m\n"
    )


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (10, 24), (80, 3), (1, 1)])
def test_half_blocks_fit(columns: int, lines: int) -> None:
    rows = re.sub(r"\x1b\[[0-9;]*m", "", half_blocks(np.zeros((90, 160, 3), np.uint8), columns, lines)).splitlines()
    assert len(rows) <= lines
    assert max(map(len, rows)) <= columns
    assert set("".join(rows)) == {"▀"}


def test_sixels() -> None:
    # Seven rows: a band of six, all bits set (127 - 63 = 64 - 1), and one of one row.
    tall = np.tile(picture([RED, RED, RED, RED, BLUE]), (7, 1, 1))
    assert sixel_image(tall, 100) == ('\x1bP0;1;0q"1;1;5;7#0;2;100;0;0#1;2;0;0;100#0!4~?$#1!4?~-#0!4@?$#1!4?@-\x1b\\\n')


def read_sixels(text: str) -> np.ndarray:
    """Decode what `sixel_image` writes, sign by sign."""
    header = re.match(r'\x1bP0;1;0q"1;1;(\d+);(\d+)', text)
    assert header and text.endswith("\x1b\\\n")
    width, height = int(header[1]), int(header[2])
    found = np.full((height, width, 3), -1)
    colours: dict[int, list[int]] = {}
    x = y = colour = 0
    for part in re.findall(r"#\d+;2;\d+;\d+;\d+|#\d+|!\d+.|\$|-|[?-~]", text[header.end() : -3]):
        if part.startswith("#"):
            colour, *rest = map(int, part[1:].split(";"))
            if rest:
                colours[colour] = rest[1:]
        elif part == "$":
            x = 0
        elif part == "-":
            x, y = 0, y + 6
        else:
            count = int(part[1:-1]) if part[0] == "!" else 1
            for row in range(6):
                if (ord(part[-1]) - 63) >> row & 1:
                    found[y + row, x : x + count] = colours[colour]
            x += count
    return found


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_sixels_read_back(numbers: np.ndarray) -> None:
    colours = np.array([RED, GREEN, BLUE, (255, 255, 255)], np.uint8)
    found = read_sixels(sixel_image(colours[numbers], 100))
    np.testing.assert_array_equal(found, colours[numbers] // 255 * 100)


def test_sixels_are_no_wider_than_asked_for() -> None:
    assert '"1;1;8;4#' in sixel_image(np.zeros((10, 20, 3), np.uint8), 8)


def test_kitty() -> None:
    found = kitty_image(picture([RED, BLUE]), 2)
    match = re.fullmatch("\x1b_Ga=T,f=100,q=2,c=2,m=0;([^\x1b]+)\x1b\\\\\n", found)
    assert match
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))))
    np.testing.assert_array_equal(decoded, picture([RED, BLUE]))


def test_kitty_sends_pieces() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    pieces = re.findall("\x1b_G([^;]*);([^\x1b]*)\x1b\\\\", kitty_image(noise, 30))
    assert [keys for keys, _ in pieces] == ["a=T,f=100,q=2,c=30,m=1", *["m=1"] * (len(pieces) - 2), "m=0"]
    assert all(len(code) == 4096 for _, code in pieces[:-1]) and len(pieces) > 2
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(base64.b64decode("".join(code for _, code in pieces))))), noise
    )


def test_iterm() -> None:
    found = iterm_image(picture([RED, BLUE]), 7)
    match = re.fullmatch("\x1b]1337;File=inline=1;size=([0-9]+);width=7;preserveAspectRatio=1:([^\x07]+)\x07\n", found)
    assert match
    png = base64.b64decode(match[2])
    assert len(png) == int(match[1])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), picture([RED, BLUE]))


def test_pictures_are_no_larger_than_the_terminal() -> None:
    wide, tall = np.zeros((100, 4000, 3), np.uint8), np.zeros((4000, 100, 3), np.uint8)
    assert ",c=80," in show(wide, "kitty", columns=80, lines=24)
    assert ",c=1," in show(tall, "kitty", columns=80, lines=24)
    assert ";width=2;" in show(np.zeros((10, 16, 3), np.uint8), "iterm", columns=80, lines=24)
    assert '"1;1;640;16#' in show(wide, "sixel", columns=80, lines=24)
    assert show(wide, "blocks", columns=8, lines=24).count("▀") == 8
