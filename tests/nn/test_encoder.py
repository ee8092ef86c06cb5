import pytest
import torch

from polyglance.nn.attention import Packing
from polyglance.nn.encoder import Encoder
from polyglance.nn.layer import EncoderLayer, NormPlacement


def mask_of(lengths: list[int]) -> torch.Tensor:
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_neighbours_and_padding_change_nothing(norm: NormPlacement) -> None:
    torch.manual_seed(0)
    encoder = Encoder(2, 16, 4, 32, norm).eval()
    lengths = [5, 1, 9]
    x, mask = torch.randn(3, 9, 16), mask_of(lengths)
    together = encoder(x, mask)
    for row, length in enumerate(lengths):
        alone = encoder(x[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(together[row, :length], alone[0], atol=1e-5, rtol=1e-5)
        assert together[row, length:].abs().sum() == 0


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_equals_torch_encoder_layer_with_the_same_weights(norm: NormPlacement) -> None:
    torch.manual_seed(0)
    ours = Encoder(1, 16, 4, 32, norm).eval()
    theirs = torch.nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=norm == "pre").eval()
    layer = ours.layers[0]
    pairs = {
        "self_attn.in_proj_weight": layer.attention.project_in.weight,
        "self_attn.in_proj_bias": layer.attention.project_in.bias,
        "self_attn.out_proj.weight": layer.attention.project_out.weight,
        "self_attn.out_proj.bias": layer.attention.project_out.bias,
        "linear1.weight": layer.feed_forward[0].weight,
        "linear1.bias": layer.feed_forward[0].bias,
        "linear2.weight": layer.feed_forward[2].weight,
        "linear2.bias": layer.feed_forward[2].bias,
        "norm1.weight": layer.attention_norm.weight,
        "norm1.bias": layer.attention_norm.bias,
        "norm2.weight": layer.feed_forward_norm.weight,
        "norm2.bias": layer.feed_forward_norm.bias,
    }
    theirs.load_state_dict({name: value.detach().clone() for name, value in pairs.items()})
    x, mask = torch.randn(2, 6, 16), mask_of([6, 4])
    expected = ours.last_norm(theirs(x, src_key_padding_mask=~mask))
    torch.testing.assert_close(ours(x, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("lengths", [[5, 1, 9], [4, 4, 4]])
def test_the_first_token_alone_comes_out_as_among_all(norm: NormPlacement, lengths: list[int]) -> None:
    torch.manual_seed(0)
    encoder = Encoder(3, 16, 4, 32, norm).eval()
    mask = mask_of(lengths)
    x = torch.randn(*mask.shape, 16)
    first, halfway = encoder.first(x, mask)
    torch.testing.assert_close(first, encoder(x, mask)[:, 0], atol=1e-5, rtol=1e-5)
    packing = Packing(mask)
    two_layers = encoder.layers[1](encoder.layers[0](packing.pack(x), packing), packing)
    torch.testing.assert_close(halfway, packing.unpack(two_layers))


def test_a_layer_that_became_the_identity_changes_nothing() -> None:
    encoder = Encoder(1, 16, 4, 32)
    x, packing = torch.randn(2, 3, 16), Packing(mask_of([3, 3]))
    layer = encoder.layers[0]
    assert isinstance(layer, EncoderLayer)
    layer.become_identity()
    torch.testing.assert_close(layer(packing.pack(x), packing), packing.pack(x))


@pytest.mark.parametrize("start", [0, 1])
def test_an_empty_range_of_layers_runs_none(start: int) -> None:
    torch.manual_seed(0)
    encoder = Encoder(2, 16, 4, 32).eval()
    x, mask = torch.randn(2, 5, 16), mask_of([5, 3])
    given = encoder(x, mask, layers=range(start, start))
    torch.testing.assert_close(given, x * mask.unsqueeze(-1), atol=0, rtol=0)


def test_packing_keeps_the_real_tokens_alone() -> None:
    packing = Packing(mask_of([2, 3]))
    x = torch.randn(2, 3, 4)
    assert packing.pack(x).shape == (5, 4)
    assert torch.equal(packing.unpack(packing.pack(x)), x * mask_of([2, 3])[..., None])
