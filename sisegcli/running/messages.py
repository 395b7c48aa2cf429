"""Pairs and results as bytes, for the machines of a cluster: JSON, and pixels and fields as NumPy's archives."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sisegcli.data.layouts import Pair, Problem
from sisegcli.instances import Decision, Instance, Segmentation
from sisegcli.running.reading import LargeSample, Sample
from sisegcli.running.settling import Done, Finished

Arrays = dict[str, NDArray[Any]]

_TEXT = "text"


def pack_pairs(pairs: Mapping[int, Pair]) -> bytes:
    """Return pairs and their numbers as bytes."""
    return json.dumps([[number, *_pair(pair)] for number, pair in pairs.items()]).encode()


def unpack_pairs(message: bytes) -> dict[int, Pair]:
    """Return the pairs again.

    >>> pairs = {7: Pair("a", Path("images/a.jpg"), Path("masks/a.png"))}
    >>> unpack_pairs(pack_pairs(pairs)) == pairs
    True
    """
    return {number: _read_pair(*rest) for number, *rest in json.loads(message)}


def pack_batches(batches: Sequence[Finished], *, fields: bool) -> bytes:
    """Return finished batches as bytes.

    Parameters
    ----------
    batches : sequence of Finished
        They go in the order given. Masks stay behind, as nobody needs them any more.
    fields : bool
        Whether images, displacement and boundary go along, from which overlays are drawn.
    """
    arrays: Arrays = {}
    text = [[one.numbers, [_done(done, arrays, fields) for done in one.results], one.seconds] for one in batches]
    arrays[_TEXT] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's types take the names for options
    return file.getvalue()


def unpack_batches(message: bytes) -> list[Finished]:
    """Return the batches again; images that stayed behind, and masks, are blanks that take no memory."""
    with np.load(io.BytesIO(message), allow_pickle=False) as arrays:
        text = json.loads(arrays[_TEXT].tobytes())
        return [
            Finished(numbers, [_read_done(done, arrays) for done in results], seconds)
            for numbers, results, seconds in text
        ]


def _done(done: Done, arrays: Arrays, fields: bool) -> dict[str, Any]:
    if isinstance(done, Problem):
        return {"problem": [str(done.path), done.sentence]}
    sample, found = done
    kept: dict[str, Any] = {}
    if fields and isinstance(sample, Sample):
        kept = {"image": sample.image, "displacement": found.displacement, "boundary": found.boundary}
    names = {}
    for name, array in kept.items():
        if array is not None:
            names[name] = str(len(arrays))
            arrays[names[name]] = np.asarray(array)
    return {
        "pair": _pair(sample.pair),
        "size": [int(side) for side in sample.size],
        "large": isinstance(sample, LargeSample),
        "instances": [
            [int(i.category), float(i.score), i.counts.decode("ascii"), [int(n) for n in i.box], int(i.area)]
            for i in found.instances
        ],
        "removed": [int(found.removed), int(found.removed_pixels)],
        "decisions": [astuple(decision) for decision in found.decisions],
        "arrays": names,
    }


def _read_done(done: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Done:
    if "problem" in done:
        path, sentence = done["problem"]
        return Problem(Path(path), sentence)
    pair, size = _read_pair(*done["pair"]), (done["size"][0], done["size"][1])
    there = {name: arrays[key] for name, key in done["arrays"].items()}
    found = Segmentation(
        [
            Instance(category, score, size, counts.encode("ascii"), (box[0], box[1], box[2], box[3]), area)
            for category, score, counts, box, area in done["instances"]
        ],
        removed=done["removed"][0],
        removed_pixels=done["removed"][1],
        displacement=there.get("displacement"),
        boundary=there.get("boundary"),
        decisions=tuple(
            Decision(kept, doubt, (one[0], one[1]), (two[0], two[1])) for kept, doubt, one, two in done["decisions"]
        ),
    )
    if done["large"]:
        return LargeSample(pair, size), found
    image = there.get("image", np.broadcast_to(np.uint8(0), (*size, 3)))
    return Sample(pair, image, np.broadcast_to(np.int32(0), size)), found


def _pair(pair: Pair) -> list[str]:
    return [pair.stem, str(pair.image), str(pair.mask)]


def _read_pair(stem: str, image: str, mask: str) -> Pair:
    return Pair(stem, Path(image), Path(mask))
