"""What went wrong, counted: split, merged, missed and spurious objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sisegcli.evaluation.matching import Match
from sisegcli.instances import Bool

PIECE_INSIDE = 0.5
"""A piece of an object lies in it with more than this part of its own area …"""

PIECE_COVERS = 0.1
"""… and covers at least this part of the object."""

HELD = 0.5
"""A prediction holds an object that has at least this part of its area in it."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Numbers of faults; predictions and objects are compared within their category alone.

    Attributes
    ----------
    split : int
        True objects with two or more pieces: predictions that lie in the object with more than half of their area and
        cover at least a tenth of it.
    merged : int
        Predictions that hold two or more true objects, each with at least half of the object's area.
    missed : int
        True objects without a prediction, where both are matched one to one, the best scores first, at an
        intersection over union of 0.5 or more.
    spurious : int
        Predictions without an object in the same matching; those in a crowd are none.
    """

    split: int = 0
    merged: int = 0
    missed: int = 0
    spurious: int = 0

    def __add__(self, other: Faults) -> Faults:
        return Faults(
            self.split + other.split,
            self.merged + other.merged,
            self.missed + other.missed,
            self.spurious + other.spurious,
        )


def count_split_and_merged(matches: Iterable[Match]) -> tuple[int, int]:
    """Count split objects and merging predictions."""
    split = merged = 0
    for m in matches:
        are_split, are_merged = split_and_merged(m)
        split += int(are_split.sum())
        merged += int(are_merged.sum())
    return split, merged


def split_and_merged(m: Match) -> tuple[Bool, Bool]:
    """Return which true objects of a match, (G,), are split, and which predictions, (D,), merge several."""
    common = m.intersections()
    areas = m.truth_areas[: m.objects]
    pieces = (common > PIECE_INSIDE * m.areas[:, None]) & (common >= PIECE_COVERS * areas)
    held = (common >= HELD * areas) & (common > 0)
    return pieces.sum(axis=0) >= 2, held.sum(axis=1) >= 2
