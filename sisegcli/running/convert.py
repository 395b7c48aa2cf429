"""The conversion of a folder: pairs → samples, read ahead → method, in batches → outputs, in the order of the pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.data.colours import read_colour_table
from sisegcli.data.layouts import Archives, Layout, Problem, find_archives, find_pairs, pair_archives
from sisegcli.data.masks import MaskReader
from sisegcli.errors import SisegError
from sisegcli.instances import Segmentation
from sisegcli.methods import Method, build_method, needs_images
from sisegcli.running.fetching import Fetching, Read
from sisegcli.running.interrupts import Interrupts
from sisegcli.running.lanes import map_in_lanes
from sisegcli.running.listener import Listener
from sisegcli.running.options import ConvertOptions
from sisegcli.running.outputs import Outputs, check_apart
from sisegcli.running.reading import LargeSample, Sample, map_ahead, read_sample
from sisegcli.running.shards import ShardRecord, take_part
from sisegcli.running.summary import Summary
from sisegcli.running.tiling import Tiler
from sisegcli.stages import STAGES, profiled

NO_CATEGORY = {"background", "unlabeled", "unlabelled", "void", "ignore", "other", "none"}
"""Names, in category lists, of what is no category."""

Done = tuple[Sample | LargeSample, Segmentation] | Problem


def convert(
    options: ConvertOptions,
    listener: Listener | None = None,
    method: Method | None = None,
    *,
    fetch: Callable[[Read], Read] | None = None,
) -> Summary:
    """Convert a folder of images and semantic masks to instances.

    Whatever cannot be read, paired or written is listed in the summary, and everything else is converted. On Ctrl-C
    the batches at hand are finished (an image in tiles is given up), and the outputs are closed with all images until
    then.

    Parameters
    ----------
    options : ConvertOptions
        What to do.
    listener : Listener, optional
        Hears how it goes.
    method : Method, optional
        Used instead of building the one that the options name; this process does the work then.
    fetch : callable, optional
        Makes the reader of pairs fetch them from elsewhere first.

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
    layout = _find(options)
    if layout.name == "webdataset":
        fetch = Fetching.of(Archives())
    categories = load_categories(options.categories) if options.categories else layout.categories or Categories()
    colours = read_colour_table(options.colours) if options.colours else None
    masks = layout.values.reader(options.background, options.ignore, colours, options.max_pixels)
    check_apart(options.output, layout)
    record = None
    if options.shard is not None:
        record = ShardRecord.begin(options.shard, layout, options)
        layout = take_part(layout, options.shard, options.batch_size if options.method == "siseg" else 1)
    listener.found(layout, options.output)
    summary = Summary(layout.description, options.method, found=len(layout.pairs), problems=list(layout.problems))
    for note in _notes(masks, categories):
        summary.notes.append(note)
        listener.noticed(note)
    with (
        profiled(options.profile) as stages,
        ThreadPoolExecutor(options.workers, thread_name_prefix="sisegcli") as pool,
    ):
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
            interrupts = Interrupts(listener.stopping)
            if options.engine == "ray" and method is None:
                from sisegcli.running.on_ray import work_on_ray

                results = work_on_ray(options, layout, categories, masks, interrupts, fetch)
            else:
                method = method or build(options, categories)
                tiler = Tiler(options, method, masks, listener, interrupts)
                results = work(options, layout, masks, method, pool, interrupts, tiler, fetch)
            with interrupts:
                for done in results:
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
    if record is not None:
        record.finish(summary, options.output)
    summary.seconds = time.perf_counter() - start
    summary.stages = {name: stages[name] for name in STAGES if name in stages}
    return summary


def _find(options: ConvertOptions) -> Layout:
    """Find out what is to be converted: archives or a folder."""
    named = options.images or options.masks or options.split
    archives = find_archives(options.root) if options.root is not None and not named else []
    if archives:
        return pair_archives(archives)
    return find_pairs(options.root, images=options.images, masks=options.masks, split=options.split)


def _notes(masks: MaskReader, categories: Categories) -> Iterator[str]:
    """Tell of named categories whose pixels the options take for something else."""
    for option, value in (("background", masks.background), ("ignore", masks.ignore)):
        if value is None or value not in categories:
            continue
        if categories.name(value).strip("_").lower() not in NO_CATEGORY:
            yield (
                f"Note: {value} is {categories.name(value)!r} in the category list, but --{option} {value} takes it "
                f"away; pass --{option} none if it is a category."
            )


def build(options: ConvertOptions, categories: Categories) -> Method:
    """Build the method that the options name."""
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


def work(
    options: ConvertOptions,
    layout: Layout,
    masks: MaskReader,
    method: Method,
    pool: Executor,
    interrupts: Interrupts,
    tiler: Tiler,
    fetch: Callable[[Read], Read] | None,
) -> Iterator[Done]:
    """Read and segment all pairs in batches, until an interrupt is noted."""
    looks = needs_images(method)
    whole: Read = partial(read_sample, masks=masks, decode=looks or options.overlay)
    read = tiler.defer(fetch(whole) if fetch else whole)
    size = options.batch_size if looks else 1
    samples = map_ahead(read, layout.pairs, pool, size + options.workers)
    for done in map_in_lanes(partial(_segment, method, tiler), _batches(samples, size, interrupts), method):
        yield from done


def _batches(
    samples: Iterable[Sample | LargeSample | Problem], size: int, interrupts: Interrupts
) -> Iterator[Sequence[Sample] | LargeSample | Problem]:
    """Put samples together; large ones and what could not be read come alone. After an interrupt there are no more."""
    batch: list[Sample] = []
    for sample in samples:
        if interrupts.noted:
            return
        if isinstance(sample, Problem):
            yield sample
            continue
        if isinstance(sample, LargeSample):
            if batch:
                yield batch
            batch = []
            yield sample
            continue
        batch.append(sample)
        if len(batch) == size:
            yield batch
            batch = []
    if batch and not interrupts.noted:
        yield batch


def _segment(method: Method, tiler: Tiler, batch: Sequence[Sample] | LargeSample | Problem) -> list[Done]:
    """Segment a batch; if it fails, halve it until only the images that fail alone are left as problems."""
    if isinstance(batch, Problem):
        return [batch]
    if isinstance(batch, LargeSample):
        done = tiler.segment(batch)
        return [] if done is None else [done]
    try:
        found = method.segment([sample.image for sample in batch], [sample.mask for sample in batch])
    except Exception as error:
        if not (isinstance(error, SisegError) or _out_of_memory(error)):
            raise
        if len(batch) == 1:
            return [Problem(batch[0].pair.image, _sentence(batch[0], error))]
    else:
        return list(zip(batch, found, strict=True))
    half = len(batch) // 2
    return _segment(method, tiler, batch[:half]) + _segment(method, tiler, batch[half:])


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
