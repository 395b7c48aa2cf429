"""How data sets lie in folders: find the pairs of image and mask, and say how a folder was understood."""

from sisegcli.data.layouts.finding import find_pairs
from sisegcli.data.layouts.records import Layout, Pair, Problem
from sisegcli.data.layouts.table import LAYOUTS
from sisegcli.data.layouts.tars import Archives, find_archives, pair_archives
from sisegcli.data.layouts.voc import read_split, voc_folder

__all__ = [
    "LAYOUTS",
    "Archives",
    "Layout",
    "Pair",
    "Problem",
    "find_archives",
    "find_pairs",
    "pair_archives",
    "read_split",
    "voc_folder",
]
