"""``sisegcli weights``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sisegcli.cli.printable import printable
from sisegcli.errors import CheckpointError

if TYPE_CHECKING:
    from sisegcli.cli.console import Console


class Action(str, Enum):
    """What to do with weights."""

    list = "list"
    show = "show"
    verify = "verify"


def weights(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: those that ship. show: configuration, recipe, parts and parameters of one. verify: whether the "
            "file is whole, and the one that was published.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE",
            help="Weights, by name or file. By default, show shows those that convert uses, and verify all that ship.",
            show_default=False,
        ),
    ] = None,
    signers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="verify: who is trusted to sign, as ssh-keygen reads it (allowed_signers); what nobody of them signed "
            "is refused.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON, and nothing else.")] = False,
) -> None:
    """List, show or verify weights.

    verify ends with exit code 1 and one sentence where a file is damaged, or another than the published one, or where
    the signature of the checksums does not fit.
    """
    from sisegcli.cli.console import Console
    from sisegcli.shipped import weights_path
    from sisegcli.weight_files import ABOUT, describe, shipped_weights

    console = Console(as_json)
    if signers is not None and action is not Action.verify:
        raise typer.BadParameter("it is for 'verify' alone.", param_hint="'--signers'")
    if action is Action.list:
        if name is not None:
            raise typer.BadParameter("'list' takes no name; 'show' does.", param_hint="'NAME|FILE'")
        rows: list[dict[str, Any]] = [
            {"name": path.stem, "file": str(path), "bytes": path.stat().st_size, "for": ABOUT.get(path.stem, "")}
            for path in shipped_weights()
        ]
        if as_json:
            console.print_json(rows)
            return
        _print(console, ((row["name"], f"{row['bytes'] / 1e6:4.1f} MB  {row['for']}") for row in rows))
    elif action is Action.show:
        facts = describe(weights_path(name or "default"))
        if as_json:
            console.print_json(facts)
            return
        _print(console, _lines(facts))
    else:
        _verify(console, shipped_weights() if name is None else [weights_path(name)], signers)


def _verify(console: Console, paths: Sequence[Path], signers: Path | None) -> None:
    from sisegcli.signatures import Signature, State, check_signature, require
    from sisegcli.weight_files import verify

    rows: list[dict[str, Any]] = []
    for path in paths:
        listed = verify(path)
        found = Signature(State.unsigned) if listed is None else check_signature(path.parent, signers)
        row = {"file": str(path), "sha256": listed, "signature": found.state.value, "signer": found.signer}
        rows.append(row)
        try:
            require(found, path, trusted=signers)
        except CheckpointError:
            if console.as_json:
                console.print_json(rows)
            raise
        if not console.as_json:
            said = f"the checksum that is listed, and loads; the list is {found}"
            console.tell(f"{path.name} has {said if listed else 'no checksum listed beside it, and loads'}.")
    if console.as_json:
        console.print_json(rows)


def _lines(facts: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield what is said of weights, and under which heading."""
    from sisegcli.weight_files import PARTS

    yield "file", f"{facts['file']} ({facts['bytes'] / 1e6:.1f} MB)"
    yield "engine", facts["engine"]
    yield from facts["notes"].items()
    for part in ("network", *PARTS):
        size = facts["parts"].get(part)
        yield part, "none" if size is None else f"{size / 1e6:.2f} million numbers"
    for name, value in (*facts["config"].items(), *((f"grouping.{k}", v) for k, v in facts["grouping"].items())):
        yield name, str(value)


def _print(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(printable(name), style="bold"), Text(printable(value)))
    console.out.print(table)
