"""Graphics that take whole PNGs: kitty's protocol and iTerm2's.

See https://sw.kovidgoyal.net/kitty/graphics-protocol/ and https://iterm2.com/documentation-images.html.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PIECE = 4096
"""Characters of base64 in one of kitty's commands, at most."""


def kitty_image(picture: NDArray[np.uint8], columns: int) -> str:
    """Return kitty's commands that show a picture (H, W, 3), so many columns wide.

    The PNG (``f=100``) is sent in pieces (``m=1``: more follow) and shown at once (``a=T``); the terminal shall not
    answer (``q=2``).
    """
    code = _png(picture)
    pieces = [code[start : start + PIECE] for start in range(0, len(code), PIECE)]
    commands = []
    for number, piece in enumerate(pieces):
        more = int(number < len(pieces) - 1)
        keys = f"a=T,f=100,q=2,c={columns},m={more}" if number == 0 else f"m={more}"
        commands.append(f"\x1b_G{keys};{piece}\x1b\\")
    return "".join(commands) + "\n"


def iterm_image(picture: NDArray[np.uint8], columns: int) -> str:
    """Return iTerm2's command that shows a picture (H, W, 3), so many columns wide."""
    code = _png(picture)
    size = len(base64.b64decode(code))
    return f"\x1b]1337;File=inline=1;size={size};width={columns};preserveAspectRatio=1:{code}\x07\n"


def _png(picture: NDArray[np.uint8]) -> str:
    memory = io.BytesIO()
    Image.fromarray(picture).save(memory, "PNG")
    return base64.b64encode(memory.getvalue()).decode()
