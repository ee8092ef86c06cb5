import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.kernels.linear import _PACKED, linear, linear_onto

ACTIVATIONS = {
    None: lambda x: x,
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_fused_product_is_the_product(activation, dtype: torch.dtype) -> None:
    x, layer, onto = torch.randn(5, 16), nn.Linear(16, 8), torch.randn(5, 8)
    plain = F.linear(x, layer.weight, layer.bias)
    expected = ACTIVATIONS[activation](plain)
    x, onto, layer = x.to(dtype), onto.to(dtype), layer.to(dtype)
    close = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.05, "rtol": 0.02}
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            out = linear(x, layer.weight, layer.bias, activation)
            torch.testing.assert_close(out.float(), expected, **close)
            added = linear_onto(x, layer.weight, layer.bias, onto)
            torch.testing.assert_close(added.float(), plain + onto.float(), **close)


def _step(layer: nn.Linear) -> None:
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    with torch.enable_grad():
        layer(torch.randn(3, 16)).sum().backward()
    optimizer.step()


def _in_inference_mode(layer: nn.Linear) -> None:
    with torch.inference_mode():
        layer.weight.data.mul_(2)


WRITES: dict[str, Callable[[nn.Linear], object]] = {
    "in place": lambda layer: layer.weight.mul_(2),
    "through data": lambda layer: layer.weight.data.mul_(2),
    "a value through data": lambda layer: layer.weight.data[3, 5].fill_(9),
    "rows in another order": lambda layer: layer.weight.data.copy_(layer.weight.flip(0)),
    "through numpy": lambda layer: layer.weight.detach().numpy().fill(2),
    "other data": lambda layer: setattr(layer.weight, "data", torch.randn(16, 16)),
    "data transposed": lambda layer: setattr(layer.weight, "data", layer.weight.data.t()),
    "from a vector": lambda layer: nn.utils.vector_to_parameters(torch.randn(16 * 17), layer.parameters()),
    "another dtype": lambda layer: layer.double(),
    "another dtype and back": lambda layer: layer.bfloat16().float(),
    "a state": lambda layer: layer.load_state_dict(nn.Linear(16, 16).state_dict()),
    "a state, assigned": lambda layer: layer.load_state_dict(nn.Linear(16, 16).state_dict(), assign=True),
    "in inference mode": _in_inference_mode,
    "a step of an optimizer": _step,
}


@torch.no_grad()
@pytest.mark.parametrize("write", WRITES)
def test_a_changed_weight_is_used_as_it_is_now(write: str) -> None:
    layer = nn.Linear(16, 16)
    linear(torch.randn(3, 16), layer.weight, layer.bias)
    WRITES[write](layer)
    x = torch.randn(3, 16, dtype=layer.weight.dtype)
    for _ in range(2):
        torch.testing.assert_close(linear(x, layer.weight, layer.bias), F.linear(x, layer.weight, layer.bias))
        torch.testing.assert_close(
            linear_onto(x, layer.weight, layer.bias, x), x + F.linear(x, layer.weight, layer.bias)
        )


@torch.no_grad()
def test_a_weight_is_ordered_once_however_it_is_read() -> None:
    layer, x = nn.Linear(16, 16), torch.randn(3, 16)
    linear(x, layer.weight, layer.bias)
    ordered = _PACKED[layer.weight]
    for read in (partial(layer, x), partial(copy.deepcopy, layer), partial(str, layer.weight), layer.weight.bfloat16):
        read()
    linear(x, layer.weight, layer.bias)
    assert _PACKED[layer.weight] is ordered
    layer.weight.data.mul_(2)
    linear(x, layer.weight, layer.bias)
    assert _PACKED[layer.weight] is not ordered


@torch.no_grad()
def test_writes_to_mapped_memory_are_seen(tmp_path: Path) -> None:
    """torch cannot tell of them, so that nothing is kept."""
    save_file({"weight": torch.randn(16, 16)}, tmp_path / "weight.safetensors")
    weight, x = nn.Parameter(load_file(tmp_path / "weight.safetensors")["weight"]), torch.randn(3, 16)
    torch.testing.assert_close(linear(x, weight, None), F.linear(x, weight))
    weight.data.mul_(2)
    torch.testing.assert_close(linear(x, weight, None), F.linear(x, weight))


def test_threads_may_begin_with_one_weight_at_once() -> None:
    layer, x = nn.Linear(64, 64), torch.randn(8, 64)
    expected = F.linear(x, layer.weight, layer.bias)

    def products(_: int) -> Tensor:
        with torch.no_grad():
            return linear(x, layer.weight, layer.bias)

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(products, range(64)):
            torch.testing.assert_close(found, expected)


def test_gradients_go_through_a_frozen_layer() -> None:
    layer = nn.Linear(16, 8).requires_grad_(False)
    x = torch.randn(3, 16, requires_grad=True)
    linear(x, layer.weight, layer.bias, "gelu").square().sum().backward()
    got, x.grad = x.grad, None
    F.gelu(F.linear(x, layer.weight, layer.bias)).square().sum().backward()
    torch.testing.assert_close(got, x.grad)


def test_under_autocast_the_product_is_torchs() -> None:
    x, layer = torch.randn(3, 16), nn.Linear(16, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert linear(x, layer.weight, layer.bias).dtype == torch.bfloat16
