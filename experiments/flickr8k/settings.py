"""The size of the experiment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The size of a run; the defaults give the figures of the documentation.

    photographs: the number of each split; None means all. twin_epochs, twin_batch, twin_rate: the training of the twin
    encoder. cross_epochs, cross_rate: that of the cross-encoder, which begins from it. joint_epochs, joint_rate: that
    of the joint model, which begins from the cross-encoder. batch, drop_tokens: of both.
    candidates: the numbers of candidates to rerank. blends: the shares of the cosine in the score. all_pairs: the
    number of captions, and of photographs, that are matched with everything. sampled: those that are asked at each drop
    depth, and for each way to store states. grids: the numbers of image tokens per side that are kept.
    """

    photographs: int | None = None
    twin_epochs: int = 12
    twin_batch: int = 512
    twin_rate: float = 1e-3
    cross_epochs: int = 4
    cross_rate: float = 5e-4
    joint_epochs: int = 4
    joint_rate: float = 3e-4
    batch: int = 96
    drop_tokens: float = 0.2
    candidates: tuple[int, ...] = (5, 10, 20, 50)
    blends: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5)
    all_pairs: tuple[int, int] = (199, 39)
    sampled: tuple[int, int] = (2499, 1000)
    grids: tuple[int, ...] = (8, 6, 4, 3)


SMALL = Settings(
    photographs=8,
    twin_epochs=1,
    twin_batch=16,
    cross_epochs=1,
    joint_epochs=1,
    batch=16,
    candidates=(2, 4),
    blends=(0.0, 0.2),
    all_pairs=(6, 3),
    sampled=(6, 3),
    grids=(2, 1),
)
"""Settings that run through everything in seconds."""
