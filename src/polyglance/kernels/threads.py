"""Threads that compute side by side, each with a share of torch's."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Lock

import torch

_SETTING = Lock()


@contextmanager
def sharing_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of so many threads, which share torch's number of threads between them. All other threads keep that
    number, those that begin meanwhile as well, and any number of pools may overlap."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            with _SETTING:
                threads = torch.get_num_threads()
                together = Barrier(workers)
                for taken in [pool.submit(_take, threads // workers, together) for _ in range(workers)]:
                    taken.result()
                torch.set_num_threads(threads)  # which a thread takes that begins
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _take(threads: int, together: Barrier) -> None:
    """In each of the workers, which wait for each other, so that none takes the place of two."""
    torch.get_num_threads()  # a thread's first look at its number gives it torch's
    torch.set_num_threads(threads)
    together.wait()
