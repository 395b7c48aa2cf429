"""``sisegcli convert``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sisegcli.cli import options as shared
from sisegcli.cli.options import METHOD, OUTPUT, RUNNING, mask_options, tile_size
from sisegcli.formats import FORMATS


class MethodName(str, Enum):
    """Names of methods on the command line."""

    siseg = "siseg"
    components = "components"
    watershed = "watershed"


class Engine(str, Enum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


class Edges(str, Enum):
    """Whether outer edges may move."""

    auto = "auto"
    keep = "keep"
    refine = "refine"


def convert(
    root: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="Folder of images and semantic masks: a VOC devkit, images/ + masks/, flat pairs, a known data set "
            "(sisegcli formats lists them), or tar files as WebDataset has them (x.jpg, x.mask.png). Not needed with "
            "both --images and --masks. Folders may be URLs: s3://, gs://, https://.",
            show_default=False,
        ),
    ] = None,
    split: shared.Split = None,
    images: shared.Images = None,
    masks: shared.Masks = None,
    background: shared.Background = "auto",
    ignore: shared.Ignore = "auto",
    categories: shared.CategoryList = None,
    colours: shared.Colours = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Output folder; by default ./NAME-instances for an input NAME.", rich_help_panel=OUTPUT
        ),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Format; repeatable. {', '.join(FORMATS)}: sisegcli formats describes them. By default coco.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    polygons: Annotated[
        bool, typer.Option("--polygons", help="Polygons instead of run-lengths in COCO files.", rich_help_panel=OUTPUT)
    ] = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Draw pictures of the instances, too.", rich_help_panel=OUTPUT)
    ] = False,
    no_legend: Annotated[
        bool, typer.Option("--no-legend", help="Leave the list of categories out of pictures.", rich_help_panel=OUTPUT)
    ] = False,
    overwrite: shared.Overwrite = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --out where it ended, however that was; start it if there is none.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: shared.Json = False,
    verbose: shared.Verbose = False,
    quiet: shared.Quiet = False,
    method: Annotated[
        MethodName,
        typer.Option(
            help="siseg: the network. components, watershed: baselines that look at the mask alone.",
            rich_help_panel=METHOD,
        ),
    ] = MethodName.siseg,
    weights: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Weights of the network.", rich_help_panel=METHOD)
    ] = "default",
    edges: Annotated[
        Edges,
        typer.Option(
            help="keep: the mask is trusted, only borders between instances move. refine: outer edges move, too. "
            "auto: they move in images whose mask is rough, as a network's is.",
            rich_help_panel=METHOD,
        ),
    ] = Edges.auto,
    no_refine: Annotated[
        bool, typer.Option("--no-refine", help="Skip the walk that refines borders.", rich_help_panel=METHOD)
    ] = False,
    min_area: Annotated[
        int, typer.Option(min=0, metavar="PIXELS", help="Remove smaller instances.", rich_help_panel=METHOD)
    ] = 0,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, metavar="0…1", help="Remove worse instances.", rich_help_panel=METHOD)
    ] = 0.0,
    device: shared.Device = "auto",
    tile: Annotated[
        str,
        typer.Option(
            metavar="auto|N|off",
            help="Cut larger images into overlapping tiles of N pixels. auto: images of 90 megapixels and more; with "
            "weights that see images at their own scale (small objects), of 8 megapixels as the network sees them.",
            rich_help_panel=RUNNING,
        ),
    ] = "auto",
    max_pixels: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Refuse larger images and masks, by what their header says; the default is 2 to the 30th.",
            show_default=False,
            rich_help_panel=RUNNING,
        ),
    ] = 2**30,
    batch_size: Annotated[
        int, typer.Option(min=1, metavar="N", help="Images that the network sees at once.", rich_help_panel=RUNNING)
    ] = 8,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Threads that read ahead; by default up to 4.", rich_help_panel=RUNNING),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="Give up an image that is not read by then, as on a network path that stalls; 0: never.",
            rich_help_panel=RUNNING,
        ),
    ] = 300,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Also print how long each stage took.", rich_help_panel=RUNNING),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Convert only part I of N, each with an --out of its own; sisegcli merge joins them.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="local: this machine. ray: a Ray cluster.", rich_help_panel=RUNNING)
    ] = Engine.local,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="The Ray cluster; by default the one of this machine, or one started for the run.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Processes that do the work, each with its own threads and network: for GPUs, and many cores.",
            rich_help_panel=RUNNING,
        ),
    ] = 1,
) -> None:
    """Convert images and semantic masks to object instances.

    What can't be read or paired is listed at the end (exit code 1); all else is converted.
    Ctrl-C keeps all images that are done (exit code 130). After that, or if the run was killed, --resume does the rest.
    """
    from sisegcli.cli.console import Console, ConvertProgress
    from sisegcli.running.anywhere import convert_anywhere as run
    from sisegcli.running.memory import keep_freed_memory
    from sisegcli.running.options import ConvertOptions
    from sisegcli.running.shards import Shard

    chosen = ConvertOptions(
        root=root,
        split=split,
        images=images,
        masks=masks,
        out=out,
        to=tuple(to or ["coco"]),
        polygons=polygons,
        overlay=overlay,
        legend=not no_legend,
        overwrite=overwrite,
        resume=resume,
        timeout=timeout,
        method=method.value,
        weights=weights,
        edges=edges.value,
        refine=not no_refine,
        min_area=min_area,
        min_score=min_score,
        device=device,
        tile=tile_size(tile),
        max_pixels=max_pixels,
        batch_size=batch_size,
        profile=profile,
        shard=None if shard is None else Shard.parse(shard),
        engine=engine.value,
        ray_address=ray_address,
        processes=processes,
        **mask_options(background, ignore, categories, colours),
        **({} if workers is None else {"workers": workers}),
    )
    keep_freed_memory()
    console = Console(as_json, verbose=verbose, quiet=quiet)
    with ConvertProgress(console) as progress:
        summary = run(chosen, progress)
    console.show(summary)
    raise typer.Exit(summary.exit_code)
