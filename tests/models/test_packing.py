"""Weights in few bits: how near they stay, what they take, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.testing import assert_close

from polyglance.data.tokenization import Tokenizer
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.models.packing import pack, unpack
from polyglance.types import Text
from tests.journeys.tiny import save_tiny_model

EMBEDDINGS = "token_embedding.weight"


def drawn(*shape: int) -> Tensor:
    """Weights whose channels differ in size by orders of magnitude."""
    torch.manual_seed(0)
    return torch.randn(shape) * torch.logspace(-4, 2, shape[0]).view(-1, *[1] * (len(shape) - 1))


def unpacked(packed: dict[str, Tensor], weight: Tensor) -> Tensor:
    (name,) = unpack(packed, {"w": weight.shape})
    assert name == "w"
    return unpack(packed, {"w": weight.shape})["w"]


@pytest.mark.parametrize("shape", [(40, 25), (7, 333), (5, 1, 48, 16), (64, 1, 5, 5), (3, 40, 11)], ids=str)
def test_8_bits_are_within_half_a_step_of_the_channel(shape: tuple[int, ...]) -> None:
    weight = drawn(*shape)
    packed = pack({"w": weight})
    assert {name: (part.dtype, part.shape) for name, part in packed.items()} == {
        "w.int8": (torch.int8, shape),
        "w.scale": (torch.float16, shape[:1]),
    }
    step = packed["w.scale"].float().view(-1, *[1] * (len(shape) - 1))
    assert ((unpacked(packed, weight) - weight).abs() <= step / 2 * 1.0001).all()
    least = weight.flatten(1).abs().amax(1) / 127
    assert (packed["w.scale"] <= least * 1.001 + 2**-24).all()


def test_channels_of_zeros_and_of_the_smallest_values_keep_their_size() -> None:
    weight = torch.zeros(4, 300)
    weight[1], weight[2], weight[3] = 1e-7, -3e-6, 4e5
    for in_4_bits, rtol in (((), 0.005), (("w",), 0.08)):
        packed = pack({"w": weight}, in_4_bits)
        assert packed["w.scale"].all()
        assert_close(unpacked(packed, weight), weight, rtol=rtol, atol=3e-8)


@pytest.mark.parametrize("shape", [(192,), (33,), (20, 128), (20, 33), (4, 3, 64), (2, 3, 5, 7), (1000, 1280)], ids=str)
def test_4_bits_are_nearer_than_the_scale_that_clips_nothing(shape: tuple[int, ...]) -> None:
    weight = drawn(*shape)
    groups = shape[-1] // 64 if shape[-1] % 64 == 0 else 1
    packed = pack({"w": weight}, ["w"])
    assert {name: (part.dtype, part.shape) for name, part in packed.items()} == {
        "w.int4": (torch.uint8, (*shape[:-1], (shape[-1] + 1) // 2)),
        "w.scale": (torch.float16, (*shape[:-1], groups)),
    }
    grouped = weight.unflatten(-1, (groups, -1))
    step = packed["w.scale"].float().abs()[..., None]
    error = (unpacked(packed, weight) - weight).unflatten(-1, (groups, -1))
    assert ((error.abs() <= step / 2 * 1.0001) | (grouped.abs() > 7 * step)).all()
    plain = (grouped.abs().amax(-1, keepdim=True) / 7).half().float()
    plain_error = (grouped / plain).round() * plain - grouped
    assert (error.square().sum(-1) <= plain_error.square().sum(-1) * 1.0001).all()


@pytest.mark.parametrize("in_4_bits", [(), ("w",)])
def test_what_was_unpacked_packs_to_the_same_again(in_4_bits: tuple[str, ...]) -> None:
    weight = drawn(300, 192) * 100  # so that no scale is a subnormal number, which would be coarse
    packed = pack({"w": weight}, in_4_bits)
    again = pack({"w": unpacked(packed, weight)}, in_4_bits)
    assert_close(unpacked(again, weight), unpacked(packed, weight), rtol=0, atol=0)


def test_vectors_biases_and_small_weights_stay_as_they_are() -> None:
    weights = {"norm": torch.randn(5000), "parts.up_bias": torch.randn(9, 1, 192), "position": torch.randn(9, 111)}
    weights["scalar"] = torch.tensor(0.1)
    assert pack(weights) == weights
    assert unpack(weights, {name: weight.shape for name, weight in weights.items()}) == weights


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
@pytest.mark.parametrize("in_4_bits", [(), ("w",)])
def test_values_without_a_scale_are_refused(value: float, in_4_bits: tuple[str, ...]) -> None:
    weight = drawn(10, 100)
    weight[3, 4] = value
    with pytest.raises(ConfigurationError, match=r"expected finite weights to pack, .* got w with"):
        pack({"w": weight}, in_4_bits)


def test_a_name_that_is_no_weight_is_refused(tmp_path: Path) -> None:
    model = load_folder(save_tiny_model(tmp_path / "tiny"))
    with pytest.raises(ConfigurationError, match=r"names of weights to store in 4 bits, got embeddings$"):
        save_model(model, tmp_path / "packed", packed=("embeddings", EMBEDDINGS))
    assert not (tmp_path / "packed").exists()


# --- a model


@pytest.fixture(scope="module")
def model() -> SingleStreamModel:
    """An untrained model whose layers are large enough to be packed."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train(["a red star on a white plate", "ein roter Stern"], 300)
    shape = {
        "width": 64,
        "feed_forward": 96,
        "state_width": 32,
        "embedding_dim": 48,
        "stem": (16, 64),
        "image_size": 32,
    }
    config = SingleStreamConfig(
        vocabulary=tokenizer.vocabulary,
        answers=("yes", "no", "red"),
        languages=("en", "de"),
        heads=2,
        layers=3,
        first_joint_layer=1,
        kept_grid=2,
        **shape,
    )
    return SingleStreamModel(config, tokenizer, "untrained").eval()


def test_a_packed_model_does_nearly_what_it_did_before(tmp_path: Path, model: SingleStreamModel) -> None:
    save_model(model, tmp_path, torch.float16, packed=(EMBEDDINGS,))
    packed = load_folder(tmp_path, torch.float32)
    results = []
    for one in (model, packed):
        texts = one.read([Text("a red star", "en"), Text("ein weißer Teller", "de"), Text("plate", "en")])
        images = one.read([one.open(Image.new("RGB", (32, 32), colour)) for colour in ("red", "white", "#123456")])
        results.append(
            [one.embed(texts), one.embed(images), one.match(texts, images), one.answer_logits(texts, images)]
        )
    for before, after in zip(*results, strict=True):
        assert 0 < (after - before).norm() < 0.05 * before.norm()


def test_a_packed_file_takes_what_its_bits_take(tmp_path: Path, model: SingleStreamModel) -> None:
    save_model(model, tmp_path, torch.float16, packed=(EMBEDDINGS,))
    content = (tmp_path / "model.safetensors").read_bytes()
    expected = 0
    for name, weight in model.state_dict().items():
        if name == EMBEDDINGS:
            expected += len(weight) * (32 + 2)
        elif weight.ndim > 1 and weight.numel() >= 1000:
            expected += weight.numel() + 2 * len(weight)
        elif "num_batches" not in name:
            expected += weight.numel() * (4 if "running_var" in name else 2)
    assert len(content) - 8 - int.from_bytes(content[:8], "little") == expected
    assert expected < 0.6 * 2 * sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_packed_model_is_saved_again_without_packing(tmp_path: Path, dtype: torch.dtype) -> None:
    save_model(load_folder(save_tiny_model(tmp_path / "tiny")), tmp_path / "packed", packed=(EMBEDDINGS,))
    model = load_folder(tmp_path / "packed", dtype)
    assert {weight.dtype for weight in model.parameters()} == {dtype}
    save_model(model, tmp_path / "again", dtype)
    again = load_folder(tmp_path / "again", dtype)
    assert_close(dict(again.state_dict()), dict(model.state_dict()), rtol=0, atol=0)


def test_variances_keep_the_range_of_float32(tmp_path: Path) -> None:
    model = load_folder(save_tiny_model(tmp_path / "tiny"), torch.float32)
    (name,) = (name for name in model.state_dict() if name == "stem.blocks.1.running_var")
    values = torch.tensor([1e-12, 1e9]).repeat(4)
    model.state_dict()[name].copy_(values)
    for packed in ((), None):
        save_model(model, tmp_path / "again", torch.float16, packed)
        assert_close(load_folder(tmp_path / "again", torch.float32).state_dict()[name], values, rtol=0, atol=0)


def without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda weights: weights.pop(name)


def changed(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], object]:
    return lambda weights: weights.update({name: change(weights[name]).contiguous()})


PACKED = "joint_layers.layers.0.feed_forward.0.weight"


@pytest.mark.parametrize(
    ("tear", "told"),
    [
        (without(f"{PACKED}.scale"), rf"expected {PACKED}.scale to be float16 \[96\], got nothing"),
        (without(f"{EMBEDDINGS}.scale"), rf"expected {EMBEDDINGS}.scale to be float16 \[284, 1\], got nothing"),
        (without(f"{PACKED}.int8"), rf"does not fit config.json: missing \['{PACKED}'\], .*{PACKED}.scale"),
        (changed(f"{PACKED}.scale", lambda scale: scale[1:]), r"to be float16 \[96\], got float16 \[95\]"),
        (changed(f"{PACKED}.scale", Tensor.float), r"to be float16 \[96\], got float32 \[96\]"),
        (changed(f"{PACKED}.int8", lambda rounded: rounded.T), r"to be int8 \[96, 64\], got int8 \[64, 96\]"),
        (changed(f"{PACKED}.int8", Tensor.short), r"to be int8 \[96, 64\], got int16 \[96, 64\]"),
        (changed(f"{EMBEDDINGS}.int4", lambda rounded: rounded[:, 1:]), r"uint8 \[284, 32\], got uint8 \[284, 31\]"),
        (changed(f"{EMBEDDINGS}.int4", Tensor.char), r"uint8 \[284, 32\], got int8 \[284, 32\]"),
        (
            lambda weights: weights.update({PACKED: torch.zeros(96, 64)}),
            rf"expected {PACKED} to be packed or not, got both",
        ),
        (lambda weights: weights.update({"strange.int8": torch.zeros(2)}), r"unexpected \['strange.int8'\]"),
        (lambda weights: weights.update({"stem.blocks.1.num_batches_tracked.int8": torch.zeros(2)}), r"unexpected \["),
    ],
)
def test_torn_packed_weights_are_refused_in_one_line(
    tmp_path: Path, model: SingleStreamModel, tear: Callable[[dict[str, Tensor]], object], told: str
) -> None:
    save_model(model, tmp_path, torch.float16, packed=(EMBEDDINGS,))
    weights = load_file(tmp_path / "model.safetensors")
    tear(weights)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=told) as raised:
        load_folder(tmp_path)
    assert "\n" not in str(raised.value)
