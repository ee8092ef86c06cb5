"""Draws what the next steps need while this one is computed."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")
_PROCESSES: Final = 12
_LAST_STEP: Final = 10**9


def ahead(draw: Callable[[int], T], device: torch.device) -> Callable[[int], T]:
    """Returns a function like `draw` that is faster if it is called for one step after the other.

    draw: depends on the step alone, and returns tensors on the CPU. device: that computes the steps; a fast one is
    served by several processes.
    """
    return AheadInThread(draw) if device.type == "cpu" else AheadInProcesses(draw)


class AheadInThread(Generic[T]):
    """Draws for the next step in a thread."""

    def __init__(self, draw: Callable[[int], T]) -> None:
        self._draw = draw
        self._next: tuple[int, Future[T]] | None = None
        self._thread = ThreadPoolExecutor(1)

    def __call__(self, step: int) -> T:
        drawn = self._next[1].result() if self._next and self._next[0] == step else self._draw(step)
        self._next = (step + 1, self._thread.submit(self._draw, step + 1))
        return drawn


class AheadInProcesses(Generic[T]):
    """Draws for several of the next steps, each in a process."""

    def __init__(self, draw: Callable[[int], T], processes: int = _PROCESSES) -> None:
        self._draw, self._processes = draw, processes
        self._next = -1
        self._drawn: Iterator[T] = iter(())

    def __call__(self, step: int) -> T:
        if step != self._next:
            self._drawn = iter(
                DataLoader(
                    _Steps(self._draw),
                    batch_size=None,
                    sampler=range(step, _LAST_STEP),
                    num_workers=self._processes,
                    collate_fn=_as_it_is,
                    multiprocessing_context="fork",
                )
            )
        self._next = step + 1
        return next(self._drawn)


class _Steps(Dataset[T]):
    def __init__(self, draw: Callable[[int], T]) -> None:
        self._draw = draw

    def __getitem__(self, step: int) -> T:
        return self._draw(step)


def _as_it_is(drawn: T) -> T:
    return drawn
