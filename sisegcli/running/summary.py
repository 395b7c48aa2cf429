"""What came of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sisegcli.categories import Categories
from sisegcli.data.layouts import Problem
from sisegcli.errors import INTERRUPTED
from sisegcli.running.rows import Row


@dataclass
class Summary:
    """What a conversion did.

    Attributes
    ----------
    layout : str
        How the input folder was understood.
    method : str
        The method's name.
    found, converted : int
        Pairs of image and mask, and how many of them were converted.
    resumed : int
        How many of these had been converted before this run went on with another.
    instances : Counter
        Number of instances by name of category.
    removed, removed_pixels : int
        Instances, and pixels of them, that a minimal area or score took away.
    seconds : float
        Wall time of the conversion.
    outputs : list of Path
        Files and folders written.
    problems : list of Problem
        What could not be done, a sentence each.
    notes : list of str
        What is no problem, but worth knowing.
    stages : dict
        Seconds of each stage, in all threads together, where that was asked for.
    interrupted : bool
        Whether the run was stopped early; what was converted until then is in the outputs.
    """

    layout: str
    method: str
    found: int
    converted: int = 0
    resumed: int = 0
    instances: Counter[str] = field(default_factory=Counter)
    removed: int = 0
    removed_pixels: int = 0
    seconds: float = 0.0
    outputs: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    interrupted: bool = False

    def recount(self, rows: Iterable[Row], categories: Categories) -> None:
        """Count what is converted anew."""
        self.converted = self.removed = self.removed_pixels = 0
        self.instances.clear()
        for row in rows:
            self.count(row, categories)

    def count(self, row: Row, categories: Categories) -> None:
        """Count one converted image."""
        self.converted += 1
        for category, number in row.instances.items():
            self.instances[categories.name(category)] += number
        self.removed += row.removed
        self.removed_pixels += row.removed_pixels

    @property
    def skipped(self) -> int:
        """Pairs that were found but not converted."""
        return self.found - self.converted

    @property
    def images_per_second(self) -> float:
        """Speed over the whole run."""
        return (self.converted - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def exit_code(self) -> int:
        """0 if all went well, 1 if there were problems, 130 if interrupted."""
        if self.interrupted:
            return INTERRUPTED
        return 1 if self.problems else 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "layout": self.layout,
            "method": self.method,
            "images": {
                "found": self.found,
                "converted": self.converted,
                "skipped": self.skipped,
                **({"resumed": self.resumed} if self.resumed else {}),
            },
            "instances": {"total": self.instances.total(), "by_category": dict(self.instances.most_common())},
            "removed": {"instances": self.removed, "pixels": self.removed_pixels},
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 2),
            **({"stages": {name: round(seconds, 3) for name, seconds in self.stages.items()}} if self.stages else {}),
            "outputs": [str(path) for path in self.outputs],
            "problems": [{"path": str(problem.path), "sentence": problem.sentence} for problem in self.problems],
            "notes": self.notes,
            "interrupted": self.interrupted,
        }
