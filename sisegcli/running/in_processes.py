"""The work of a conversion in several processes of this machine, each with a Python, a method and a device of its own.

Python runs one thread at a time, so one process leaves most of many cores, and of a GPU beside them, idle. Outputs are
written where the run was started. Whoever is killed, by the system for want of memory say, is replaced: its chunk is
tried once more, then in halves, until only pairs are left that kill a process alone; these are problems.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from sisegcli.data.layouts import Problem
from sisegcli.errors import SisegError, WorkerError
from sisegcli.running.chunks import ChunkWorker, Task, chunks_of
from sisegcli.running.interrupts import Interrupts
from sisegcli.running.memory import keep_freed_memory
from sisegcli.running.messages import pack_pairs, unpack_batches, unpack_pairs
from sisegcli.running.resuming import Work
from sisegcli.running.settling import Finished
from sisegcli.stages import add_seconds, profiled

TRIES = 2
"""Processes that a chunk may cost before it is halved, and that a single pair may cost before it is a problem."""
STARTS = 3
"""Processes in a row that may end before they are ready to work."""
PATIENCE = 0.2
"""Seconds between two looks at whether the run was interrupted."""
GRACE = 10.0
"""Seconds that a process may take to end."""


def work_in_processes(
    task: Task, work: Work, interrupts: Interrupts, noticed: Callable[[str], None]
) -> Iterator[Finished]:
    """Read and segment pairs in several processes, until an interrupt is noted; results come in the order of the pairs.

    Raises
    ------
    SisegError
        What building the method raises.
    WorkerError
        If processes end before they begin.
    """
    chunks = chunks_of(work, task.options.batch_size, takers=task.options.processes)
    team = _Team(task, work, noticed)
    try:
        yield from team.convert(chunks, interrupts)
    finally:
        team.end()


@dataclass(frozen=True, slots=True)
class _Chunk:
    numbers: list[int]
    deaths: int = 0

    @property
    def first(self) -> int:
        return self.numbers[0]


@dataclass(slots=True)
class _Member:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    chunk: _Chunk | None = None


class _Team:
    """Processes, and what each of them works on."""

    def __init__(self, task: Task, work: Work, noticed: Callable[[str], None]) -> None:
        self._task, self._work, self._noticed = task, work, noticed
        self._again: list[_Chunk] = []
        self._done: dict[int, list[Finished]] = {}
        self._false_starts = 0
        self._all_dealt = False
        self._members: list[_Member] = []

    def _start(self) -> _Member:
        context = multiprocessing.get_context("spawn")  # what is forked with threads, or with CUDA, may hang
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self._task, theirs), name="sisegcli", daemon=True)
        try:
            with _deaf():
                process.start()
        except OSError as error:
            raise WorkerError(f"A process cannot be started ({error.strerror}); use fewer --processes.") from error
        theirs.close()
        return _Member(process, ours)

    def convert(self, chunks: Iterator[list[int]], interrupts: Interrupts) -> Iterator[Finished]:
        """Deal chunks out; yield what comes back in the order of the chunks."""
        options = self._task.options
        for _ in range(min(options.processes, -(-len(self._work.numbers) // options.batch_size))):
            self._members.append(self._start())
        while not interrupts.noted:
            for member in self._members:
                if member.ready and member.chunk is None:
                    self._deal(member, chunks)
            under_way = [member.chunk.first for member in self._members if member.chunk is not None]
            under_way += [chunk.first for chunk in self._again]
            for first in sorted(self._done):
                if not under_way or first < min(under_way):
                    yield from self._done.pop(first)
            if self._all_dealt and not under_way:
                return
            heard = wait([member.connection for member in self._members], PATIENCE)
            for member in [member for member in self._members if member.connection in heard]:
                self._hear(member)

    def _deal(self, member: _Member, chunks: Iterator[list[int]]) -> None:
        """Give a process something to do, unless too much waits for an earlier chunk already."""
        if self._again:
            self._again.sort(key=lambda chunk: chunk.first)
            member.chunk = self._again.pop(0)
        elif len(self._done) < 2 * len(self._members):
            numbers = next(chunks, None)
            if numbers is None:
                self._all_dealt = True
                return
            member.chunk = _Chunk(numbers)
        if member.chunk is not None:
            pairs = {number: self._work.pairs[number] for number in member.chunk.numbers}
            with suppress(OSError):  # it is dead, which will be heard
                member.connection.send_bytes(pack_pairs(pairs))

    def _hear(self, member: _Member) -> None:
        try:
            kind, said = member.connection.recv()
        except (EOFError, OSError):
            self._replace(member)
            return
        if kind == "ready":
            member.ready, self._false_starts = True, 0
        elif kind == "done" and member.chunk is not None:
            packed, seconds = said
            self._done[member.chunk.first], member.chunk = unpack_batches(packed), None
            add_seconds(seconds)
        elif kind == "notice":
            self._noticed(said)
        elif kind == "failed":
            raise said
        else:
            raise RuntimeError(f"a process of the conversion failed:\n{said}")

    def _replace(self, dead: _Member) -> None:
        """Put another process in the place of one that died, and have its chunk done again."""
        dead.connection.close()
        _await_end(dead.process)
        if not dead.ready:
            self._false_starts += 1
            if self._false_starts == STARTS:
                raise WorkerError(
                    f"{STARTS} processes ended before they began to work (exit code {dead.process.exitcode}), as where "
                    "memory is short; use fewer --processes, and go on with --resume."
                )
        if dead.chunk is not None:
            self._put_back(dead.chunk)
        self._members[self._members.index(dead)] = self._start()

    def _put_back(self, chunk: _Chunk) -> None:
        numbers, deaths = chunk.numbers, chunk.deaths + 1
        if deaths < TRIES:
            self._again.append(_Chunk(numbers, deaths))
        elif len(numbers) > 1:
            half = len(numbers) // 2
            self._again += [_Chunk(numbers[:half], deaths - 1), _Chunk(numbers[half:], deaths - 1)]
        else:
            image = self._work.pairs[chunk.first].image
            sentence = f"{image} ended the process that converted it, twice (memory?); use a smaller image."
            self._done[chunk.first] = [Finished(numbers, [Problem(image, sentence)], 0.0)]

    def end(self) -> None:
        """End all processes, whatever they do."""
        for member in self._members:
            member.process.terminate()
        for member in self._members:
            _await_end(member.process)
            member.connection.close()


def _await_end(process: BaseProcess) -> None:
    """Wait until a process has ended, which it is about to; kill it if it takes long."""
    process.join(GRACE)
    if process.exitcode is None:
        process.kill()
        process.join()


def _serve(task: Task, connection: Connection) -> None:
    """Work on chunks, in a process of its own, until whoever deals them out is gone."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other's affair
    try:
        keep_freed_memory()
        with profiled(task.options.profile) as stages:
            worker = ChunkWorker(task, lambda sentence: connection.send(("notice", sentence)))
            _share_threads(task.options.processes)
            connection.send(("ready", None))
            while True:
                packed = worker.convert(unpack_pairs(connection.recv_bytes()))
                connection.send(("done", (packed, dict(stages))))
                stages.clear()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except SisegError as error:
        _say(connection, ("failed", error))
    except BaseException:
        _say(connection, ("broken", traceback.format_exc()))


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, which may be killed, and end at once."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _say(connection: Connection, message: tuple[str, Any]) -> None:
    with suppress(OSError):
        connection.send(message)


def _share_threads(processes: int) -> None:
    """Leave each process its part of the cores."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))


@contextmanager
def _deaf() -> Iterator[None]:
    """While entered, processes are started that never hear Ctrl-C, not even before they can ignore it."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
