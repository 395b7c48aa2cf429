"""Half blocks: two pixels a character, the upper one in the foreground's colour, the lower one in the background's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def half_blocks(picture: NDArray[np.uint8], columns: int, lines: int) -> str:
    r"""Return lines of coloured half blocks that show a picture (H, W, 3), in no more than so many columns and lines.

    A last half line has the terminal's own background below.

    >>> half_blocks(np.array([[[1, 2, 3]], [[4, 5, 6]], [[7, 8, 9]]], np.uint8), 80, 24)
    '\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m▀\x1b[0m\n\x1b[38;2;7;8;9m▀\x1b[0m\n'
    """
    height, width = picture.shape[:2]
    factor = min(1.0, columns / width, 2 * lines / height)
    if factor < 1:
        size = (max(1, int(width * factor)), max(1, int(height * factor)))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    rows = picture.tolist()
    text = []
    for top in range(0, len(rows), 2):
        upper, lower = rows[top], rows[top + 1] if top + 1 < len(rows) else [None] * len(rows[top])
        before: tuple[object, object] = (None, None)
        for one, other in zip(upper, lower, strict=True):
            if one != before[0]:
                text.append(f"\x1b[38;2;{one[0]};{one[1]};{one[2]}m")
            if other is not None and other != before[1]:
                text.append(f"\x1b[48;2;{other[0]};{other[1]};{other[2]}m")
            before = one, other
            text.append("▀")
        text.append("\x1b[0m\n")
    return "".join(text)
