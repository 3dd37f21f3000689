"""Work in pieces, in this process or in fresh ones, with its progress shown."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import track


class Run(Protocol):
    """Like ``map``, in order."""

    def __call__[T, R](self, work: Callable[[T], R], tasks: Sequence[T], /) -> Iterator[R]:
        """Yield what ``work`` makes of each task."""


@contextmanager
def pieces(jobs: int, label: str = "Computing", *, shown: bool = True) -> Iterator[Run]:
    """Give a ``map`` over so many processes.

    Fresh processes: a fork would inherit the threads of the numerical libraries. One thread
    each, since the processes already use the processors.
    """
    console = Console(stderr=True)

    def here[T, R](work: Callable[[T], R], tasks: Sequence[T], /) -> Iterator[R]:
        yield from track(map(work, tasks), label, len(tasks), console=console, disable=not shown)

    if jobs == 1:
        yield here
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:

        def spread[T, R](work: Callable[[T], R], tasks: Sequence[T], /) -> Iterator[R]:
            results = pool.map(work, tasks)
            yield from track(results, label, len(tasks), console=console, disable=not shown)

        yield spread
