"""What the values of masks mean, as the layout of a data set or the user says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sisegcli.data.images import MAX_PIXELS
from sisegcli.data.masks import MaskReader

AUTO: Literal["auto"] = "auto"
"""In place of a value: what the layout says."""

Value = int | Literal["auto"] | None


@dataclass(frozen=True, slots=True)
class MaskValues:
    """What the values of a data set's masks mean.

    Attributes
    ----------
    background, ignore : int or None
        The values without category and without meaning (void); None where there is no such value.
    encoded : bool
        Whether colours are ADE20K's code of a category, R // 10 * 256 + G, instead of looked up in a table.
    """

    background: int | None = 0
    ignore: int | None = 255
    encoded: bool = False

    def reader(
        self,
        background: Value = AUTO,
        ignore: Value = AUTO,
        colours: Mapping[tuple[int, int, int], int] | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> MaskReader:
        """Return a reader of such masks.

        Parameters
        ----------
        background, ignore : int, None or "auto"
            What a user wants instead; "auto" for what the data set has.
        colours : mapping of (red, green, blue) to int, optional
            A table of colours, which a user gave; it is used instead of a code.
        max_pixels : int
            Larger masks are refused; more than `sisegcli.data.images.MAX_PIXELS` are never read at once.
        """
        return MaskReader(
            self.background if background == AUTO else background,
            self.ignore if ignore == AUTO else ignore,
            colours,
            min(max_pixels, MAX_PIXELS),
            encoded=self.encoded and colours is None,
        )
