"""A folded fusion is the fusion, pruned or not, without its adapters."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.checkpoint import load_folded, save_folded, save_fusion
from polyglance.adapters.composition import Composition, Drop, Fuse, Parallel
from polyglance.adapters.config import AdapterConfig, Placement
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.source import AdapterSource
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.nn.encoder import Encoder

WIDTH, LAYERS, NAMES = 16, 4, ("a", "b", "late")
KEPT = (("a", "b"), ("late",), ("b", "late"), NAMES)


def filled(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3, generator=generator)
    return module


@pytest.fixture(params=["pfeiffer", "houlsby"])
def placement(request: pytest.FixtureRequest) -> Placement:
    return request.param


@pytest.fixture
def adapters(placement: Placement) -> dict[str, Adapter]:
    config = AdapterConfig(placement, reduction_factor=4, scaling=2.0)
    configs = (config, config, replace(config, depth=2))
    made = zip(NAMES, configs, strict=True)
    return {name: filled(Adapter(one, WIDTH, LAYERS), seed) for seed, (name, one) in enumerate(made)}


@pytest.fixture
def fusion(adapters: dict[str, Adapter]) -> FusionWeights:
    return filled(FusionWeights(NAMES, len(adapters["a"].config.places), WIDTH, LAYERS), 9)


def outputs(source: AdapterSource, composition: Composition) -> Tensor:
    torch.manual_seed(0)
    encoder = Encoder(LAYERS, WIDTH, 2, 32).eval()
    x, mask = torch.randn(2, 5, WIDTH), torch.ones(2, 5, dtype=torch.bool)
    with torch.no_grad():
        return encoder(x, mask, Adaptation(source, [composition] * 2))


def bank_of(adapters: dict[str, Adapter], fusion: FusionWeights) -> AdapterBank:
    bank = AdapterBank(WIDTH, LAYERS)
    for name, adapter in adapters.items():
        bank.add(name, adapter)
    bank.add_fusion(fusion)
    return bank


def bank_of_folded(folded: FoldedWeights) -> AdapterBank:
    bank = AdapterBank(WIDTH, LAYERS)
    bank.add_folded(folded)
    return bank


COMPOSITIONS = [Fuse(*NAMES), Drop(Fuse(*NAMES), 1), Fuse(Drop("a", 3), "b", "late"), Parallel(Fuse(*NAMES), None)]


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("composition", COMPOSITIONS, ids=repr)
def test_saved_and_loaded_it_is_what_it_was(tmp_path: Path, adapters, fusion, pruned, composition) -> None:
    if pruned:
        fusion.keep(KEPT)
    save_folded(FoldedWeights.of(fusion, adapters), tmp_path)
    loaded = load_folded(tmp_path, WIDTH, LAYERS)
    assert loaded.names == NAMES
    assert loaded.kept == fusion.kept
    expected = outputs(bank_of(adapters, fusion), composition)
    torch.testing.assert_close(outputs(bank_of_folded(loaded), composition), expected, atol=1e-5, rtol=1e-5)


def test_pruned_to_all_it_is_unpruned(adapters, fusion) -> None:
    before = outputs(bank_of_folded(FoldedWeights.of(fusion, adapters)), Fuse(*NAMES))
    fusion.keep([NAMES] * LAYERS)
    assert torch.equal(outputs(bank_of_folded(FoldedWeights.of(fusion, adapters)), Fuse(*NAMES)), before)


def test_pruned_it_is_the_fusion_of_those_that_stay(adapters, fusion) -> None:
    fusion.keep([("a", "late")] * LAYERS)
    pruned = outputs(bank_of_folded(FoldedWeights.of(fusion, adapters)), Fuse(*NAMES))
    fewer = FusionWeights(("a", "late"), fusion.places, WIDTH, LAYERS)
    fewer.load_state_dict(fusion.state_dict())
    of_two = bank_of({name: adapters[name] for name in fewer.names}, fewer)
    torch.testing.assert_close(pruned, outputs(of_two, Fuse("a", "late")), atol=1e-5, rtol=1e-5)


def test_a_layer_of_which_all_that_act_were_pruned_adds_nothing(adapters, fusion) -> None:
    fusion.keep([("late",)] * LAYERS)
    folded = FoldedWeights.of(fusion, adapters)
    assert [folded.acting(layer) for layer in range(LAYERS)] == [(), (), ("late",), ("late",)]
    assert not any(name.endswith(("_0_0", "_1_0")) for name in folded.state_dict())
    whole = outputs(bank_of(adapters, fusion), Fuse(*NAMES))
    torch.testing.assert_close(outputs(bank_of_folded(folded), Fuse(*NAMES)), whole, atol=1e-5, rtol=1e-5)


def test_it_is_smaller_than_the_fusion(tmp_path: Path) -> None:
    adapters = {name: Adapter(AdapterConfig(), 128, LAYERS) for name in "ab"}
    fusion = FusionWeights(("a", "b"), 1, 128, LAYERS)
    save_fusion(fusion, tmp_path)
    save_folded(FoldedWeights.of(fusion, adapters), tmp_path)
    whole, folded = ((tmp_path / f"{kind}.safetensors").stat().st_size for kind in ("fusion", "folded"))
    assert folded < whole / 6


def test_its_adapters_cannot_be_used_alone(adapters, fusion) -> None:
    bank = bank_of_folded(FoldedWeights.of(fusion, adapters))
    with pytest.raises(ConfigurationError, match="no adapter 'a'"):
        outputs(bank, "a")
    with pytest.raises(ConfigurationError, match="no adapter 'a'"):
        bank.remove("a")
    bank.add("a", adapters["a"])
    outputs(bank, Parallel("a", Fuse(*NAMES)))


def test_what_does_not_fit_is_refused(adapters, fusion) -> None:
    folded = FoldedWeights.of(fusion, adapters)
    bank = AdapterBank(WIDTH, LAYERS)
    bank.add("a", adapters["late"])
    with pytest.raises(ConfigurationError, match="another adapter 'a' was added"):
        bank.add_folded(folded)
    with pytest.raises(ConfigurationError, match="3 layers of width 16, got one for 4"):
        AdapterBank(WIDTH, LAYERS - 1).add_folded(folded)
    with pytest.raises(ConfigurationError, match="'late' is missing"):
        FoldedWeights.of(fusion, {name: adapters[name] for name in "ab"})
    small = {**adapters, "b": Adapter(adapters["b"].config, WIDTH, LAYERS - 1)}
    with pytest.raises(ConfigurationError, match="expected adapters for 4 layers of width 16"):
        FoldedWeights.of(fusion, small)
    other = {**adapters, "b": Adapter(replace(adapters["b"].config, reduction_factor=2), WIDTH, LAYERS)}
    with pytest.raises(ConfigurationError, match="one placement, activation and bottleneck"):
        FoldedWeights.of(fusion, other)


@pytest.mark.parametrize("change", ["kept", "adapters", "empty"])
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, adapters, fusion, change) -> None:
    save_folded(FoldedWeights.of(fusion, adapters), tmp_path)
    path = tmp_path / "folded.json"
    text = path.read_text()
    path.write_text({"kept": text.replace('"late"', '"lost"', 1), "adapters": "[]", "empty": ""}[change])
    with pytest.raises(CheckpointError, match=r"folded\.json does not describe a folded fusion"):
        load_folded(tmp_path)
