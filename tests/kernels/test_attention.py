"""The formula, in each of the ways that it is computed."""

import math

import pytest
import torch

from polyglance.kernels.attention import attention

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.03}


def formula(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(q.shape[-1])
    return torch.einsum("bhqk,bhkd->bhqd", (scores + (0 if bias is None else bias)).softmax(-1), v)


@pytest.mark.parametrize("asking", ["all", "one"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tokens", [7, 32])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_outputs_and_gradients_are_those_of_the_formula(dtype, tokens: int, masked: bool, asking: str) -> None:
    torch.manual_seed(tokens)
    bias = torch.zeros(3, 1, 1, tokens) if masked else None
    if bias is not None:
        bias[1, ..., 4:] = -1e4
    x = torch.randn(3, 2, 3, tokens, 8).to(dtype)
    results = []
    for compute, cast in ((attention, dtype), (formula, torch.float32)):
        leaf = x.to(cast, copy=True).requires_grad_()
        q, k, v = leaf.unbind(2)
        out = compute(q[:, :, :1] if asking == "one" else q, k, v, bias)
        assert out.dtype == cast
        (out.float() * torch.arange(8)).sum().backward()
        results.append((out.float(), leaf.grad.float()))
    for got, expected in zip(*results, strict=True):
        scale = expected.abs().max().item()
        torch.testing.assert_close(got / scale, expected / scale, atol=TOLERANCE[dtype], rtol=0)


def test_a_masked_token_is_not_attended_to() -> None:
    q, k, v = torch.randn(3, 1, 2, 5, 8).unbind()
    bias = torch.zeros(1, 1, 1, 5)
    bias[..., 3] = -1e4
    for dtype in TOLERANCE:
        first = attention(q.to(dtype), k.to(dtype), v.to(dtype), bias)
        k[..., 3, :], v[..., 3, :] = 50.0, -50.0
        assert torch.equal(attention(q.to(dtype), k.to(dtype), v.to(dtype), bias), first)
