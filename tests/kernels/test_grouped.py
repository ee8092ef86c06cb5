import pytest
import torch
from torch.nn import functional as F

from polyglance.kernels import grouped
from polyglance.kernels.grouped import FEW_ROWS, Bottlenecks, Groups, bottlenecks_onto

WEIGHTS = Bottlenecks(torch.randn(5, 3, 8), torch.randn(5, 3), torch.randn(5, 8, 3), torch.randn(5, 8), "relu")


def one_by_one(x: torch.Tensor, groups: Groups, onto: torch.Tensor) -> torch.Tensor:
    out = onto.clone()
    for slot, (start, end) in zip(groups.slots, groups.spans, strict=True):
        hidden = F.relu(x[start:end] @ WEIGHTS.down[slot].T + WEIGHTS.down_bias[slot])
        out[start:end] += hidden @ WEIGHTS.up[slot].T + WEIGHTS.up_bias[slot]
    return out


GROUPS = {
    "one": Groups((2,), (4,)),
    "equal and few": Groups((1, 2, 3), (4, 8, 12)),
    "equal, out of order": Groups((4, 0), (2, 4)),
    "unequal": Groups((0, 3, 1), (1, 6, 8)),
    "equal and many": Groups((0, 1), (FEW_ROWS + 1, 2 * FEW_ROWS + 2)),
}


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("case", GROUPS)
def test_each_row_has_the_weights_of_its_group(case: str, gradients: bool) -> None:
    groups = GROUPS[case]
    x, onto = torch.randn(groups.ends[-1], 8), torch.randn(groups.ends[-1], 8)
    with torch.set_grad_enabled(gradients):
        got = bottlenecks_onto(x, WEIGHTS, groups, onto)
    torch.testing.assert_close(got, one_by_one(x, groups, onto), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", GROUPS)
def test_the_grouped_product_of_a_gpu_is_the_same(case: str) -> None:
    """torch computes `grouped_mm` on a CPU as well; rows of 16 bytes are what it asks for."""
    groups = GROUPS[case]
    wide = Bottlenecks(torch.randn(5, 8, 16), torch.randn(5, 8), torch.randn(5, 16, 8), torch.randn(5, 16), "gelu")
    x, onto = torch.randn(groups.ends[-1], 16), torch.randn(groups.ends[-1], 16)
    torch.testing.assert_close(
        grouped._grouped(x, wide, groups, onto), bottlenecks_onto(x, wide, groups, onto), atol=1e-4, rtol=1e-4
    )
