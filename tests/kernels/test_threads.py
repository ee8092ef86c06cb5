"""Pools that share torch's threads, one inside, beside and after another."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from polyglance.kernels.threads import sharing_threads


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def in_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.mark.parametrize(("workers", "each"), [(1, 4), (2, 2), (4, 1)])
def test_workers_have_a_share_and_all_others_the_whole(workers: int, each: int) -> None:
    with sharing_threads(workers) as pool:
        together = Barrier(workers)

        def numbers() -> int:
            together.wait()
            return torch.get_num_threads()

        taken = [pool.submit(numbers) for _ in range(workers)]
        assert [one.result() for one in taken] == [each] * workers
        assert (torch.get_num_threads(), in_a_new_thread()) == (4, 4)
    assert (torch.get_num_threads(), in_a_new_thread()) == (4, 4)


def test_pools_that_overlap_leave_torch_as_it_was() -> None:
    """The second begins while the first is at work, and ends after it, in a thread of its own."""
    first_is_over, second_has_begun = Barrier(2), Barrier(2)

    def second() -> int:
        with sharing_threads(2) as pool:
            second_has_begun.wait()
            first_is_over.wait()
            return pool.submit(torch.get_num_threads).result()

    with ThreadPoolExecutor(1) as other:
        with sharing_threads(4) as pool:
            assert pool.submit(torch.get_num_threads).result() == 1
            there = other.submit(second)
            second_has_begun.wait()
        first_is_over.wait()
        assert there.result() == 2
    assert (torch.get_num_threads(), in_a_new_thread()) == (4, 4)


def test_what_is_raised_inside_ends_the_pool() -> None:
    with pytest.raises(KeyboardInterrupt), sharing_threads(2) as pool:
        raise KeyboardInterrupt
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(print)
    assert in_a_new_thread() == 4
