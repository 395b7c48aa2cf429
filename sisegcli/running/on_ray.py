"""The work of a conversion on a Ray cluster: each actor holds the method and is the local engine on chunks of pairs.

Ray Data deals the chunks out, keeps their order, holds back when outputs are written more slowly than they are made,
and gives the chunk of an actor that died to another. Outputs are written where the run was started.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import Any

from sisegcli.errors import OptionError, SisegError
from sisegcli.running.chunks import ChunkWorker, Task, chunks_of
from sisegcli.running.convert import build
from sisegcli.running.interrupts import Interrupts
from sisegcli.running.messages import pack_pairs, unpack_batches, unpack_pairs
from sisegcli.running.options import ConvertOptions
from sisegcli.running.resuming import Work
from sisegcli.running.settling import Finished

BLOCKS = 20_000
"""Most parts that Ray deals out; of larger sets, several chunks go together."""


def work_on_ray(task: Task, work: Work, interrupts: Interrupts) -> Iterator[Finished]:
    """Read and segment pairs on a cluster, until an interrupt is noted; results come in the order of the pairs.

    The machines need this package and, unless pairs are fetched, the files under the same paths.

    Raises
    ------
    OptionError
        If Ray is not installed or there is no cluster at the address.
    SisegError
        What building the method raises.
    """
    options = task.options
    build(
        replace(options, device="cpu"), task.categories
    )  # weights that cannot be read are found here, not on a machine
    chunks = list(chunks_of(work, options.batch_size))
    with _cluster(options.ray_address) as ray:
        from ray import data as ray_data

        logging.getLogger("ray.data").setLevel(logging.ERROR)  # after the import, which sets it
        context = ray_data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        actors, each = _resources(ray.cluster_resources(), options, len(chunks))
        rows = [{"pairs": pack_pairs({number: work.pairs[number] for number in chunk})} for chunk in chunks]
        results = ray_data.from_items(rows, override_num_blocks=min(len(rows), BLOCKS)).map_batches(
            _Actor,
            fn_constructor_args=(task,),
            batch_size=1,
            compute=ray_data.ActorPoolStrategy(size=actors),
            **each,
        )
        for row in results.iter_rows():
            for finished in unpack_batches(row["done"]):
                if interrupts.noted:
                    return
                yield finished


class _Actor(ChunkWorker):
    """Holds the method on one machine."""

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"done": [self.convert(unpack_pairs(pairs)) for pairs in rows["pairs"]]}


def _resources(there: dict[str, float], options: ConvertOptions, chunks: int) -> tuple[int, dict[str, int]]:
    """Return how many actors there are, and what each of them takes: a GPU if there are any, else a core.

    >>> _resources({"CPU": 16.0, "GPU": 2.0}, ConvertOptions(), chunks=100)
    (2, {'num_gpus': 1})
    >>> _resources({"CPU": 16.0, "GPU": 2.0}, ConvertOptions(device="cpu"), chunks=9)
    (9, {'num_cpus': 1})
    """
    gpus = int(there.get("GPU", 0)) if options.method == "siseg" and options.device != "cpu" else 0
    if gpus:
        return min(gpus, chunks), {"num_gpus": 1}
    return min(max(1, int(there.get("CPU", 1))), chunks), {"num_cpus": 1}


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine; it ends with the run, unless it was there before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
    except ImportError as error:
        raise OptionError("--engine ray needs 'pip install sisegcli[ray]'.") from error
    joined = ray.is_initialized()
    try:
        if not joined:
            ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises plain ones, too
        raise OptionError(f"There is no Ray cluster at {address or 'hand'} ({error}); check --ray-address.") from error
    try:
        with redirect_stdout(sys.stderr):  # where Ray tells of workers that died
            yield ray
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SisegError):
            raise error.cause from error
        raise
    finally:
        if not joined:
            ray.shutdown()
