"""Kept states are the states, for one body, one set of examples and one depth alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.errors import ConfigurationError
from polyglance.training.state_cache import keep_states, states_key, weights_fingerprint
from tests.training.inputs import LAYERS, WIDTH, TinyInputs

DEPTH = 2
ROWS = torch.tensor([3, 0, 11, 3, 19])


@pytest.fixture
def inputs() -> TinyInputs:
    return TinyInputs.make()


@pytest.fixture(params=["memory", "disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "states" if request.param == "disk" else None


def gradients(inputs: TinyInputs, adapter: Adapter, x: Tensor, mask: Tensor, start: int) -> list[Tensor]:
    """Of a loss that reads the first token, in a direction of its own: the sum of squares of what a norm made is the
    same for all inputs, and its gradients are rounding errors."""
    adaptation = Adaptation(TrainableAdapters({"a": adapter}), ["a"] * len(x))
    first, _ = inputs.encoder.first(x, mask, adaptation, start)
    direction = torch.randn(first.shape, generator=torch.Generator().manual_seed(2))
    return list(torch.autograd.grad((first * direction).sum(), list(adapter.parameters())))


@torch.no_grad()
def rounded(inputs: TinyInputs, layer: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(all states before a layer, rounded to the dtype, where they are no padding)."""
    x, mask = inputs.embed(torch.arange(len(inputs)))
    x = inputs.encoder(x, mask, layers=range(layer)) if layer else x
    return x.to(dtype).float(), mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kept", "rounded_at"), [((DEPTH,), DEPTH), ((0,), 0), ((0, 1, 2, 3), DEPTH)])
def test_gradients_are_those_of_the_whole_encoder(inputs, folder, dtype, kept, rounded_at) -> None:
    """Whose states are rounded to the dtype where they are kept; the rest is float32 in both."""
    torch.manual_seed(1)
    adapter = Adapter(AdapterConfig(depth=DEPTH, reduction_factor=4), WIDTH, LAYERS)
    x, mask = rounded(inputs, rounded_at, dtype)
    expected = gradients(inputs, adapter, x[ROWS], mask[ROWS], rounded_at)
    states = keep_states(inputs, kept, folder, dtype)
    got = gradients(inputs, adapter, *states.before(DEPTH, ROWS), DEPTH)
    for one, other in zip(got, expected, strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_are_kept_to_the_digits_of_their_dtype(inputs, folder, dtype) -> None:
    exact, mask = rounded(inputs, DEPTH, torch.float32)
    x, _ = keep_states(inputs, (DEPTH,), folder, dtype).before(DEPTH, torch.arange(len(inputs)))
    assert ((x - exact)[mask].abs() <= torch.finfo(dtype).eps * exact[mask].abs() + 1e-6).all()


def test_each_example_is_embedded_once(inputs, folder) -> None:
    states = keep_states(inputs, (1, 3), folder)
    for _ in range(3):
        states.before(1, ROWS)
        states.before(2, ROWS)
    assert inputs.embedded == list(range(len(inputs)))


def test_padding_costs_nothing(inputs, folder) -> None:
    states = keep_states(inputs, (1,), folder)
    assert states.nbytes == int(inputs.mask.sum()) * WIDTH * torch.bfloat16.itemsize
    x, mask = states.before(1, ROWS)
    assert torch.equal(mask.sum(dim=1), inputs.mask[ROWS].sum(dim=1))
    assert not x[~mask].any()


CHANGES: dict[str, Callable[[TinyInputs], TinyInputs]] = {
    "body": lambda inputs: inputs.but(fingerprint="another"),
    "one id": lambda inputs: inputs.but(ids=torch.where(torch.arange(140).view(20, 7) == 70, 0, inputs.ids)),
    "mask": lambda inputs: inputs.but(mask=inputs.mask | (torch.arange(7) < 4)),
    "order": lambda inputs: inputs.but(ids=inputs.ids.flip(0)),
    "type": lambda inputs: inputs.but(ids=inputs.ids.int()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_states_of_something_else_are_never_taken(inputs, tmp_path, change) -> None:
    before = keep_states(inputs, (DEPTH,), tmp_path)
    other = CHANGES[change](inputs)
    after = keep_states(other, (DEPTH,), tmp_path)
    assert after.key != before.key
    assert len(other.embedded) == len(other)


def test_the_key_tells_depths_and_dtypes_apart(inputs) -> None:
    choices = [((1,), torch.float32), ((2,), torch.float32), ((1, 2), torch.float32), ((1,), torch.bfloat16)]
    assert len({states_key(inputs, depths, dtype) for depths, dtype in choices}) == len(choices)


def test_a_fingerprint_is_of_the_weights(inputs) -> None:
    before = weights_fingerprint(inputs.encoder)
    assert weights_fingerprint(TinyInputs.make(seed=5).encoder) == before
    with torch.no_grad():
        next(inputs.encoder.parameters())[0] += 1
    assert weights_fingerprint(inputs.encoder) != before


def test_what_is_on_disk_is_taken_up(inputs, tmp_path) -> None:
    first = keep_states(inputs, (DEPTH,), tmp_path)
    again = inputs.but()
    second = keep_states(again, (DEPTH,), tmp_path)
    assert again.embedded == []
    assert torch.equal(first.tokens, second.tokens)
    assert second.seconds == first.seconds
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".states"]


@pytest.mark.parametrize("suffix", ["states", "json"])
@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_what_is_torn_is_computed_again(inputs, tmp_path, suffix, harm) -> None:
    whole = keep_states(inputs, (DEPTH,), tmp_path)
    expected = whole.tokens.clone()
    harm(tmp_path / f"{whole.key}.{suffix}")
    again = inputs.but()
    assert torch.equal(keep_states(again, (DEPTH,), tmp_path).tokens, expected)
    assert len(again.embedded) == len(again)


def test_a_reading_that_fails_leaves_nothing(inputs, tmp_path) -> None:
    class Broken(TinyInputs):
        def embed(self, rows):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_states(Broken(inputs.encoder, inputs.ids, inputs.mask), (DEPTH,), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("depths", [(), (-1,), (LAYERS,), (0, 9)])
def test_depths_that_are_no_layers_are_refused(inputs, depths) -> None:
    with pytest.raises(ConfigurationError, match="0 to 3"):
        keep_states(inputs, depths)


def test_states_below_a_layer_are_needed(inputs) -> None:
    states = keep_states(inputs, (DEPTH,))
    with pytest.raises(ConfigurationError, match="kept before layer 1"):
        states.before(1, ROWS)
    with pytest.raises(ConfigurationError, match="one or more examples"):
        keep_states(inputs.but(ids=inputs.ids[:0], mask=inputs.mask[:0]))
