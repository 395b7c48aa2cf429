"""What the journal of a run keeps of each image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sisegcli.running.database import text, untext

DONE, FAILED = "done", "failed"

ODD = """
SELECT (SELECT count(*) <> coalesce(max(number) + 1, 0) OR coalesce(min(number), 0) <> 0 FROM stems) + (
    SELECT count(*) FROM results LEFT JOIN stems USING (number) WHERE stem IS NULL OR state NOT IN ('done', 'failed')
    OR typeof(attempts) || typeof(bytes) || typeof(removed) || typeof(removed_pixels) <> 'integerintegerintegerinteger'
    OR typeof(seconds) <> 'real' OR typeof(reason) NOT IN ('null', 'text', 'blob')
) + (SELECT count(*) FROM lacking WHERE typeof(number) <> 'integer' OR typeof(sentence) NOT IN ('text', 'blob'))
"""
"""Counts what was never written; it was changed by something else, or a disk lost it."""


@dataclass(frozen=True)
class Row:
    """What became of one image.

    Attributes
    ----------
    number : int
        Its place in the run's list, from 0.
    state : str
        ``done`` or ``failed``.
    reason : str, optional
        A sentence: why it failed; or sentences, a line each: what is missing although it is done.
    seconds : float
        What the method took; a batch's time is shared by its images.
    bytes : int
        Size of its own files, together.
    instances : mapping
        Number of instances by category id.
    removed, removed_pixels : int
        Instances, and pixels of them, that a minimal area or score took away.
    entries : mapping
        Entries in files of the whole run, by format.
    doubted : int
        Cuts that were close; a database does not keep them.
    """

    number: int
    state: str
    reason: str | None = None
    seconds: float = 0.0
    bytes: int = 0
    instances: Mapping[int, int] = field(default_factory=dict)
    removed: int = 0
    removed_pixels: int = 0
    entries: Mapping[str, str] = field(default_factory=dict)
    doubted: int = 0

    def kept(self) -> tuple[Any, ...]:
        """Return what a database keeps of it: all but entries and doubts, in order."""
        counts = json.dumps({str(key): count for key, count in self.instances.items()}) if self.instances else None
        reason = text(self.reason) if self.reason else None
        columns = (self.number, self.state, reason, round(self.seconds, 4), self.bytes, counts)
        return (*columns, self.removed, self.removed_pixels)

    @classmethod
    def of(cls, *kept: Any) -> Row:
        """Return the row of which that was kept.

        Raises
        ------
        AttributeError, TypeError, ValueError
            If it was not kept by this.
        """
        number, state, reason, seconds, size, instances, *removed = kept
        counts = {int(key): count for key, count in json.loads(instances or "{}").items()}
        if not all(type(count) is int and count >= 0 for count in counts.values()):
            raise ValueError("instances are counted")
        return cls(number, state, reason and untext(reason), seconds, size, counts, *removed)
