"""Draws what the next steps need while this one is computed."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, Final, Generic, TypeVar

import torch

T = TypeVar("T")
_PROCESSES: Final = 12


class Ahead(Generic[T]):
    """Returns what `draw` returns for a step, and has the steps after it drawn meanwhile.

    draw: depends on the step alone. pool: that draws. steps: how many it is ahead.
    """

    def __init__(self, draw: Callable[[int], T], pool: Executor, steps: int) -> None:
        self._draw, self._pool, self._steps = draw, pool, steps
        self._drawn: dict[int, Future[T]] = {}

    def __call__(self, step: int) -> T:
        wanted = range(step, step + 1 + self._steps)
        for late in self._drawn.keys() - set(wanted):
            self._drawn.pop(late).cancel()
        for one in wanted:
            if one not in self._drawn:
                self._drawn[one] = self._pool.submit(self._draw, one)
        return self._drawn.pop(step).result()


def in_thread(draw: Callable[[int], T]) -> Ahead[T]:
    """Draws one step ahead in a thread."""
    return Ahead(draw, ThreadPoolExecutor(1), 1)


def in_processes(draw: Callable[[int], T], processes: int = _PROCESSES) -> Ahead[T]:
    """Draws in forked processes, which have no GPU. draw: returns tensors on the CPU."""
    pool = ProcessPoolExecutor(processes, get_context("fork"), _remember, (draw,))
    return Ahead(_remembered, pool, 2 * processes)


def ahead(draw: Callable[[int], T], device: torch.device) -> Ahead[T]:
    """Draws in a thread if steps are computed on the CPU, else in several processes. draw: as for `in_processes`."""
    return in_thread(draw) if device.type == "cpu" else in_processes(draw)


_here: dict[str, Callable[[int], Any]] = {}
"""In a process that draws: what it draws with."""


def _remember(draw: Callable[[int], Any]) -> None:
    torch.set_num_threads(1)
    _here["draw"] = draw


def _remembered(step: int) -> Any:
    return _here["draw"](step)
