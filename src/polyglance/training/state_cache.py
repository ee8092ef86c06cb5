"""States of examples in the lower layers of a frozen encoder, computed once and kept.

No adapter is trained below its drop depth (AdapterDrop, arXiv:2010.11918): the states there are the same in every
epoch, so that an epoch runs only the layers above.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyglance import atomic
from polyglance.errors import ConfigurationError
from polyglance.nn.encoder import Encoder
from polyglance.types import StageProgress

BATCH: Final = 64
"""The number of examples that go through the lower layers at once."""


class Inputs(Protocol):
    """Fixed examples and the frozen encoder that reads them."""

    @property
    def encoder(self) -> Encoder: ...
    @property
    def fingerprint(self) -> str:
        """A hash of all weights that the states depend on."""
        ...

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Everything else that `embed` reads: token ids, masks, states of pictures."""
        ...

    def __len__(self) -> int: ...
    def embed(
        self, rows: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows tokens width"], Bool[Tensor, "rows tokens"]]:
        """Returns the input of the first layer for some examples, and its mask, which is False for padding."""
        ...


@dataclass(frozen=True, eq=False)
class KeptStates:
    """The states of examples before some layers, without padding.

    encoder: the frozen encoder. tokens: the real tokens of all examples, concatenated, in memory or mapped from a file.
    lengths: the number of tokens of each example. depths: the layers, ascending. key: a hash of everything that the
    states depend on. seconds: the time that computing them took.
    """

    encoder: Encoder
    tokens: Float[Tensor, "real depths width"]
    lengths: Int[Tensor, " examples"]
    depths: tuple[int, ...]
    key: str
    seconds: float

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def width(self) -> int:
        return self.tokens.shape[2]

    @property
    def nbytes(self) -> int:
        return self.tokens.nbytes

    def before(
        self, layer: int, rows: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows tokens width"], Bool[Tensor, "rows tokens"]]:
        """Returns the states of some examples before a layer and their mask, on the encoder's device and in its dtype.

        The layers above the nearest kept depth are run without gradients. Raises ConfigurationError if no depth up to
        `layer` was kept.
        """
        below = [depth for depth in self.depths if depth <= layer]
        if not below:
            raise ConfigurationError(f"expected states kept before layer {layer} or a lower one, got {self.depths}")
        lengths = self.lengths[rows]
        ends = lengths.cumsum(0)
        index = torch.arange(int(ends[-1])) + (self._starts[rows] - ends + lengths).repeat_interleave(lengths)
        real = torch.arange(int(lengths.max())) < lengths[:, None]
        parameter = next(self.encoder.parameters())
        packed = self.tokens[index, self.depths.index(below[-1])].to(parameter.dtype)
        x = packed.new_zeros(*real.shape, packed.shape[1])
        x[real] = packed
        x, mask = x.to(parameter.device), real.to(parameter.device)
        if below[-1] < layer:
            with torch.no_grad():
                x = self.encoder(x, mask, layers=range(below[-1], layer))
        return x, mask

    @cached_property
    def _starts(self) -> Int[Tensor, " examples"]:
        return self.lengths.cumsum(0) - self.lengths


def keep_states(
    inputs: Inputs,
    depths: Sequence[int] = (0,),
    folder: Path | None = None,
    dtype: torch.dtype = torch.bfloat16,
    report: StageProgress | None = None,
    stage: str = "reading",
) -> KeptStates:
    """Runs all examples through the layers below the deepest of `depths` and keeps their states before each depth.

    inputs: the examples. depths: layers of the encoder. folder: where to keep the states in files that are mapped; None
    keeps them in memory. States that the folder already holds are not computed again, unless they are incomplete or for
    another body, other examples, depths or another dtype. dtype: of the kept states. report: called with the progress.
    stage: the name of this work in the progress.

    Raises ConfigurationError if there are no examples, or a depth is not a layer of the encoder.
    """
    depths = tuple(sorted(set(depths)))
    layers = len(inputs.encoder.layers)
    if not len(inputs):
        raise ConfigurationError("expected one or more examples, got none")
    if not depths or depths[0] < 0 or depths[-1] >= layers:
        raise ConfigurationError(f"expected depths from 0 to {layers - 1} in {layers} layers, got {list(depths)}")
    key = states_key(inputs, depths, dtype)
    computed = partial(_computed, inputs, depths, dtype, stage, report)
    if folder is None:
        return _in_memory(inputs.encoder, computed, depths, key)
    folder.mkdir(parents=True, exist_ok=True)
    if (states := _mapped(inputs.encoder, folder, depths, dtype, key)) is None:
        _write(computed, folder, key)
        states = _mapped(inputs.encoder, folder, depths, dtype, key)
    assert states is not None
    return states


def states_key(inputs: Inputs, depths: Sequence[int], dtype: torch.dtype) -> str:
    """Returns a hash of everything that kept states depend on: the body, the examples, the depths and the dtype."""
    facts = json.dumps([inputs.fingerprint, list(depths), str(dtype)])
    return sha256(facts.encode() + hash_of(inputs.tensors)).hexdigest()[:32]


def hash_of(tensors: Mapping[str, Tensor]) -> bytes:
    """Returns a hash of the tensors' names, dtypes, shapes and values."""
    digest = sha256()
    for name, value in sorted(tensors.items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(_bytes_of(value))
    return digest.digest()


def weights_fingerprint(module: nn.Module) -> str:
    """Returns a hash of a module's weights, for bodies without a fingerprint of their own."""
    return hash_of(module.state_dict()).hex()[:16]


_Computed = Callable[[], Iterator[tuple[Float[Tensor, "real depths width"], Int[Tensor, " rows"]]]]


def _computed(
    inputs: Inputs, depths: Sequence[int], dtype: torch.dtype, stage: str, report: StageProgress | None
) -> Iterator[tuple[Float[Tensor, "real depths width"], Int[Tensor, " rows"]]]:
    """Yields, for each batch, the real tokens and the number of tokens of each example."""
    total = len(inputs)
    if report:
        report(stage, 0, total, {})
    for rows in torch.arange(total).split(BATCH):
        with torch.no_grad():
            x, mask = inputs.embed(rows)
            done, kept = 0, []
            for depth in depths:
                x = inputs.encoder(x, mask, layers=range(done, depth)) if depth > done else x
                kept.append(x[mask].to("cpu", dtype))
                done = depth
        yield torch.stack(kept, dim=1), mask.sum(dim=1).cpu()
        if report:
            report(stage, int(rows[-1]) + 1, total, {})


def _in_memory(encoder: Encoder, computed: _Computed, depths: tuple[int, ...], key: str) -> KeptStates:
    started = time.perf_counter()
    tokens, lengths = zip(*computed(), strict=True)
    seconds = time.perf_counter() - started
    return KeptStates(encoder, torch.cat(tokens), torch.cat(lengths), depths, key, seconds)


# -- on disk: KEY.states, the tokens' bytes; KEY.json, their description, which is written last ----------------------


def _write(computed: _Computed, folder: Path, key: str) -> None:
    started = time.perf_counter()
    lengths: list[int] = []
    width = 0
    with atomic.whole(folder / f"{key}.states") as draft, draft.open("wb") as file:
        for tokens, rows in computed():
            file.write(_bytes_of(tokens))
            lengths.extend(rows.tolist())
            width = tokens.shape[2]
    facts = {"width": width, "seconds": time.perf_counter() - started, "lengths": lengths}
    atomic.write_text(folder / f"{key}.json", json.dumps(facts))


def _mapped(encoder: Encoder, folder: Path, depths: tuple[int, ...], dtype: torch.dtype, key: str) -> KeptStates | None:
    """Maps kept states from the folder; returns None if they are missing or incomplete."""
    path = folder / f"{key}.states"
    try:
        facts: dict[str, Any] = json.loads((folder / f"{key}.json").read_bytes())
        lengths = torch.tensor(facts["lengths"])
        shape = (int(lengths.sum()), len(depths), facts["width"])
        size = shape[0] * shape[1] * shape[2]
        if path.stat().st_size != size * dtype.itemsize:
            return None
    except (OSError, ValueError):
        return None
    tokens = torch.from_file(str(path), shared=False, size=size, dtype=dtype).view(shape)
    return KeptStates(encoder, tokens, lengths, depths, key, facts["seconds"])


def _bytes_of(value: Tensor) -> memoryview:
    return memoryview(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
