"""Which pictures a terminal can show, and how large."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sisegcli.terminal.blocks import half_blocks
from sisegcli.terminal.graphics import iterm_image, kitty_image
from sisegcli.terminal.sixel import sixel_image

KINDS = ("kitty", "iterm", "sixel", "blocks")

COLUMN = 8
"""Pixels that a column of the terminal is taken to be wide, where nothing tells it."""

_ITERM = ("iTerm.app", "WezTerm", "mintty")
_SIXEL = ("foot", "mlterm", "yaft", "contour")
_KONSOLE = 220400  # the first with sixel


def choose_kind(environment: Mapping[str, str], *, terminal: bool) -> str | None:
    """Choose how to show a picture; see `sisegcli.terminal`.

    Parameters
    ----------
    environment : mapping
        The environment variables.
    terminal : bool
        Whether the output is a terminal.

    Returns
    -------
    str or None
        One of `KINDS`, or None where no picture should be written.

    Examples
    --------
    >>> choose_kind({"TERM": "xterm-kitty"}, terminal=True), choose_kind({"TERM": "xterm"}, terminal=True)
    ('kitty', 'blocks')
    >>> choose_kind({"TERM": "xterm-kitty", "NO_COLOR": "1"}, terminal=True)
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if not terminal or term == "dumb" or environment.get("NO_COLOR"):
        return None
    if environment.get("TMUX") or environment.get("STY") or term.startswith(("screen", "tmux")):
        return "blocks"
    if environment.get("KITTY_WINDOW_ID") or term == "xterm-kitty" or program == "ghostty":
        return "kitty"
    if program in _ITERM or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    konsole = environment.get("KONSOLE_VERSION", "")
    if term.startswith(_SIXEL) or "sixel" in term or (konsole.isdecimal() and int(konsole) >= _KONSOLE):
        return "sixel"
    return "blocks"


def show(picture: NDArray[np.uint8], kind: str, *, columns: int, lines: int) -> str:
    """Return what, written to a terminal, shows a picture.

    Parameters
    ----------
    picture : (H, W, 3) array of uint8
        The picture.
    kind : str
        One of `KINDS`.
    columns, lines : int
        Size of the terminal, in characters; the picture is never wider or taller.
    """
    if kind == "blocks":
        return half_blocks(picture, columns, max(1, lines - 2))
    # Characters are about twice as tall as they are wide.
    height, width = picture.shape[:2]
    wide = max(1, min(columns, round(2 * max(1, lines - 2) * width / height), -(-width // COLUMN)))
    if kind == "sixel":
        return sixel_image(picture, wide * COLUMN)
    return kitty_image(picture, wide) if kind == "kitty" else iterm_image(picture, wide)
