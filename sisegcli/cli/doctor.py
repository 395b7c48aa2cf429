"""``sisegcli doctor``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sisegcli.running.checkup import Checkup


def doctor(
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Also check these weights, and time them in place of the default ones."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON, and nothing else.")] = False,
) -> None:
    """Say what this machine has for sisegcli: device, packages, weights, speed, and what would make it faster.

    Where something keeps sisegcli from working, it is listed (exit code 1).
    """
    from rich.table import Table
    from rich.text import Text

    from sisegcli.cli.console import Console
    from sisegcli.running.checkup import check_up
    from sisegcli.running.memory import keep_freed_memory

    keep_freed_memory()  # as convert does, for its speed
    console = Console(as_json)
    found = check_up(weights)
    if as_json:
        console.print_json(found.to_json())
        raise typer.Exit(found.exit_code)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in rows(found):
        table.add_row(Text(name, style="bold"), Text(words))
    console.out.print(table)
    for heading, sentences in (("Problems", found.problems), ("What is slow", found.advice)):
        if sentences:
            console.tell(f"\n{heading}:")
        for sentence in sentences:
            console.tell(f"  {sentence}")
    if not found.problems:
        console.tell("\nNothing keeps sisegcli from working.")
    raise typer.Exit(found.exit_code)


def rows(found: Checkup) -> Iterable[tuple[str, str]]:
    """Yield what was found, and under which heading."""
    from sisegcli.running.checkup import EXTRAS, SIDE

    yield "versions", ", ".join(f"{name} {version or 'missing'}" for name, version in found.versions.items())
    yield "device", f"{found.device}: {found.why}"
    its = found.processor
    yield "processor", f"{its['machine']}, {its['instructions']}; {its['threads']} threads on {its['cores']} cores"
    there = {True: "yes", False: "no"}
    yield "", f"oneDNN: {there[its['onednn']]}; bfloat16 in hardware: {there[its['bfloat16']]}"
    if found.engine not in (None, "torch"):
        yield "network", f"exported, run by {found.engine}, in float32"
    elif found.fused is not None:
        better = its["bfloat16"] and found.fused and found.computes_in == "float32"
        why = " (bfloat16 would be faster, and less accurate)" if better else ""
        yield "network", f"{'fused' if found.fused else 'not fused'}, in {found.computes_in}{why}"
    if found.forward_seconds is not None:
        yield "speed", f"{found.forward_seconds:.2f} s a forward pass, of one image of {SIDE} × {SIDE} pixels"
    for name, fault in found.weights.items():
        yield "weights", f"{name}: {fault or 'verified'}"
    for name, packages in found.extras.items():
        missing = [package for package, version in packages.items() if version is None]
        state = f"{', '.join(missing)} missing; pip install 'sisegcli[{name}]'" if missing else "there"
        yield "extra", f"{name} ({EXTRAS[name].about}): {state}"
