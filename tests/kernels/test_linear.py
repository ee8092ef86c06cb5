from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from polyglance.kernels.linear import linear, linear_onto

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


def test_a_changed_weight_is_used_as_it_is_now() -> None:
    x, layer = torch.randn(3, 16), nn.Linear(16, 8)
    with torch.no_grad():
        linear(x, layer.weight, layer.bias)
        layer.weight.mul_(2)
        torch.testing.assert_close(linear(x, layer.weight, layer.bias), F.linear(x, layer.weight, layer.bias))


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
