"""The conversion of a folder: pairs → samples, read ahead → method, in batches → outputs, in the order of the pairs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.data.colours import read_colour_table
from sisegcli.data.layouts import Layout, Problem, find_pairs
from sisegcli.data.masks import MaskReader
from sisegcli.errors import SisegError
from sisegcli.instances import Segmentation
from sisegcli.methods import Method, build_method, needs_images
from sisegcli.running.interrupts import Interrupts
from sisegcli.running.listener import Listener
from sisegcli.running.options import ConvertOptions
from sisegcli.running.outputs import Outputs, check_apart
from sisegcli.running.reading import LargeSample, Sample, map_ahead, read_sample
from sisegcli.running.summary import Summary
from sisegcli.running.tiling import Tiler

NO_CATEGORY = {"background", "unlabeled", "unlabelled", "void", "ignore", "other", "none"}
"""Names, in category lists, of what is no category."""

Done = tuple[Sample | LargeSample, Segmentation] | Problem


def convert(options: ConvertOptions, listener: Listener | None = None, method: Method | None = None) -> Summary:
    """Convert a folder of images and semantic masks to instances.

    Whatever cannot be read, paired or written is listed in the summary, and everything else is converted. On Ctrl-C
    the image at hand is finished (one in tiles is given up) and the outputs are closed with all images until then.

    Parameters
    ----------
    options : ConvertOptions
        What to do.
    listener : Listener, optional
        Hears how it goes.
    method : Method, optional
        Used instead of building the one that the options name.

    Returns
    -------
    Summary
        What was done, and the problems met.

    Raises
    ------
    LayoutError
        If there are no pairs of images and masks.
    CategoryError, CheckpointError
        If the category list or the weights cannot be read.
    OutputError
        If an output exists already, or lies in the input; before any work.
    """
    start = time.perf_counter()
    listener = listener or Listener()
    layout = find_pairs(options.root, images=options.images, masks=options.masks, split=options.split)
    categories = load_categories(options.categories) if options.categories else layout.categories or Categories()
    colours = read_colour_table(options.colours) if options.colours else None
    masks = MaskReader(options.background, options.ignore, colours)
    check_apart(options.output, layout)
    listener.found(layout, options.output)
    summary = Summary(layout.description, options.method, found=len(layout.pairs), problems=list(layout.problems))
    for note in _notes(options, categories):
        summary.notes.append(note)
        listener.noticed(note)
    with ThreadPoolExecutor(options.workers, thread_name_prefix="sisegcli") as pool:
        outputs = Outputs(
            options.output,
            categories,
            options.to,
            polygons=options.polygons,
            overlays=options.overlay,
            overwrite=options.overwrite,
            pool=pool,
            ahead=2 * options.workers,
        )
        try:
            method = method or _build(options, categories)
            with Interrupts(listener.stopping) as interrupts:
                tiler = Tiler(options, method, masks, listener, interrupts)
                for done in _work(options, layout, masks, method, pool, interrupts, tiler):
                    _settle(done, outputs, summary, categories)
                    listener.advanced(1)
            summary.interrupted = interrupts.noted
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            outputs.abort()
            raise
        if summary.converted:
            summary.outputs, problems = outputs.close()
            summary.problems += problems
        else:
            outputs.abort()
    summary.seconds = time.perf_counter() - start
    return summary


def _notes(options: ConvertOptions, categories: Categories) -> Iterator[str]:
    """Tell of named categories whose pixels the options take for something else."""
    for option, value in (("background", options.background), ("ignore", options.ignore)):
        if value is None or value not in categories:
            continue
        if categories.name(value).strip("_").lower() not in NO_CATEGORY:
            yield (
                f"Note: {value} is {categories.name(value)!r} in the category list, but --{option} {value} takes it "
                f"away; pass --{option} none if it is a category."
            )


def _build(options: ConvertOptions, categories: Categories) -> Method:
    return build_method(
        options.method,
        categories=categories,
        min_area=options.min_area,
        min_score=options.min_score,
        weights=options.weights,
        device=options.device,
        edges=options.edges,
        refine=options.refine,
    )


def _work(
    options: ConvertOptions,
    layout: Layout,
    masks: MaskReader,
    method: Method,
    pool: Executor,
    interrupts: Interrupts,
    tiler: Tiler,
) -> Iterator[Done]:
    """Read and segment all pairs in batches, until an interrupt is noted."""
    looks = needs_images(method)
    read = tiler.defer(partial(read_sample, masks=masks, decode=looks or options.overlay))
    size = options.batch_size if looks else 1
    batch: list[Sample] = []
    for sample in map_ahead(read, layout.pairs, pool, size + options.workers):
        if interrupts.noted:
            return
        if isinstance(sample, Problem):
            yield sample
            continue
        if isinstance(sample, LargeSample):
            yield from _segment(method, batch)
            batch = []
            if (done := tiler.segment(sample)) is not None:
                yield done
            continue
        batch.append(sample)
        if len(batch) == size:
            yield from _segment(method, batch)
            batch = []
    if not interrupts.noted:
        yield from _segment(method, batch)


def _segment(method: Method, batch: Sequence[Sample]) -> Iterator[Done]:
    """Segment a batch; if it fails, halve it until only the images that fail alone are left as problems."""
    if not batch:
        return
    try:
        found = method.segment([sample.image for sample in batch], [sample.mask for sample in batch])
    except Exception as error:
        if not (isinstance(error, SisegError) or _out_of_memory(error)):
            raise
        if len(batch) == 1:
            yield Problem(batch[0].pair.image, _sentence(batch[0], error))
            return
    else:
        yield from zip(batch, found, strict=True)
        return
    half = len(batch) // 2
    yield from _segment(method, batch[:half])
    yield from _segment(method, batch[half:])


def _out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out, on a device too (torch's error is known by name, as torch may not be there)."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _sentence(sample: Sample, error: Exception) -> str:
    if not _out_of_memory(error):
        return str(error)
    height, width = sample.size
    return f"Memory ran out on {sample.pair.image} ({width} × {height} pixels); use --device cpu or a smaller image."


def _settle(done: Done, outputs: Outputs, summary: Summary, categories: Categories) -> None:
    """Write and count one image, or note why that can't be."""
    if not isinstance(done, Problem):
        sample, segmentation = done
        problem = outputs.add(sample, segmentation)
        if problem is None:
            summary.count(segmentation, categories)
            return
        done = problem
    summary.problems.append(done)
