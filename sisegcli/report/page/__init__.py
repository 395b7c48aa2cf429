"""The page itself: a frame of HTML, its style and its scripts lie in this folder, and are put together here.

Nothing of the data ever becomes HTML by itself: the title is escaped, the data are JSON in ``script`` elements that no
browser runs, with every ``<``, ``>`` and ``&`` as an escape of JSON, and the page's script sets text, never markup. A
content security policy forbids all scripts but the page's own, by its digest, and all requests but for pictures.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Any

SCRIPTS = ("data.js", "drawing.js", "filters.js", "curves.js", "charts.js", "gallery.js", "viewer.js", "main.js")
"""The parts of the page's script, in order; each may use those before it."""

CHUNK = 32
"""Images whose pictures and maps are unpacked together."""

_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def build_page(title: str, pictures: Iterable[Any], table: Iterable[Any]) -> Iterator[str]:
    """Yield the page, part by part.

    Parameters
    ----------
    title : str
        Its title.
    pictures : iterable
        What the page holds of each image: text of pictures and maps by layer; see `sisegcli.report.maps`.
    table : iterable
        One item, asked for when all pictures are taken: the data of `sisegcli.report.table.Table`.
    """
    script = '"use strict";\n' + "\n".join(_part(name) for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    contents = {"TITLE": html.escape(title), "DIGEST": digest, "STYLE": _part("style.css")}
    before, after = _part("frame.html").split("{{DATA}}")
    # In one go, so that what is filled in is never looked at again.
    yield re.sub(r"\{\{(\w+)\}\}", lambda place: contents[place[1]], before)
    chunk: list[Any] = []
    number = 0
    for entry in pictures:
        chunk.append(entry)
        if len(chunk) == CHUNK:
            yield _data(f"chunk-{number}", chunk)
            chunk, number = [], number + 1
    if chunk:
        yield _data(f"chunk-{number}", chunk)
    [data] = table
    yield _data("table", {**data, "title": title, "chunk": CHUNK})
    yield f"<script>{script}</script>\n"
    yield after


def _data(name: str, value: Any) -> str:
    return f'<script type="application/json" id="{name}">{script_json(value)}</script>\n'


def script_json(value: Any) -> str:
    r"""Return JSON that can stand in a ``script`` element, whatever its strings are.

    >>> print(script_json(["</script><b>", "R&D"]))
    ["\u003c/script\u003e\u003cb\u003e","R\u0026D"]
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)


def _part(name: str) -> str:
    return (resources.files("sisegcli.report.page") / name).read_text("utf-8")
