"""``sisegcli evaluate``."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sisegcli.cli import options as shared
from sisegcli.cli.options import INPUT, OUTPUT
from sisegcli.cli.printable import printable

if TYPE_CHECKING:
    import rich.console
    from rich.table import Table

    from sisegcli.categories import Categories
    from sisegcli.evaluation import Report
    from sisegcli.instances import Instance


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PRED",
            help="What convert wrote: its output folder, or one of the formats in it (all but cvat and voc-boxes); or "
            "such files of other programs, and COCO results.",
            show_default=False,
        ),
    ],
    gt: Annotated[
        Path,
        typer.Option(
            "--gt",
            metavar="DIR|FILE",
            help="Ground truth: a VOC folder (SegmentationObject and SegmentationClass), a COCO file of instances or "
            "panoptic segments, Cityscapes, ADE20K, or a folder with instances and masks of label PNGs or TIFFs.",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only images listed in ImageSets/Segmentation/NAME.txt; for a COCO file, a text file of image names; "
            "for Cityscapes and ADE20K, a folder such as val.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    max_bytes: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Refuse larger COCO files, which are read whole; the default is 1 GiB.",
            show_default=False,
            rich_help_panel=INPUT,
        ),
    ] = 2**30,
    per_category: Annotated[
        bool, typer.Option("--per-category", help="Print a line for each category too.", rich_help_panel=OUTPUT)
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report as JSON.", rich_help_panel=OUTPUT)
    ] = None,
    overwrite: shared.Overwrite = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the report as JSON, and nothing else.", rich_help_panel=OUTPUT),
    ] = False,
    verbose: shared.Verbose = False,
    quiet: shared.Quiet = False,
) -> None:
    """Compare instances with ground truth: COCO, boundary and VOC AP, PQ, and what was split, merged, missed, made up.

    Void pixels are ignored on both sides. Figures are in percent, in JSON from 0 to 1.
    """
    from sisegcli.cli.console import Console
    from sisegcli.evaluation import evaluate as run
    from sisegcli.evaluation import load_predictions, load_truth
    from sisegcli.formats.files import refuse_existing, replacing

    if out is not None:
        refuse_existing(out, overwrite=overwrite)
    console = Console(as_json, verbose=verbose, quiet=quiet)
    truth = load_truth(gt, split, max_bytes, console.watch)
    console.detail(_counted("Ground truth", [image.instances for image in truth.images.values()], truth.categories))
    found = load_predictions(predictions, truth, max_bytes, console.watch)
    console.detail(_counted("Predictions", found.images.values(), found.categories))
    report = run(found.images, truth, categories=found.categories, notes=found.notes, watch=console.watch)
    text = report.to_text()
    if out is not None:
        with replacing(out, tidy=True) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    if as_json:
        typer.echo(text)
    else:
        _print(report, per_category, console.out)
        for note in report.notes:
            console.tell(f"Note: {note}")


def _counted(what: str, images: Collection[list[Instance]], categories: Categories) -> str:
    """Say how much was read."""
    found = sum(map(len, images))
    return f"{what}: {len(images):,} images, {found:,} instances, {len(categories):,} categories with a name."


def _print(report: Report, per_category: bool, console: rich.console.Console) -> None:
    faults = report.faults
    coco = {"AP": report.ap, "AP50": report.ap50, "AP75": report.ap75}
    sizes = {"small": report.ap_small, "medium": report.ap_medium, "large": report.ap_large, "AR": report.ar}
    edges = report.boundary
    near = {"AP": edges.ap, "AP50": edges.ap50, "AP75": edges.ap75}
    near |= {"small": edges.ap_small, "medium": edges.ap_medium, "large": edges.ap_large}
    segments = report.panoptic
    tables = [
        _table("COCO, %", [(name, [_percent(value)]) for name, value in {**coco, **sizes}.items()]),
        _table("Boundary AP, %", [(name, [_percent(value)]) for name, value in near.items()]),
        _table(
            "Panoptic quality, %",
            [
                ("", list(segments)),
                ("PQ", [_percent(quality.pq) for quality in segments.values()]),
                ("SQ", [_percent(quality.sq) for quality in segments.values()]),
                ("RQ", [_percent(quality.rq) for quality in segments.values()]),
                ("categories", [f"{quality.categories:,}" for quality in segments.values()]),
            ],
        ),
        _table("VOC AP, %", [(f"IoU {iou}", [_percent(value)]) for iou, value in report.voc_ap.items()]),
        _table(
            f"Objects in {report.images:,} images",
            [
                ("true", [f"{report.truth:,}"]),
                ("found", [f"{report.predicted:,}"]),
                ("split", [f"{faults.split:,}"]),
                ("merged", [f"{faults.merged:,}"]),
                ("missed", [f"{faults.missed:,}"]),
                ("spurious", [f"{faults.spurious:,}"]),
            ],
        ),
    ]
    if per_category:
        tables += [_category_table(report), _segment_table(report)]
    for table in tables:
        console.print(table)
        console.print()


def _table(title: str, columns: Iterable[tuple[str, list[str]]]) -> Table:
    """Return a table of right-aligned columns, each a name and its cells."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    columns = list(columns)
    for name, _ in columns:
        table.add_column(name, justify="right")
    for cells in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _category_table(report: Report) -> Table:
    rows = [row for row in report.categories if row.compared]
    table = _table(
        "Categories",
        [
            ("category", [row.name for row in rows]),
            ("AP", [_percent(row.ap) for row in rows]),
            ("AP50", [_percent(row.ap50) for row in rows]),
            ("VOC50", [_percent(row.voc_ap[0.5]) for row in rows]),
            ("true", [f"{row.truth:,}" for row in rows]),
            ("found", [f"{row.predicted:,}" for row in rows]),
            ("split", [f"{row.faults.split:,}" for row in rows]),
            ("merged", [f"{row.faults.merged:,}" for row in rows]),
            ("missed", [f"{row.faults.missed:,}" for row in rows]),
            ("spurious", [f"{row.faults.spurious:,}" for row in rows]),
        ],
    )
    table.columns[0].justify = "left"
    return table


def _segment_table(report: Report) -> Table:
    rows = report.categories
    table = _table(
        "Categories: boundaries and segments, %",
        [
            ("category", [row.name for row in rows]),
            ("boundary AP", [_percent(row.boundary_ap) for row in rows]),
            ("PQ", [_percent(row.panoptic.pq) for row in rows]),
            ("SQ", [_percent(row.panoptic.sq) for row in rows]),
            ("RQ", [_percent(row.panoptic.rq) for row in rows]),
        ],
    )
    table.columns[0].justify = "left"
    return table


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f}"
