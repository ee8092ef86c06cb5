"""The size of the experiment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The size of a run; the defaults give the figures of the documentation.

    scenes: the number of training pictures, with two captions each. pools: the numbers of test pictures in the pools;
    each pool is the beginning of the next larger one. queries: the number of pictures with a query, which all pools
    contain. sampled: the number of queries for which the cross-encoder scores the whole pool, for each pool.
    candidates: the numbers of candidates to rerank. blends: the shares of the cosine in the score. epochs, batch,
    learning_rate: the settings of each training. sweep_scenes: the number of pictures on which each way to store states
    is trained. body: the fingerprint of the model that all trainings begin from, so that neither models nor rows of two
    of them are mixed.
    """

    scenes: int = 30_000
    pools: tuple[int, ...] = (1000, 5000, 50_000)
    queries: int = 1000
    sampled: tuple[int, ...] = (1000, 50, 10)
    candidates: tuple[int, ...] = (5, 10, 20, 50)
    blends: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5)
    epochs: int = 1
    batch: int = 96
    learning_rate: float = 3e-4
    sweep_scenes: int = 10_000
    body: str = ""


SMALL = Settings(
    scenes=24,
    pools=(12, 20),
    queries=12,
    sampled=(12, 3),
    candidates=(2, 4),
    blends=(0.0, 0.2),
    epochs=1,
    batch=8,
    sweep_scenes=12,
)
"""Settings that run through everything in seconds."""
