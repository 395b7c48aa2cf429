"""Entries of images in little room: deflated, with the words that most of them share known beforehand."""

from __future__ import annotations

import zlib

_WORDS = (
    b'"class-,{"size": [, [[0, 0, 100, 0, 100, 100, 0, 100]], "counts": ".jpg.png", "width": 1024, "height": 768}\n'
    b'"file_name": "images/0001.jpg", "width": 500, "height": 375}\n'
    b'"category_id": 15, "segmentation": {"size": [375, 500], "counts": "0000001O0000O1O1O1N2N2M3O1N101O001O"}, '
    b'"area": 1234, "bbox": [12, 34, 56, 78], "iscrowd": 0, "score": 0.987654}\n'
)
"""Both sides have to know the same words; a change of them is a change of `sisegcli.running.journal.SCHEMA`."""


def pack(text: str) -> bytes:
    """Return a text as few bytes.

    >>> len(pack('"category_id": 15, "segmentation": {"size": [375, 500], "counts": "0001"}, "area": 4')) < 30
    True
    """
    packer = zlib.compressobj(1, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    return packer.compress(text.encode("utf-8")) + packer.flush()


def unpack(packed: bytes) -> str:
    """Return the text again.

    >>> unpack(pack("Ærø"))
    'Ærø'
    """
    unpacker = zlib.decompressobj(-15, zdict=_WORDS)
    return (unpacker.decompress(packed) + unpacker.flush()).decode("utf-8")
