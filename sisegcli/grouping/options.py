"""Parameters of grouping; a checkpoint may carry the ones that were fitted to its network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Centres = Literal["density", "weak-field"]
Edges = Literal["auto", "keep", "refine"]


@dataclass(frozen=True)
class GroupingOptions:
    """How displacement and boundary become instances. Lengths are in stride-4 pixels.

    Attributes
    ----------
    centres : str
        ``density``: peaks of the votes' density are candidate objects, and cuts and joins are decided on evidence.
        ``weak-field``: as in the paper, after IRNet: components of weak displacement are the objects.
    sigma : float
        Width of the Gaussian that smooths the votes' density.
    peak : float
        A peak must be as high as this share of its category's highest.
    basins : float
        Candidates are cut along the ridges of the boundary map too, smoothed by this much; 0: they are not. For
        networks with membership, which puts together again what is one.
    cut : float
        Evidence above which two pieces of one region are two objects.
    join : float
        Pieces of different regions are one object if their votes are closer than this share of the distance between
        their centres,
    join_size : float
        and than this many sizes (square root of the area) of the smaller piece.
    weak : float
        Displacements shorter than this are weak (IRNet: 2.5).
    refine : bool
        Move borders by the random walk.
    edges : str
        ``keep``: the mask is trusted, only borders between instances move. ``refine``: outer edges move as well, by the
        edge refiner, or by the random walk where there is none. ``auto``: the edge refiner decides, for each image,
        whether the mask is rough.
    radius, beta, steps : float, float, int
        Radius, exponent and length of the random walk (IRNet: 5, 10 and 256).
    sized : bool
        Scores hold shares of the category and of the image. Tiles do without, as they see neither whole.
    """

    centres: Centres = "density"
    sigma: float = 2.0
    peak: float = 0.1
    basins: float = 0.0
    cut: float = 0.65
    join: float = 0.5
    join_size: float = 1.0
    weak: float = 2.5
    refine: bool = True
    edges: Edges = "auto"
    radius: float = 5.0
    beta: float = 10.0
    steps: int = 256
    sized: bool = True
