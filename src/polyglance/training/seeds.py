"""Random numbers of a training: each step has its own generator, so that a resumed run draws the same numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from polyglance.errors import ConfigurationError

LARGEST_SEED: Final = 2**32 - 1
_GOLDEN: Final = 0x9E3779B1
"""2**32 over the golden ratio: its multiples lie far apart modulo 2**32, so that the steps of two seeds do not
overlap."""


def check_seed(seed: int) -> None:
    """Raises ConfigurationError unless the seed is from 0 to `LARGEST_SEED`."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigurationError(f"expected a seed from 0 to {LARGEST_SEED:,}, got {seed}")


def generator_of(seed: int, step: int) -> torch.Generator:
    """Returns the generator of a step or an epoch.

    Seed and step are mixed into 32 bits, because torch's CPU generator ignores higher bits.
    """
    return torch.Generator().manual_seed((seed * _GOLDEN + step) % 2**32)


@contextmanager
def seeded(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """A context in which modules that draw from torch's global generators, such as dropout, draw what belongs to a
    step. The generators are restored afterwards.

    device: of the modules.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(generator_of(seed, step).initial_seed())
        yield
