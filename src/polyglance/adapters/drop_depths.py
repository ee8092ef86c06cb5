"""The time and quality of each drop depth of an adapter, measured once and saved beside the weights.

table = measure_depths(layers, forward, quality)
table.save(folder)
composition = DepthTable.load(folder).drop("vqa", budget=12.0)
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from polyglance import atomic
from polyglance.adapters.composition import Composition, Drop
from polyglance.errors import CheckpointError, ConfigurationError

FILE: Final = "depths.json"
ROUNDS: Final = 15


@dataclass(frozen=True)
class DepthCost:
    """One drop depth, the median time of a forward pass in milliseconds, and the quality (higher is better)."""

    depth: int
    milliseconds: float
    quality: float


@dataclass(frozen=True)
class DepthTable:
    """The time and quality of all drop depths of one adapter. Times hold for the machine that measured them."""

    measured: tuple[DepthCost, ...]

    def depth(self, budget: float) -> int:
        """Returns the depth of best quality that takes at most `budget` milliseconds; the fastest of equally good ones.

        Raises ConfigurationError if no depth is fast enough.
        """
        fitting = [cost for cost in self.measured if cost.milliseconds <= budget]
        if not fitting:
            fastest = min(self.measured, key=lambda cost: cost.milliseconds)
            raise ConfigurationError(
                f"expected a budget of at least {fastest.milliseconds:.2f} ms, which the fastest depth, "
                f"{fastest.depth}, takes; got {budget:g} ms"
            )
        return max(fitting, key=lambda cost: (cost.quality, -cost.milliseconds)).depth

    def drop(self, part: Composition, budget: float) -> Drop:
        """Drops a composition to the depth that `depth` returns for the budget in milliseconds.

        Raises ConfigurationError if no depth is fast enough.
        """
        return Drop(part, self.depth(budget))

    def save(self, folder: Path) -> None:
        """Writes `depths.json` beside the weights in a folder, with a hash of those weights."""
        document = {"weights": _weights_hash(folder), "depths": [asdict(cost) for cost in self.measured]}
        atomic.write_text(folder / FILE, json.dumps(document, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads a table that `save` wrote.

        Raises CheckpointError if the file is missing or damaged, or the weights beside it have changed since.
        """
        path = folder / FILE
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            measured = tuple(DepthCost(**cost) for cost in document["depths"])
            weights = document["weights"]
            if not measured:
                raise ValueError("expected one or more depths")
        except FileNotFoundError as error:
            raise CheckpointError(
                f"{folder} holds no {FILE}: train the adapter for any depth (robust), or call measure_depths"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} does not say what depths cost and are worth: {error}") from error
        if weights != _weights_hash(folder):
            raise CheckpointError(f"{path} was measured with other weights than those beside it: measure them again")
        return cls(measured)


def measure_depths(
    layers: int, forward: Callable[[int], object], quality: Callable[[int], float], rounds: int = ROUNDS
) -> DepthTable:
    """Measures every depth from 0 to layers - 1.

    layers: the number of layers. forward: runs the model at a depth; it is timed `rounds` times after one untimed call,
    with the depths in turn. quality: returns the quality at a depth, on the caller's data. rounds: the number of timed
    calls per depth.
    """
    depths = range(layers)
    times: dict[int, list[float]] = {depth: [] for depth in depths}
    for turn in range(rounds + 1):
        for depth in depths:
            started = time.perf_counter()
            forward(depth)
            if turn:
                times[depth].append(1000 * (time.perf_counter() - started))
    return DepthTable(
        tuple(DepthCost(depth, round(statistics.median(times[depth]), 4), quality(depth)) for depth in depths)
    )


def _weights_hash(folder: Path) -> str:
    digest = sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
