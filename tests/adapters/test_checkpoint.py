import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from polyglance.adapters.checkpoint import load_adapter, load_fusion, save_adapter, save_fusion
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.errors import CheckpointError, ConfigurationError

CONFIGS = [
    AdapterConfig(),
    AdapterConfig(placement="houlsby", activation="silu", reduction_factor=4, depth=2),
    AdapterConfig(placement="parallel", scaling=4.0, shared=True, modality="image"),
    AdapterConfig(invertible=True, activation="gelu", reduction_factor=2.5),
]


def equal(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_adapter(Adapter(AdapterConfig(), 32, 4), tmp_path, "vqa")
    return tmp_path


@pytest.fixture
def saved_fusion(tmp_path: Path) -> Path:
    save_fusion(FusionWeights(["a", "b"], 1, 8, 3), tmp_path)
    return tmp_path


@pytest.mark.parametrize("config", CONFIGS)
def test_an_adapter_comes_back(tmp_path: Path, config: AdapterConfig) -> None:
    adapter = Adapter(config, 33, 4)
    save_adapter(adapter, tmp_path, "de")
    state = torch.get_rng_state()
    loaded = load_adapter(tmp_path, width=33, layers=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert (loaded.name, loaded.adapter.config, loaded.adapter.width, loaded.adapter.layers) == ("de", config, 33, 4)
    assert equal(loaded.adapter, adapter)
    assert all(weight.requires_grad for weight in loaded.adapter.parameters())


def test_a_pruned_fusion_comes_back(tmp_path: Path) -> None:
    fusion = FusionWeights(["a", "b", "c"], 2, 8, 3)
    fusion.keep([["a", "b", "c"], ["b"], ["a", "c"]])
    save_fusion(fusion, tmp_path)
    loaded = load_fusion(tmp_path, width=8, layers=3).fusion
    assert (loaded.names, loaded.places, loaded.kept) == (("a", "b", "c"), 2, fusion.kept)
    assert equal(loaded, fusion)


def test_weights_are_kept_in_float32(tmp_path: Path) -> None:
    save_adapter(Adapter(AdapterConfig(), 32, 2).to(torch.bfloat16), tmp_path, "vqa")
    assert {value.dtype for value in load_file(tmp_path / "adapter.safetensors").values()} == {torch.float32}


def test_a_fingerprint_tells_adapters_apart(tmp_path: Path) -> None:
    adapter = Adapter(AdapterConfig(), 32, 2)
    for folder, name in (("one", "vqa"), ("same", "vqa"), ("renamed", "itm")):
        save_adapter(adapter, tmp_path / folder, name)
    save_adapter(Adapter(AdapterConfig(), 32, 2), tmp_path / "other", "vqa")
    one, same, renamed, other = (
        load_adapter(tmp_path / folder).fingerprint for folder in ("one", "same", "renamed", "other")
    )
    assert one == same
    assert len({one, renamed, other}) == 3
    assert len(one) == 16


def test_nothing_is_saved_that_could_not_be_loaded(tmp_path: Path) -> None:
    adapter = Adapter(AdapterConfig(), 32, 2)
    with pytest.raises(ConfigurationError, match="a name"):
        save_adapter(adapter, tmp_path / "adapter", "")
    nn.init.constant_(adapter.up_bias, float("nan"))
    with pytest.raises(CheckpointError, match="up_bias"):
        save_adapter(adapter, tmp_path / "adapter", "vqa")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "expected format 1, got 2"),
        ({"format": None}, "an object with a format"),
        ({"name": ""}, "name is empty"),
        ({"widht": 3}, "'widht' is unknown"),
        ({"width": "32"}, "expected width to be a whole number"),
        ({"layers": 0}, "expected layers to be a number from 1 on"),
        ({"config": {"placment": "pfeiffer"}}, "no setting 'placment'"),
        ({"config": {"reduction_factor": 0}}, "reduction_factor above 0"),
        ({"config": {"depth": 4}}, "a depth of 0 to 3"),
        ({"config": []}, "does not describe an adapter"),
    ],
)
def test_a_description_that_is_not_ours_is_refused(saved: Path, change: dict[str, object], reason: str) -> None:
    path = saved / "adapter.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=reason) as raised:
        load_adapter(saved)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"format": 1', b"\xff\xfe", b'{"format": 1}'])
def test_a_file_that_is_no_description_is_refused(saved: Path, content: bytes) -> None:
    (saved / "adapter.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"adapter\.json does not describe an adapter"):
        load_adapter(saved)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"names": []}, "different names"),
        ({"names": ["a", "a"]}, "different names"),
        ({"names": "ab"}, "expected names to be a list"),
        ({"places": 0}, "expected places"),
        ({"kept": [["a"], ["b"]]}, "each of 3 layers, got 2"),
        ({"kept": [["a"], ["b"], ["c"]]}, "one or more of a, b to keep in layer 2"),
        ({"kept": 3}, "does not describe a fusion"),
        ({"places": 2}, "expected key to be float32"),
    ],
)
def test_a_fusions_description_is_held_to_the_same(saved_fusion: Path, change: dict[str, object], reason: str) -> None:
    path = saved_fusion / "fusion.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=reason):
        load_fusion(saved_fusion)


def change_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def changed(path: Path) -> None:
        weights = load_file(path)
        change(weights)
        save_file(weights, path)

    return changed


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "cannot be used"),
        (lambda path: path.write_bytes(pickle.dumps({"down": 1})), "cannot be used"),
        (lambda path: torch.save({"down": torch.zeros(1)}, path), "cannot be used"),
        (change_weights(lambda weights: weights.pop("up")), "up is missing"),
        (change_weights(lambda weights: weights.update(gate=torch.zeros(1))), "gate is unknown"),
        (change_weights(lambda weights: weights.update(up=torch.zeros(4, 1, 32, 3))), r"\[4, 1, 32, 2\], got .* 3\]"),
        (change_weights(lambda weights: weights.update(up=weights["up"].half())), "got float16"),
        (change_weights(lambda weights: weights["up"].view(-1)[3:4].fill_(torch.inf)), "finite numbers in up"),
    ],
)
def test_weights_that_do_not_fit_are_refused(saved: Path, damage: Callable[[Path], None], reason: str) -> None:
    damage(saved / "adapter.safetensors")
    with pytest.raises(CheckpointError, match=reason) as raised:
        load_adapter(saved)
    assert "adapter.safetensors" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("body", "named"), [({"width": 64}, "4 of width 64"), ({"layers": 12}, "12 of width 32")])
def test_an_adapter_for_another_body_is_refused(saved: Path, body: dict[str, int], named: str) -> None:
    with pytest.raises(CheckpointError, match=f"4 layers of width 32, this model has {named}"):
        load_adapter(saved, **body)


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no adapter: expected a file adapter\.json in it$"):
        load_adapter(tmp_path)
    with pytest.raises(CheckpointError, match="no fusion"):
        load_fusion(tmp_path / "nowhere")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="polyglance adapters convert"):
        load_adapter(tmp_path)
