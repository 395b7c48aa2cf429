"""Fonts for pictures: Pillow's own, which has no letters but those of English, or one of this machine's."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

NAMES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "msgothic.ttc",
    "malgun.ttf",
    "Nirmala.ttf",
    "Tahoma.ttf",
)
"""Fonts that systems come with, in the order in which they are tried; Pillow knows where systems keep them."""

NOBODY = "\U0010ffff"
"""A character that no font has, so that it looks like all that a font lacks."""


def writable(text: str, otherwise: str, size: int) -> tuple[str, Font]:
    """Return what can be written of a text, and the font for it.

    Parameters
    ----------
    text : str
        What is to be written.
    otherwise : str
        What is written where no font of this machine has all its letters, and they are not Latin with accents; of
        ASCII.
    size : int
        Size of the writing, in pixels.

    Examples
    --------
    >>> writable("cat", "class-8", 12)[0]
    'cat'
    >>> writable(NOBODY, "class-8", 12)[0]
    'class-8'
    """
    if text.isascii():
        return text, ImageFont.load_default(size)
    for name in NAMES:
        font = _load(name, size)
        if font is not None and all(_has(name, size, letter) for letter in text if not letter.isspace()):
            return text, font
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return plain if plain.isascii() and plain.strip() else otherwise, ImageFont.load_default(size)


def shortened(name: str, longest: int) -> str:
    """Return a name with no more letters than that; synonyms after a comma go first.

    >>> shortened("screen door, screen", 24), shortened("screen door, screen", 12), shortened("screen door", 9)
    ('screen door, screen', 'screen door', 'screen...')
    """
    if len(name) > longest:
        name = name.split(",")[0]
    return name if len(name) <= longest else f"{name[: longest - 3]}..."


@lru_cache(maxsize=256)
def _load(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except (OSError, ImportError):
        return None


@lru_cache(maxsize=4096)
def _has(name: str, size: int, letter: str) -> bool:
    """Return whether a font that is there has a letter."""
    font = _load(name, size)
    return font is not None and bytes(font.getmask(letter)) != bytes(font.getmask(NOBODY))
