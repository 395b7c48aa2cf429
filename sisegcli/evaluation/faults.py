"""What went wrong, counted: objects split into pieces, and objects merged into one."""

from __future__ import annotations

from dataclasses import dataclass

from sisegcli.evaluation.matching import Match


@dataclass(frozen=True, slots=True)
class Faults:
    """Numbers of faults.

    Attributes
    ----------
    split : int
        True objects with two or more pieces: predictions of their category that lie in the object with more than half
        of their area and cover at least a tenth of it.
    merged : int
        Predictions that hold two or more true objects of their category, each with at least half of its area.
    missed : int
        True objects that no prediction matches with an IoU of 0.5 or more.
    spurious : int
        Predictions that match no true object with an IoU of 0.5 or more.
    """

    split: int = 0
    merged: int = 0
    missed: int = 0
    spurious: int = 0


def count_split_and_merged(match: Match) -> tuple[int, int]:
    """Count the split objects and the merging predictions of one image and category."""
    common = match.intersections
    truth_areas = match.truth_areas[~match.crowd]
    pieces = (common > 0.5 * match.areas[:, None]) & (common >= 0.1 * truth_areas)
    held = (common >= 0.5 * truth_areas) & (common > 0)
    return int((pieces.sum(0) >= 2).sum()), int((held.sum(1) >= 2).sum())
