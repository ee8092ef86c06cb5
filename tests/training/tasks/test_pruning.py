"""What a fusion takes of its adapters is counted as it is, and the least used leave."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.composition import Fuse
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter, stacked
from polyglance.adapters.routing import Adaptation
from polyglance.errors import ConfigurationError
from polyglance.kernels.grouped import bottleneck_onto
from polyglance.training.state_cache import keep_states
from polyglance.training.tasks.pruning import Keep, Observed, fusion_use, most_used, plot_use
from tests.training.inputs import LAYERS, WIDTH, TinyInputs

NAMES = ("a", "b", "late")


@pytest.fixture
def adapters() -> dict[str, Adapter]:
    torch.manual_seed(0)
    config = AdapterConfig(reduction_factor=4)
    made = {name: Adapter(config, WIDTH, LAYERS) for name in "ab"}
    made["late"] = Adapter(replace(config, depth=2), WIDTH, LAYERS)
    for adapter in made.values():
        torch.nn.init.normal_(adapter.up, std=0.5)
    return made


@pytest.fixture
def fusion() -> FusionWeights:
    torch.manual_seed(1)
    made = FusionWeights(NAMES, 1, WIDTH, LAYERS)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


@pytest.fixture
def bank(adapters: dict[str, Adapter], fusion: FusionWeights) -> AdapterBank:
    made = AdapterBank(WIDTH, LAYERS)
    for name, adapter in adapters.items():
        made.add(name, adapter)
    made.add_fusion(fusion)
    return made


def test_the_mean_is_that_of_every_token(adapters, fusion, bank) -> None:
    """Held against the weights of a batch in one layer, computed from the fusion as it was learned."""
    x = torch.randn(11, WIDTH)
    observed = Observed(bank, NAMES)
    steps = Adaptation(bank, [Fuse(*NAMES)]).plan.stages[-1].steps[0]
    parts = [observed.fuse(steps[0], 3, "feed_forward", part, torch.zeros_like(part)) for part in x.split(4)]
    outputs = stacked(list(adapters.values()), 3, "feed_forward")
    zero = torch.zeros_like(x)
    u = torch.stack([bottleneck_onto(x, outputs, slot, zero) for slot in range(3)], dim=1)
    added, weights = fusion.mix(3, 0, x, u)
    torch.testing.assert_close(torch.cat(parts), added, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(observed.mean[3], weights.mean(dim=0), atol=1e-5, rtol=1e-5)
    assert not observed.mean[:3].any()


@pytest.mark.parametrize("depth", [0, 1])
def test_the_use_is_of_layers_and_adapters_that_act(adapters, fusion, bank, depth) -> None:
    states = keep_states(TinyInputs.make(30), (0,))
    use = fusion_use(states, bank, NAMES, depth)
    acts = torch.tensor(
        [[layer >= max(depth, adapters[name].config.depth) for name in NAMES] for layer in range(LAYERS)]
    )
    assert torch.equal(use > 0, acts)
    torch.testing.assert_close(use[depth:].sum(dim=1), torch.ones(LAYERS - depth))
    folded = AdapterBank(WIDTH, LAYERS)
    folded.add_folded(FoldedWeights.of(fusion, adapters))
    torch.testing.assert_close(fusion_use(states, folded, NAMES, depth), use, atol=1e-4, rtol=1e-4)


USE = torch.tensor([[0.0, 0.0, 0.0], [0.7, 0.3, 0.0], [0.1, 0.5, 0.4], [0.2, 0.3, 0.5]])


@pytest.mark.parametrize(
    ("count", "threshold", "everywhere", "kept"),
    [
        (1, None, False, ["a b late", "a", "b", "late"]),
        (2, None, False, ["a b late", "a b", "b late", "b late"]),
        (3, None, False, ["a b late", "a b", "a b late", "a b late"]),
        (1, None, True, ["b"] * 4),
        (2, None, True, ["a b"] * 4),
        (None, 0.35, False, ["a b late", "a", "b late", "late"]),
        (None, 0.9, False, ["a b late", "a", "b", "late"]),
        (None, 0.0, False, ["a b late", "a b", "a b late", "a b late"]),
        (None, 0.31, True, ["a b"] * 4),
        (None, 0.9, True, ["b"] * 4),
    ],
)
def test_the_most_used_stay(count, threshold, everywhere, kept) -> None:
    assert most_used(NAMES, USE, Keep(count, threshold, everywhere)) == tuple(tuple(names.split()) for names in kept)


def test_what_stays_fits_the_fusion(fusion) -> None:
    fusion.keep(most_used(NAMES, USE, Keep(count=1)))
    assert [len(kept) for kept in fusion.kept] == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("count", "threshold", "reason"),
    [
        (None, None, "one of the two"),
        (1, 0.5, "one of the two"),
        (0, None, "one or more"),
        (4, None, "1 to 3"),
        (None, 1.5, "0 to 1"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(count, threshold, reason) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        most_used(NAMES, USE, Keep(count, threshold))


def test_the_use_is_drawn(tmp_path: Path) -> None:
    plot_use(NAMES, USE.tolist(), tmp_path / "use.png")
    with Image.open(tmp_path / "use.png") as drawn:
        assert min(drawn.size) > 200
