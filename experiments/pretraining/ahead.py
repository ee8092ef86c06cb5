"""Draws what the next step needs while this one is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Returns what `draw` returns for a step, and starts drawing for the next step in a thread.

    draw: depends on the step alone.
    """

    def __init__(self, draw: Callable[[int], T]) -> None:
        self._draw = draw
        self._next: tuple[int, Future[T]] | None = None
        self._thread = ThreadPoolExecutor(1)

    def __call__(self, step: int) -> T:
        drawn = self._next[1].result() if self._next and self._next[0] == step else self._draw(step)
        self._next = (step + 1, self._thread.submit(self._draw, step + 1))
        return drawn
