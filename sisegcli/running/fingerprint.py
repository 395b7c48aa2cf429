"""What a run is, so that only the same run can be resumed: its options, weights and categories, and its images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from sisegcli.categories import Categories
from sisegcli.errors import OutputError
from sisegcli.network.exported.files import companions
from sisegcli.running.journal import Journal
from sisegcli.running.options import ConvertOptions
from sisegcli.running.shards import shared_settings
from sisegcli.shipped import weights_path

_CONTENT = "content of "
"""How the names of settings begin that are digests of a file."""


def fingerprint(options: ConvertOptions, categories: Categories, told: Callable[[str], str]) -> dict[str, Any]:
    """Return all that makes a difference to the outputs, as plain data.

    Parameters
    ----------
    options : ConvertOptions
        What to do.
    categories : Categories
        The categories that the options or the folder name.
    told : callable
        Names places as the user does.

    Raises
    ------
    CheckpointError
        If there are no such weights.
    """
    places = {name: getattr(options, name) for name in ("root", "images", "masks")}
    contents = {"categories": repr(list(categories.values())).encode() if categories else None}
    if options.colours is not None:
        contents["colours"] = options.colours.read_bytes()
    if options.method == "siseg":
        files = companions(weights_path(options.weights))
        contents["weights"] = b"".join(path.read_bytes() for path in files if path.is_file())
    return {
        **shared_settings(options),
        **{name: told(str(path.resolve())) for name, path in places.items() if path is not None},
        "shard": str(options.shard) if options.shard else None,
        **{f"{_CONTENT}{name}": _digest(content) for name, content in contents.items() if content is not None},
    }


def check_same(journal: Journal, settings: dict[str, Any]) -> None:
    """Refuse to go on with a run that had other settings.

    Raises
    ------
    OutputError
        If a setting differs; it is named.
    """
    before = journal.settings
    for name in (*settings, *before):
        then, now = before.get(name), settings.get(name)
        if then != now:
            option = f"--{name.removeprefix(_CONTENT).replace('_', '-')}"
            option = {"root": "the folder", "version": "the version of sisegcli"}.get(name, option)
            what = f"{option} was {_shown(then)} and is {_shown(now)} now"
            if name.startswith(_CONTENT):
                what = f"what {option} stands for has changed"
            raise OutputError(
                f"{journal.out} holds a run with other settings: {what}; resume it with the same, or start a new one "
                "with --overwrite."
            )


def match_stems(journal: Journal, stems: Sequence[str]) -> list[int | None]:
    """Return the place among the images at hand of each image of the run that is resumed; None for those that are gone.

    Raises
    ------
    OutputError
        If there are images that the run did not know.
    """
    places = {stem: place for place, stem in enumerate(stems)}
    known = journal.stems()
    new = places.keys() - set(known)
    if new:
        raise OutputError(
            f"{journal.out} holds a run without {min(new)}"
            + (f" and {len(new) - 1:,} more of the images" if len(new) > 1 else "")
            + "; convert new images into another folder, or all of them anew with --overwrite."
        )
    return [places.get(stem) for stem in known]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "not given" if value is None else str(value)
