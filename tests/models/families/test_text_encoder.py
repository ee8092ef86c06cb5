import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.families.text_encoder import TextEncoder, load_text_encoder

WIDTH, INNER, LAYERS = 8, 16, 2
SIZES = {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": SIZES | {"vocab_size": 30, "max_position_embeddings": 10, "type_vocab_size": 2, "pad_token_id": 0},
    "roberta": SIZES | {"vocab_size": 30, "max_position_embeddings": 12, "type_vocab_size": 1, "pad_token_id": 1},
}
HEADS = {
    "bert": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions"),
    "roberta": ("lm_head.dense", "lm_head.layer_norm", "lm_head"),
}
IDS = torch.tensor([[2, 9, 17, 3], [2, 21, 1, 1]])
MASK = torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
Change = Callable[[dict[str, torch.Tensor]], object]


def hub_weights(family: str, prefix: str) -> dict[str, torch.Tensor]:
    """Random weights of a body and its head for masked tokens, by the hub's names."""
    config = CONFIGS[family]
    linears, norms = {}, {f"{prefix}embeddings.LayerNorm": WIDTH}
    for layer in range(LAYERS):
        place = f"{prefix}encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linears[f"{place}.attention.{part}"] = (WIDTH, WIDTH)
        linears |= {f"{place}.intermediate.dense": (INNER, WIDTH), f"{place}.output.dense": (WIDTH, INNER)}
        norms |= {f"{place}.attention.output.LayerNorm": WIDTH, f"{place}.output.LayerNorm": WIDTH}
    dense, norm, bias = HEADS[family]
    linears |= {dense: (WIDTH, WIDTH), f"{prefix}pooler.dense": (WIDTH, WIDTH)}
    norms[norm] = WIDTH
    weights = {f"{name}.weight": torch.randn(shape) for name, shape in linears.items()}
    weights |= {f"{name}.bias": torch.randn(shape[0]) for name, shape in linears.items()}
    weights |= {f"{name}.{kind}": torch.randn(width) for name, width in norms.items() for kind in ("weight", "bias")}
    for name, size in (
        ("word", "vocab_size"),
        ("position", "max_position_embeddings"),
        ("token_type", "type_vocab_size"),
    ):
        weights[f"{prefix}embeddings.{name}_embeddings.weight"] = torch.randn(config[size], WIDTH)
    return weights | {f"{bias}.bias": torch.randn(config["vocab_size"])}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a tiny model as the hub keeps one. change: of its tensors; settings: of its config.json."""

    def written(family: str = "bert", prefix: str = "", change: Change = len, **settings: object) -> Path:
        torch.manual_seed(0)
        weights = hub_weights(family, prefix)
        change(weights)
        (tmp_path / "config.json").write_text(json.dumps({"model_type": family} | CONFIGS[family] | settings))
        save_file(weights, tmp_path / "model.safetensors")
        return tmp_path

    return written


def load(folder: Path) -> TextEncoder:
    return load_text_encoder(folder, torch.float32)


def drop(*starts: str) -> Change:
    def change(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith(starts)]:
            del weights[name]

    return change


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_states_have_a_row_for_each_token_and_zeros_for_padding(write, family: str) -> None:
    model = load(write(family))
    states = model(IDS, MASK)
    assert states.shape == (2, 4, WIDTH)
    assert states[1, 2:].abs().sum() == 0
    torch.testing.assert_close(states[1:, :2], model(IDS[1:, :2], MASK[1:, :2]))
    assert not model.training


def test_each_weight_comes_to_its_place(write) -> None:
    folder = write(prefix="bert.")
    model, weights = load(folder), load_file(folder / "model.safetensors")
    layer, place = model.encoder.layers[1], "bert.encoder.layer.1"
    query, key, value = layer.attention.project_in.weight.chunk(3)
    assert torch.equal(query, weights[f"{place}.attention.self.query.weight"])
    assert torch.equal(key, weights[f"{place}.attention.self.key.weight"])
    assert torch.equal(value, weights[f"{place}.attention.self.value.weight"])
    assert torch.equal(layer.feed_forward[2].bias, weights[f"{place}.output.dense.bias"])
    assert torch.equal(layer.attention_norm.weight, weights[f"{place}.attention.output.LayerNorm.weight"])
    assert torch.equal(model.token_embedding.weight, weights["bert.embeddings.word_embeddings.weight"])


def test_bert_numbers_all_positions_and_roberta_the_real_ones_behind_the_padding_id(write) -> None:
    for family, first in (("bert", 0), ("roberta", 2)):
        model = load(write(family))
        summed = model.token_embedding(IDS) + model.type_embedding.weight[0]
        x = summed + model.position_embedding.weight[first : first + 4]
        torch.testing.assert_close(model.embed(IDS, MASK)[MASK], model.embedding_norm(x)[MASK])


def test_token_types_are_the_first_unless_they_are_given(write) -> None:
    model = load(write())
    torch.testing.assert_close(model(IDS, MASK), model(IDS, MASK, torch.zeros_like(IDS)))
    assert not torch.allclose(model(IDS, MASK), model(IDS, MASK, torch.ones_like(IDS)))


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_an_inverse_stands_before_the_last_product(write, family: str) -> None:
    model = load(write(family, f"{family}."))
    states = model(IDS, MASK)
    logits = model.predict_tokens(states)
    assert logits.shape == (2, 4, 30)
    assert model.head is not None
    bias = model.head.bias
    torch.testing.assert_close(model.predict_tokens(states, lambda x: 2 * x), 2 * (logits - bias) + bias)


def test_a_body_alone_predicts_no_tokens(write) -> None:
    model = load(write(change=drop("cls.")))
    with pytest.raises(ConfigurationError, match="a body alone"):
        model.predict_tokens(model(IDS, MASK))


@pytest.mark.parametrize(("family", "most"), [("bert", 10), ("roberta", 10)])
def test_a_text_that_is_too_long_is_refused(write, family: str, most: int) -> None:
    model = load(write(family))
    ids = torch.full((1, most + 1), 5)
    assert model(ids[:, :most], ids[:, :most] > 0).shape == (1, most, WIDTH)
    with pytest.raises(ConfigurationError, match=f"at most {most} tokens a text, got {most + 1}"):
        model(ids, ids > 0)


def test_weights_in_several_files_are_put_together(write) -> None:
    folder = write("roberta", "roberta.")
    whole = load(folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = {name: f"model-{place % 2}.safetensors" for place, name in enumerate(weights)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": files}))
    torch.testing.assert_close(load(folder)(IDS, MASK), whole(IDS, MASK))
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-1\.safetensors cannot be used"):
        load(folder)
    index.write_text("{}")
    with pytest.raises(CheckpointError, match="weight_map"):
        load(folder)


def test_names_of_older_files_are_known(write) -> None:
    def age(weights: dict[str, torch.Tensor]) -> None:
        for name in list(weights):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            weights[old] = weights.pop(name)
        weights["embeddings.position_ids"] = torch.arange(10)[None]

    expected = load(write())(IDS, MASK)
    torch.testing.assert_close(load(write(change=age))(IDS, MASK), expected)


def test_weights_come_in_the_dtype_asked_for(write) -> None:
    model = load_text_encoder(write(), torch.bfloat16)
    assert {value.dtype for value in model.parameters()} == {torch.bfloat16}
    assert model(IDS, MASK).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"model_type": "t5"}, "model_type of bert, roberta, xlm-roberta, got 't5'"),
        ({"hidden_act": "gelu_new"}, "expected hidden_act to be 'gelu', got 'gelu_new'"),
        ({"is_decoder": True}, "is_decoder"),
        ({"position_embedding_type": "relative_key"}, "got 'relative_key'"),
        ({"hidden_size": None}, "a whole number for hidden_size"),
        ({"num_attention_heads": 3}, "multiple of heads"),
    ],
)
def test_a_model_of_another_kind_is_refused(write, settings: dict[str, object], reason: str) -> None:
    folder = write(**settings)
    with pytest.raises(CheckpointError, match=reason) as raised:
        load(folder)
    assert "config.json" in str(raised.value)


def test_weights_that_do_not_fit_are_refused(write) -> None:
    query = "encoder.layer.1.attention.self.query.weight"
    with pytest.raises(CheckpointError, match=f"lack {query}"):
        load(write(change=drop(query)))
    with pytest.raises(CheckpointError, match=r"query\.weight to be \[8, 8\], got \[8, 9\]"):
        load(write(change=lambda weights: weights.update({query: torch.zeros(8, 9)})))
    with pytest.raises(CheckpointError, match=r"hold encoder\.layer\.2\.a, for which"):
        load(write(change=lambda weights: weights.update({"encoder.layer.2.a": torch.zeros(1)})))


def test_missing_and_torn_files_are_named(write, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected a file config\.json"):
        load(tmp_path / "nowhere")
    folder = write()
    (folder / "model.safetensors").write_bytes(b"\x80\x04")
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be used"):
        load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="there is no such file"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="is no JSON"):
        load(folder)
