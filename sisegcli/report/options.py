"""Options of a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sisegcli.data.mask_values import AUTO, Value
from sisegcli.errors import OptionError

PAGE = "report.html"
"""Name of the page."""

DOUBTFUL = "doubtful.csv"
"""Name of the list of doubtful decisions, beside the page."""

EMBED = ("auto", "all", "none")


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report; the defaults are those of the command line.

    Attributes
    ----------
    found : Path
        Output folder of a conversion, or its ``instances.json``.
    root : Path, optional
        The folder of images and masks that was converted.
    images, masks, split, background, ignore, colours, categories
        As for a conversion; see `sisegcli.running.options.ConvertOptions`.
    truth : Path, optional
        Ground truth, as for an evaluation.
    truth_split : str, optional
        List of images of the ground truth.
    layers : bool
        Run the network once more, for its displacement field and its boundary map.
    weights, device, edges : str
        For `layers`: passed to `sisegcli.segmenter.Segmenter`; they should be those of the conversion.
    embed : str
        ``auto``: pictures are in the page, smaller the more there are. ``all``: large ones, however many. ``none``: the
        page links to the image files alone.
    out : Path, optional
        The page; by default ``report.html`` in the output folder.
    overwrite : bool
        Whether a page that exists already may be replaced.
    """

    found: Path
    root: Path | None = None
    images: Path | None = None
    masks: Path | None = None
    split: str | None = None
    background: Value = AUTO
    ignore: Value = AUTO
    colours: Path | None = None
    categories: str | None = None
    truth: Path | None = None
    truth_split: str | None = None
    layers: bool = False
    weights: str = "default"
    device: str = "auto"
    edges: str = "auto"
    embed: str = "auto"
    out: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.embed not in EMBED:
            raise OptionError(f"--embed {self.embed} is none of {', '.join(EMBED)}.")
        if self.truth_split is not None and self.truth is None:
            raise OptionError("--truth-split is about ground truth; add --truth.")

    @property
    def output(self) -> Path:
        """The page."""
        folder = self.found if self.found.suffix != ".json" else self.found.parent
        return self.out or folder / PAGE
