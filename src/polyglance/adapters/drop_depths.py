"""The drop depths of an adapter: what each costs in time and in quality, measured once and saved beside the weights.

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
    """One depth: the median time of a forward pass in milliseconds, and its quality (higher is better)."""

    depth: int
    milliseconds: float
    quality: float


@dataclass(frozen=True)
class DepthTable:
    """The costs of all drop depths of one adapter. Times hold for the machine that measured them."""

    measured: tuple[DepthCost, ...]

    def depth(self, budget: float) -> int:
        """The best depth that takes no longer than `budget` milliseconds; of equals the fastest.

        Raises ConfigurationError where none is fast enough.
        """
        fitting = [one for one in self.measured if one.milliseconds <= budget]
        if not fitting:
            fastest = min(self.measured, key=lambda one: one.milliseconds)
            raise ConfigurationError(
                f"expected a budget of at least {fastest.milliseconds:.2f} ms, which the fastest depth, "
                f"{fastest.depth}, takes; got {budget:g} ms"
            )
        return max(fitting, key=lambda one: (one.quality, -one.milliseconds)).depth

    def drop(self, part: Composition, budget: float) -> Drop:
        """The composition at the depth that the budget allows; errors as of `depth`."""
        return Drop(part, self.depth(budget))

    def save(self, folder: Path) -> None:
        """Writes `depths.json` beside the weights in a folder, which it belongs to."""
        document = {"weights": _weights_hash(folder), "depths": [asdict(one) for one in self.measured]}
        atomic.write_text(folder / FILE, json.dumps(document, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote. Raises CheckpointError where it is missing or torn, or the weights are others by now."""
        path = folder / FILE
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            measured = tuple(DepthCost(**one) for one in document["depths"])
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

    forward: runs the model at a depth; timed `rounds` times, all depths in turns, after a first time that does not
    count. quality: at a depth, on data of the caller's.
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
    found = sha256()
    for path in sorted(folder.glob("*.safetensors")):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]
