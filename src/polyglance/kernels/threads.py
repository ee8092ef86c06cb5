"""A pool of threads that divide torch's threads among them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Lock

import torch

_SETTING = Lock()


@contextmanager
def sharing_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Opens a pool of threads that compute with an equal share of torch's threads each.

    All other threads keep torch's number, also those started meanwhile. Any number of pools may be open at once.

    workers: the number of threads in the pool.
    """
    with ThreadPoolExecutor(workers) as pool:
        try:
            with _SETTING:
                threads = torch.get_num_threads()
                together = Barrier(workers)
                for taken in [pool.submit(_take, threads // workers, together) for _ in range(workers)]:
                    taken.result()
                torch.set_num_threads(threads)  # a new thread takes this number
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _take(threads: int, together: Barrier) -> None:
    """Sets a worker's number of threads; workers wait for each other, so that each runs this once."""
    torch.get_num_threads()  # the first call in a thread sets its number to torch's
    torch.set_num_threads(threads)
    together.wait()
