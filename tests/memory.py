"""How much memory Python takes for something."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def allocating_at_most(limit: int) -> Iterator[None]:
    """Fails where Python's allocators, which numpy uses as well, held more than `limit` bytes at once inside."""
    tracemalloc.start()
    try:
        yield
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most <= limit, f"expected at most {limit:,} bytes, got {most:,}"
