import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from polyglance.adapters.adapterhub import Conversion, convert, read_adapter, read_fusion, write_adapter, write_fusion
from polyglance.adapters.checkpoint import load_adapter, load_fusion, save_adapter, save_folded, save_fusion
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.errors import CheckpointError, ConfigurationError
from tests.shared_data import shared_data

CONFIGS = [
    AdapterConfig(),
    AdapterConfig(placement="houlsby", activation="silu", reduction_factor=2.5, depth=2),
    AdapterConfig(placement="parallel", activation="gelu", scaling=4.0),
    AdapterConfig(activation="gelu_tanh"),
    AdapterConfig(reduction_factor=2, invertible=True),
]
Change = Callable[[dict[str, Tensor]], object]


def drawn(module: Any) -> Any:
    """With all parameters random."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def equal(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The library's files of an adapter named vqa, for 3 layers of width 8."""
    write_adapter(drawn(Adapter(AdapterConfig(reduction_factor=4, invertible=True), 8, 3)), tmp_path, "vqa")
    return tmp_path


@pytest.fixture
def written_fusion(tmp_path: Path) -> Path:
    write_fusion(drawn(FusionWeights(["a", "b"], 1, 8, 3)), tmp_path)
    return tmp_path


def describe(path: Path, change: dict[str, Any], **settings: object) -> None:
    """Changes a description; a value of None leaves the entry out."""
    description = json.loads(path.read_text())
    description["config"] |= settings
    path.write_text(json.dumps({name: value for name, value in (description | change).items() if value is not None}))


def rewrite(path: Path, change: Change) -> None:
    weights = torch.load(path, weights_only=True)
    change(weights)
    torch.save(weights, path)


# -- there and back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", CONFIGS)
def test_an_adapter_comes_back_through_the_librarys_files(tmp_path: Path, config: AdapterConfig) -> None:
    adapter = drawn(Adapter(config, 9, 4))
    save_adapter(adapter, tmp_path / "ours", "en/wiki")
    assert convert(tmp_path / "ours", tmp_path / "theirs") == Conversion("adapter", "adapters", ())
    assert convert(tmp_path / "theirs", tmp_path / "again") == Conversion("adapter", "polyglance", ())
    loaded = load_adapter(tmp_path / "again")
    assert (loaded.name, loaded.adapter.config, loaded.adapter.layers) == ("en/wiki", config, 4)
    assert equal(loaded.adapter, adapter)
    assert loaded.fingerprint == load_adapter(tmp_path / "ours").fingerprint


@pytest.mark.parametrize("places", [1, 2])
def test_a_fusion_comes_back_through_the_librarys_files(tmp_path: Path, places: int) -> None:
    fusion = drawn(FusionWeights(["verify", "count", "match"], places, 8, 3))
    save_fusion(fusion, tmp_path / "ours")
    assert convert(tmp_path / "ours", tmp_path / "theirs") == Conversion("fusion", "adapters", ())
    assert convert(tmp_path / "theirs", tmp_path / "again") == Conversion("fusion", "polyglance", ())
    loaded = load_fusion(tmp_path / "again").fusion
    assert (loaded.names, loaded.places, loaded.kept) == (fusion.names, places, fusion.kept)
    assert equal(loaded, fusion)


# -- what the library writes -------------------------------------------------------------------------------------------


def test_the_prefix_of_a_model_with_a_head_is_left_out(written: Path) -> None:
    _, expected = read_adapter(written)
    for prefix in ("bert.", "roberta."):
        weights = torch.load(written / "pytorch_adapter.bin", weights_only=True)
        save_file({prefix + name: value for name, value in weights.items()}, written / "adapter.safetensors")
        assert equal(read_adapter(written)[1], expected)


def test_files_of_the_librarys_predecessor_are_read(written: Path) -> None:
    name, expected = read_adapter(written)

    def age(weights: dict[str, Tensor]) -> None:
        for key in list(weights):
            old = key.replace("output.adapters", "output.layer_text_lang_adapters")
            weights[old.replace("invertible_adapters", "invertible_lang_adapters")] = weights.pop(key)

    rewrite(written / "pytorch_adapter.bin", age)
    coupling = {"block_type": "nice", "non_linearity": "relu", "reduction_factor": 2}
    old = {"invertible_adapter": coupling, "attention_type": "sent-lvl", "new_attention_norm": False}
    path = written / "adapter_config.json"
    settings = json.loads(path.read_text())
    settings["config"] = {k: v for k, v in settings["config"].items() if "inv_" not in k and k != "is_parallel"} | old
    path.write_text(json.dumps(settings))
    describe(path, {"version": None, "type": "text_lang", "model_type": "bert"})
    assert read_adapter(written)[0] == name
    assert equal(read_adapter(written)[1], expected)


def test_a_coupling_that_was_named_for_a_task_was_never_made(tmp_path: Path) -> None:
    write_adapter(drawn(Adapter(AdapterConfig(), 32, 2)), tmp_path, "sst")
    coupling = {"block_type": "nice", "non_linearity": "relu", "reduction_factor": 2}
    describe(tmp_path / "adapter_config.json", {"type": "text_task"}, invertible_adapter=coupling)
    assert read_adapter(tmp_path)[1].coupling is None


def test_a_gelu_without_a_version_is_another_gelu(tmp_path: Path) -> None:
    write_adapter(drawn(Adapter(AdapterConfig(activation="gelu"), 32, 2)), tmp_path, "sst")
    describe(tmp_path / "adapter_config.json", {"version": None})
    assert read_adapter(tmp_path)[1].config.activation == "gelu_tanh"
    describe(tmp_path / "adapter_config.json", {}, non_linearity="gelu_orig")
    assert read_adapter(tmp_path)[1].config.activation == "gelu"


@pytest.mark.parametrize(
    ("case", "config", "left_out"),
    [
        ("adapter_plain", AdapterConfig(reduction_factor=4), ()),
        ("adapter_factor_dict_same", AdapterConfig(reduction_factor=4), ()),
        ("adapter_version_absent_gelu", AdapterConfig(reduction_factor=4, activation="gelu_tanh"), ()),
        ("adapter_with_head", AdapterConfig(reduction_factor=4), ("head_config.json", "model_head.safetensors")),
    ],
)
def test_checkpoints_of_the_library_are_converted_and_what_is_left_out_is_named(
    tmp_path: Path, case: str, config: AdapterConfig, left_out: tuple[str, ...]
) -> None:
    source = shared_data() / "cases" / case
    assert convert(source, tmp_path / case) == Conversion("adapter", "polyglance", left_out)
    loaded = load_adapter(tmp_path / case)
    assert (loaded.name, loaded.adapter.config) == ("sst-2", config)
    written = load_file(source / "adapter.safetensors")
    found = loaded.adapter.down[0, 0]
    torch.testing.assert_close(found, written["bert.encoder.layer.0.output.adapters.sst-2.adapter_down.0.weight"])


def test_layers_may_be_left_out_in_any_order_and_have_factors_by_their_numbers(tmp_path: Path) -> None:
    adapter = drawn(Adapter(AdapterConfig(reduction_factor=4, depth=2), 8, 4))
    write_adapter(adapter, tmp_path, "vqa")
    described = {"leave_out": [1, 0, 1], "reduction_factor": {"0": 2, "2": 4, "default": 4}}
    describe(tmp_path / "adapter_config.json", {}, **described)
    assert equal(read_adapter(tmp_path)[1], adapter)


def test_a_static_fusion_has_the_identity_for_its_value(written_fusion: Path) -> None:
    def forget_values(weights: dict[str, Tensor]) -> None:
        for key in [key for key in weights if "value" in key]:
            del weights[key]

    rewrite(written_fusion / "pytorch_model_adapter_fusion.bin", forget_values)
    describe(written_fusion / "adapter_fusion_config.json", {}, value=False, value_initialized=False)
    fusion = read_fusion(written_fusion)
    assert torch.equal(fusion.value, torch.eye(8).expand(3, 1, 8, 8))


def test_what_matters_in_training_alone_is_no_obstacle(written: Path, written_fusion: Path) -> None:
    describe(written / "adapter_config.json", {}, dropout=0.5, stochastic_depth=0.1, phm_dim=8, init_weights="houlsby")
    assert read_adapter(written)[0] == "vqa"
    describe(written_fusion / "adapter_fusion_config.json", {}, dropout_prob=0.3, regularization=False)
    assert read_fusion(written_fusion).names == ("a", "b")


# -- what has no equal -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"phm_layer": True}, "expected phm_layer to be False, got True"),
        ({"use_gating": True}, "use_gating"),
        ({"ln_before": True}, "ln_before"),
        ({"ln_after": True}, "ln_after"),
        ({"cross_adapter": True}, "cross_adapter"),
        ({"original_ln_after": False}, "original_ln_after"),
        ({"original_ln_before": False}, "expected original_ln_before to be True, got False"),
        ({"residual_before_ln": "post_add"}, "residual_before_ln to be True, got 'post_add'"),
        ({"mh_adapter": True}, "expected original_ln_before to be False, got True"),
        ({"output_adapter": False}, "output_adapter"),
        ({"scaling": "learned"}, "expected scaling to be a number, got 'learned'"),
        ({"reduction_factor": {"default": 16, "1": 8}}, "one reduction_factor for all layers"),
        ({"reduction_factor": {"1": 16}}, "one reduction_factor for all layers"),
        ({"invertible_adapter": {}, "reduction_factor": None}, "got None"),
        ({"invertible_adapter": {"block_type": "nice"}}, "reduction_factor"),
        ({"non_linearity": "tanh"}, "non_linearity .* got 'tanh'"),
        ({"leave_out": [2]}, r"leave_out to be the lowest layers, got \[2\]"),
        ({"leave_out": [0, 1, 2]}, "a depth of 0 to 2"),
        ({"inv_adapter": "glow"}, "inv_adapter to be 'nice', got 'glow'"),
        ({"inv_adapter_reduction_factor": 4}, "inv_adapter_reduction_factor"),
        ({"architecture": "lora"}, "architecture"),
        ({"temperament": 3}, "temperament = 3 is not known"),
    ],
)
def test_a_setting_without_an_equal_is_named(written: Path, settings: dict[str, object], reason: str) -> None:
    describe(written / "adapter_config.json", {}, **settings)
    with pytest.raises(CheckpointError, match=reason) as raised:
        read_adapter(written)
    assert "adapter_config.json" in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"query": False}, "expected query to be True, got False"),
        ({"key": False}, "key"),
        ({"query_before_ln": True}, "query_before_ln"),
        ({"residual_before": True}, "residual_before"),
        ({"temperature": True}, "temperature"),
        ({"heads": 2}, "heads = 2 is not known"),
    ],
)
def test_a_setting_of_a_fusion_without_an_equal_is_named(
    written_fusion: Path, settings: dict[str, object], reason: str
) -> None:
    describe(written_fusion / "adapter_fusion_config.json", {}, **settings)
    with pytest.raises(CheckpointError, match=reason):
        read_fusion(written_fusion)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_type": "vit"}, "expected model_type to be bert, roberta, xlm-roberta, got 'vit'"),
        ({"hidden_size": "8"}, "expected hidden_size to be a number"),
        ({"name": None}, "expected name to be a text"),
        ({"config": "pfeiffer"}, "not of the adapters library"),
        ({"hidden_size": 16}, r"expected .* to be \[4, 16\], got \[2, 8\]"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(written: Path, change: dict[str, Any], reason: str) -> None:
    describe(written / "adapter_config.json", change)
    with pytest.raises(CheckpointError, match=reason):
        read_adapter(written)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda weights: weights.update({"heads.vqa.1.weight": torch.zeros(1)}), r"heads\.vqa\.1\.weight is unknown"),
        (lambda weights: weights.update({"roberta.invertible_adapters.vqa.F.0.bias": torch.zeros(2)}), "two different"),
        (lambda weights: weights.pop("encoder.layer.1.output.adapters.vqa.adapter_up.bias"), "layer.1.* is missing"),
        (lambda weights: weights["invertible_adapters.vqa.G.2.weight"].fill_(torch.nan), "finite numbers"),
        (lambda weights: weights.clear(), "got none of a layer"),
        (lambda weights: weights.update({"a": "b"}), "got something else"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(written: Path, change: Change, reason: str) -> None:
    rewrite(written / "pytorch_adapter.bin", change)
    with pytest.raises(CheckpointError, match=reason):
        read_adapter(written)


class Command:
    """What runs code when it is unpickled without care."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_code_in_a_file_is_not_run(written: Path) -> None:
    torch.save({"down": Command(written / "mark")}, written / "pytorch_adapter.bin")
    with pytest.raises(CheckpointError, match="tensors alone"):
        read_adapter(written)
    assert not (written / "mark").exists()


def test_missing_and_torn_files_are_named(written: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected a file adapter_fusion_config\.json"):
        read_fusion(written)
    (written / "pytorch_adapter.bin").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"pytorch_adapter\.bin cannot be read"):
        read_adapter(written)
    (written / "pytorch_adapter.bin").unlink()
    with pytest.raises(CheckpointError, match=r"expected adapter\.safetensors or pytorch_adapter\.bin"):
        read_adapter(written)


@pytest.mark.parametrize(
    ("config", "name", "reason"),
    [
        (AdapterConfig(shared=True), "a", "shared=True"),
        (AdapterConfig(modality="image"), "a", "modality='image'"),
        (AdapterConfig(), "vqa.v2", "has a dot .* got 'vqa.v2'"),
        (AdapterConfig(), "double", "a word of PyTorch, got 'double'"),
    ],
)
def test_what_the_library_cannot_hold_is_not_written(
    tmp_path: Path, config: AdapterConfig, name: str, reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        write_adapter(Adapter(config, 16, 2), tmp_path / "theirs", name)
    fusion = FusionWeights(["a", "b"], 1, 8, 3)
    fusion.keep([["a", "b"], ["b"], ["a", "b"]])
    with pytest.raises(CheckpointError, match="keeps 1 of 2 in layer 1"):
        write_fusion(fusion, tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()


def test_a_conversion_overwrites_nothing(written: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a new or an empty folder"):
        convert(written, written)
    with pytest.raises(CheckpointError, match="holds no adapter"):
        convert(tmp_path / "nowhere", tmp_path / "target")
    save_folded(FoldedWeights.of(FusionWeights(["a"], 1, 8, 1), {"a": Adapter(AdapterConfig(), 8, 1)}), tmp_path / "f")
    with pytest.raises(CheckpointError, match="holds a folded fusion"):
        convert(tmp_path / "f", tmp_path / "target")
    assert not (tmp_path / "target").exists()
