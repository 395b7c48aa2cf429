"""What the benchmark compares: sets of images, ways to make instances, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sisegcli.grouping.options import Edges


@dataclass(frozen=True)
class Set:
    """Images to measure on.

    Attributes
    ----------
    name, folder : str
        What it is called, and its folder in DATA.
    split : str, optional
        A list of the folder.
    masks : str, optional
        A folder of semantic masks, a network's, in place of its own.
    microscopy : bool
        Only the second half of its images is measured; a network may have learned from the first.
    min_area : int, optional
        Instances with fewer pixels are dropped, whatever made them.
    """

    name: str
    folder: str
    split: str | None = None
    masks: str | None = None
    microscopy: bool = False
    min_area: int | None = None


SETS = (
    Set("val", "voc-val-dev", "val"),
    Set("clean_touching_same_class", "voc-val-dev", "clean_touching_same_class"),
    Set("with_pred", "voc-val-dev", "with_pred", masks="SegmentationPred"),
    Set("coco-dev", "coco-dev"),
    Set("nuclei-dev", "nuclei-dev", microscopy=True, min_area=20),
)


@dataclass(frozen=True)
class Way:
    """A way to make instances.

    Attributes
    ----------
    method : str
        ``components``, ``watershed``, ``siseg`` or ``ceiling``.
    weights : str, optional
        The network of ``siseg``; None: nobody gave one.
    without : tuple of str
        Parts that the network is run without, see `networks.PARTS`.
    edges : str
        See `GroupingOptions`.
    """

    method: str
    weights: str | None = None
    without: tuple[str, ...] = ()
    edges: Edges = "auto"


@dataclass(frozen=True)
class Column:
    """A way with a title; `on_predictions`: only of masks that a network predicted."""

    title: str
    way: Way
    on_predictions: bool = False


@dataclass(frozen=True)
class Table:
    """Columns to be compared, on photographs or on microscopy.

    Attributes
    ----------
    title : str
        What stands above it.
    columns : sequence of Column
        From left to right.
    networks : sequence of Column
        Those of the columns that are asked how much of the gap they close, and for their candidate cuts.
    microscopy : bool
        Which of the two.
    """

    title: str
    columns: Sequence[Column]
    networks: Sequence[Column] = ()
    microscopy: bool = False

    def on(self, chosen: Set) -> list[Column]:
        """Return the columns that have figures on a set."""
        if chosen.microscopy != self.microscopy:
            return []
        return [column for column in self.columns if chosen.masks is not None or not column.on_predictions]


def tables(weights: Sequence[str], paper: str | None, nuclei: str | None, unpasted: str | None) -> list[Table]:
    """Return the tables of the README: results, microscopy, and the ablations of our method and of the paper's."""
    components = Column("components", Way("components"))
    simple = [components, Column("watershed", Way("watershed"))]
    ceiling = Column("ceiling", Way("ceiling"))
    networks = [
        Column("sisegcli" if name == "default" else f"sisegcli ({Path(name).stem})", Way("siseg", name))
        for name in weights
    ]
    shown = []
    for column in networks:
        shown.append(column)
        shown += [
            Column(f"{column.title} --edges keep", replace(column.way, edges="keep")),
            Column(f"{column.title} --edges refine", replace(column.way, edges="refine"), True),
        ]
    trained = Column("sisegcli, trained on nuclei", Way("siseg", nuclei))
    found = [
        Table("Results", [*simple, *shown, ceiling], networks),
        Table("Microscopy", [*simple, *networks, trained, ceiling], [trained], microscopy=True),
    ]
    if weights:
        found.append(Table(f"Ablation of {networks[0].title}", _ablation(weights[0], unpasted)))
    if paper:
        found.append(Table("The paper's ablation", [components, *_paper(paper)]))
    return found


def _ablation(weights: str, unpasted: str | None) -> list[Column]:
    def run(title: str, *without: str) -> Column:
        return Column(title, Way("siseg", weights, without))

    return [
        # Where there is no boundary, there is nothing to walk on.
        run("votes", "boundary", "membership", "wholeness", "walk"),
        run("+ boundary", "membership", "wholeness"),
        run("+ membership", "wholeness"),
        run("+ wholeness"),
        run("without the walk", "walk"),
        run("image alone", "mask"),
        Column("without synthetic instances", Way("siseg", unpasted)),
    ]


def _paper(weights: str) -> list[Column]:
    return [
        Column("+ DFM", Way("siseg", weights, ("walk",))),
        Column("+ DFM + CBR", Way("siseg", weights)),
        Column("+ DFM + CBR, --edges refine", Way("siseg", weights, edges="refine"), True),
    ]


def halves(stems: Iterable[str]) -> tuple[list[str], list[str]]:
    """Deal names out in two halves, by turns: to learn from, and to measure on.

    >>> halves("dacbe")
    (['a', 'c', 'e'], ['b', 'd'])
    """
    names = sorted(stems)
    return names[0::2], names[1::2]
