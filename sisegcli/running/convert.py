"""The conversion of a folder: pairs → samples, read ahead → method, in batches → outputs, in the order of the pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import groupby

from sisegcli.categories import Categories
from sisegcli.data.category_lists import load_categories
from sisegcli.data.colours import read_colour_table
from sisegcli.data.layouts import Archives, Layout, Problem, find_archives, find_pairs, pair_archives
from sisegcli.data.masks import MaskReader
from sisegcli.errors import SisegError, StalledError, StorageError, WorkerError
from sisegcli.methods import Method, build_method, needs_images
from sisegcli.running.details import describe_image, describe_input, describe_work
from sisegcli.running.fetching import Fetching, Read
from sisegcli.running.interrupts import Interrupts
from sisegcli.running.journal import Journal
from sisegcli.running.lanes import map_in_lanes
from sisegcli.running.listener import Listener
from sisegcli.running.memory import Holes
from sisegcli.running.options import ConvertOptions
from sisegcli.running.outputs import Outputs, check_apart
from sisegcli.running.reading import LargeSample, Sample, map_ahead, read_sample
from sisegcli.running.resuming import Work, list_problems, take_up
from sisegcli.running.segmenting import Batch, Worker
from sisegcli.running.settling import Finished, Settler
from sisegcli.running.shards import ShardRecord, take_part
from sisegcli.running.stalls import Readers
from sisegcli.running.summary import Summary
from sisegcli.running.tiling import Tiler
from sisegcli.stages import STAGES, profiled

NO_CATEGORY = {"background", "unlabeled", "unlabelled", "void", "ignore", "other", "none"}
"""Names, in category lists, of what is no category."""


def convert(
    options: ConvertOptions,
    listener: Listener | None = None,
    method: Method | None = None,
    *,
    fetch: Callable[[Read], Read] | None = None,
    told: Callable[[str], str] = str,
) -> Summary:
    """Convert a folder of images and semantic masks to instances.

    Whatever cannot be read, paired or written is listed in the summary, and everything else is converted. On Ctrl-C
    the batches at hand are finished (an image in tiles is given up), and the outputs are closed with all images until
    then. However a run ends, the journal in its output folder knows which images are done.

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
    told : callable, optional
        Turns text with local places into what the user knows them as, for the journal.

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
        If an output exists already, lies in the input, is written by another run, or is that of a run with other
        options that cannot be resumed; before any work.
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
    summary = Summary(layout.description, options.method, found=len(layout.pairs))

    def notice(note: str) -> None:
        summary.notes.append(note)
        listener.noticed(note)

    for note in _notes(masks, categories):
        notice(note)
    _tell(listener, describe_input(layout, masks, categories))
    with (
        profiled(options.profile) as stages,
        ExitStack() as stack,
        ThreadPoolExecutor(options.workers, thread_name_prefix="sisegcli") as pool,
        Readers(options.workers, options.timeout) as readers,
    ):
        journal = stack.enter_context(closing(Journal(options.output, overwrite=options.overwrite)))
        make_outputs = partial(_outputs, options, categories, pool)
        outputs, work = take_up(journal, options, categories, layout, summary, told, make_outputs)
        listener.resumed(summary.resumed)
        stack.callback(lambda: journal.close(remove=outputs.untouched))
        settler = Settler(outputs, journal, summary, categories, ahead=2 * options.workers)
        holes = Holes()
        stopped: SisegError | None = None
        try:
            interrupts = Interrupts(listener.stopping)
            if not work.numbers:
                results: Iterator[Finished] = iter(())
            elif options.engine == "ray" and method is None:
                from sisegcli.running.chunks import Task
                from sisegcli.running.on_ray import work_on_ray

                _tell(listener, describe_work(options))
                results = work_on_ray(Task(options, categories, masks, fetch), work, interrupts)
            elif options.processes > 1 and method is None:
                from sisegcli.running.chunks import Task
                from sisegcli.running.in_processes import work_in_processes

                _tell(listener, describe_work(options))
                results = work_in_processes(Task(options, categories, masks, fetch), work, interrupts, notice)
            else:
                if method is None:
                    method = build(options, categories)
                    _tell(listener, describe_work(options))
                tiler = Tiler(options, method, masks, listener, interrupts)
                results = run(options, work, masks, method, readers, interrupts, tiler, fetch, notice)
            with interrupts:
                for finished in results:
                    for row in settler.settle(finished, told):
                        listener.detailed(describe_image(work.pairs[row.number].stem, row))
                    listener.advanced(len(finished.numbers))
                    holes.give_back()
                settler.finish()
            summary.interrupted = interrupts.noted
            if summary.converted:
                summary.outputs = outputs.close(journal)
                if journal.done < summary.converted:
                    summary.recount(journal.finished(), categories)
        except (StorageError, StalledError, WorkerError) as error:
            stopped = error
            journal.save()
            summary.recount(journal.finished(), categories)
        except Exception:  # of this program: what is done stays done
            with suppress(Exception):
                settler.finish()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            settler.abort()
            outputs.abort()
        summary.problems = list_problems(journal, layout, work, stopped)
        if stopped is None and record is not None:
            record.finish(summary, options.output)
        if stopped is None and summary.outputs:
            journal.end()
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


def _outputs(options: ConvertOptions, categories: Categories, pool: Executor, replace: bool) -> Outputs:
    return Outputs(
        options.output,
        categories,
        options.to,
        polygons=options.polygons,
        overlays=options.overlay,
        legend=options.legend,
        overwrite=replace,
        pool=pool,
    )


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


def _tell(listener: Listener, details: Iterator[str]) -> None:
    for detail in details:
        listener.detailed(detail)


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


def run(
    options: ConvertOptions,
    work: Work,
    masks: MaskReader,
    method: Method,
    readers: Executor,
    interrupts: Interrupts,
    tiler: Tiler,
    fetch: Callable[[Read], Read] | None,
    noticed: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Finished]:
    """Read and segment pairs in batches, until an interrupt is noted.

    A batch is what is left of a block of the list of all pairs, so that the network sees the same images together
    wherever a run begins, and whatever cannot be read.
    """
    looks = needs_images(method)
    whole: Read = partial(read_sample, masks=masks, decode=looks or options.overlay)
    read = tiler.defer(fetch(whole) if fetch else whole)
    size = options.batch_size if looks else 1
    samples = map_ahead(read, (work.pairs[number] for number in work.numbers), readers, size + options.workers)
    yield from map_in_lanes(Worker(method, tiler, noticed), _batches(work.numbers, samples, size, interrupts), method)


def _batches(
    numbers: Sequence[int],
    samples: Iterator[Sample | LargeSample | Problem],
    size: int,
    interrupts: Interrupts,
) -> Iterator[Batch]:
    """Put samples of a block together; large ones come alone. After an interrupt there are no more."""
    for _, block in groupby(numbers, lambda number: number // size):
        batch: Batch = []
        for number in block:
            sample = next(samples)
            if interrupts.noted:
                return
            if isinstance(sample, LargeSample):
                yield from [batch] if batch else []
                yield [(number, sample)]
                batch = []
            else:
                batch.append((number, sample))
        if batch:
            yield batch
