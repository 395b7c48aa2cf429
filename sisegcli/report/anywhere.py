"""Reports where outputs, inputs, ground truth or the page may be URLs: fetched first, and the page uploaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sisegcli.remote.mirror import Mirror
from sisegcli.remote.urls import Url, local_path, url_of
from sisegcli.report.options import DOUBTFUL, PAGE, ReportOptions
from sisegcli.report.writing import SUFFIX, ReportSummary, write_report
from sisegcli.running.anywhere import Telling, mirrored, told_problems, upload
from sisegcli.running.listener import Listener
from sisegcli.running.overlays import FOLDER as OVERLAYS

_PLACES = ("found", "root", "images", "masks", "truth", "out")


def report_anywhere(options: ReportOptions, listener: Listener | None = None) -> ReportSummary:
    """Write a report; see `write_report`.

    All that URLs name is fetched whole, into a folder that is gone at the end. Images among URLs are linked from the
    page where a browser can open them (``https://``); others are in it as far as it has pictures at all.

    Raises
    ------
    SisegError
        What `write_report` raises, and if a URL cannot be listed, read or written.
    """
    given = {name: getattr(options, name) for name in _PLACES}
    local: dict[str, Any] = {name: local_path(path) for name, path in given.items() if path is not None}
    options = replace(options, **local)
    urls = {name: url for name, path in local.items() if (url := url_of(path)) is not None}
    if not urls:
        return write_report(options, listener)
    target = url_of(options.output)
    with mirrored() as mirror:
        if target is not None:
            mirror.guard(_above(target))
        for name, url in urls.items():
            if name != "out":
                _fetch(mirror, name, url)
            local[name] = mirror.place(url)
        if "found" in urls and not {"root", "images", "masks"} & local.keys():
            _fetch_input(mirror, urls["found"])
        chosen = replace(options, **local)
        summary = write_report(chosen, Telling(listener or Listener(), mirror), mirror.told)
        if target is not None:
            upload(mirror, chosen.output.parent, summary.outputs)
        return replace(
            summary,
            page=Path(mirror.told(str(summary.page))),
            outputs=[Path(mirror.told(str(path))) for path in summary.outputs],
            problems=told_problems(mirror, summary.problems),
        )


def _fetch(mirror: Mirror, name: str, url: Url) -> None:
    mirror.fetch(url, skip=(OVERLAYS, PAGE, DOUBTFUL) if name == "found" else ())
    if name == "truth" and url.rest.endswith(".json"):  # the PNGs of a panoptic file, where it is one
        mirror.fetch(url._replace(rest=url.rest.removesuffix(".json")))


def _fetch_input(mirror: Mirror, found: Url) -> None:
    """Fetch the folder that was converted from where it is looked for, beside its outputs."""
    if found.rest.endswith(SUFFIX):
        mirror.fetch(found._replace(rest=found.rest.removesuffix(SUFFIX)))


def _above(url: Url) -> Url:
    return url._replace(rest=url.rest.rpartition("/")[0])
