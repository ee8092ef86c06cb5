"""Batches of an indexing run."""

import pytest

from polyglance.indexing.reading import BATCH, batch_sizes


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("items", [0, 1, BATCH, 2 * BATCH + 1, 50, 1000])
def test_batches_keep_all_workers_busy_to_the_end(items: int, workers: int) -> None:
    sizes = batch_sizes(items, workers)
    assert sum(sizes) == items
    assert all(0 < size <= BATCH for size in sizes)
    rounds = [sizes[start : start + workers] for start in range(0, len(sizes), workers)]
    assert all(len(one) == workers for one in rounds[:-1])
    assert sum(map(max, rounds)) == -(-items // workers)
