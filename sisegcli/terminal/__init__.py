"""Pictures in the terminal: kitty's, iTerm2's and sixel graphics, or half blocks.

What a terminal can do is told by environment variables alone; nothing is asked of it, so nothing can hang:

=========  ===============================================================================================
kitty      ``KITTY_WINDOW_ID``, ``TERM=xterm-kitty``, or ``TERM_PROGRAM=ghostty``
iterm      ``TERM_PROGRAM`` of ``iTerm.app``, ``WezTerm`` or ``mintty``, or ``LC_TERMINAL=iTerm2``
sixel      ``TERM`` of ``foot``, ``mlterm``, ``yaft`` or ``contour``, or with ``sixel`` in it, or Konsole from 22.04 on
blocks     any other terminal, and inside tmux and screen, which hold graphics back; 24-bit colour
none       no terminal, ``TERM=dumb``, or ``NO_COLOR`` is set
=========  ===============================================================================================
"""

from sisegcli.terminal.blocks import half_blocks
from sisegcli.terminal.graphics import iterm_image, kitty_image
from sisegcli.terminal.kinds import KINDS, choose_kind, show
from sisegcli.terminal.sixel import sixel_image

__all__ = ["KINDS", "choose_kind", "half_blocks", "iterm_image", "kitty_image", "show", "sixel_image"]
