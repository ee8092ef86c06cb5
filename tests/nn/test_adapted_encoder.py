"""Adapters in an encoder, held against each row computed by itself as the papers write it down."""

import random

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.composition import Composition, Drop, Fuse, Leaf, Parallel, Path, Stack, active, paths
from polyglance.adapters.config import PLACES, AdapterConfig, Place
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import IMAGE, TEXT, Adaptation
from polyglance.adapters.source import AdapterSource
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.errors import ConfigurationError
from polyglance.nn import encoder as encoder_module
from polyglance.nn.encoder import Encoder
from polyglance.nn.layer import EncoderLayer, NormPlacement

LAYERS, WIDTH = 4, 16
CONFIGS = {
    "a": AdapterConfig(reduction_factor=4),
    "b": AdapterConfig(reduction_factor=4),
    "late": AdapterConfig(reduction_factor=4, depth=2),
    "one": AdapterConfig(reduction_factor=4, shared=True, scaling=2.0),
    "h": AdapterConfig("houlsby", reduction_factor=2, activation="silu"),
    "p": AdapterConfig("parallel", reduction_factor=2, scaling=4.0, activation="gelu"),
    "image": AdapterConfig(reduction_factor=4, modality="image"),
    "text": AdapterConfig("houlsby", reduction_factor=4, modality="text"),
    "de": AdapterConfig(reduction_factor=4, invertible=True),
    "ko": AdapterConfig(reduction_factor=4, invertible=True),
}


def filled(module: torch.nn.Module, seed: int, std: float = 0.3) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std, generator=generator)
    return module


@pytest.fixture(params=["pre", "post"])
def norm(request: pytest.FixtureRequest) -> NormPlacement:
    return request.param


@pytest.fixture
def encoder(norm: NormPlacement) -> Encoder:
    torch.manual_seed(0)
    return Encoder(LAYERS, WIDTH, 2, 32, norm).eval()


@pytest.fixture
def adapters() -> dict[str, Adapter]:
    return {name: filled(Adapter(config, WIDTH, LAYERS), seed) for seed, (name, config) in enumerate(CONFIGS.items())}


@pytest.fixture
def fusions() -> list[FusionWeights]:
    pruned = filled(FusionWeights(("late", "a"), 1, WIDTH, LAYERS), 51)
    pruned.keep([("a",), ("a",), ("late",), ("late", "a")])
    return [filled(FusionWeights(("a", "b", "late"), 1, WIDTH, LAYERS), 50), pruned]


@pytest.fixture(params=["bank", "trainable"])
def source(request: pytest.FixtureRequest, adapters: dict, fusions: list) -> AdapterSource:
    if request.param == "trainable":
        return TrainableAdapters(adapters, fusions)
    bank = AdapterBank(WIDTH, LAYERS)
    for name, adapter in adapters.items():
        bank.add(name, adapter)
    for fusion in fusions:
        bank.add_fusion(fusion)
    return bank


def bottleneck(adapter: Adapter, layer: int, place: Place, x: Tensor) -> Tensor:
    at = adapter.stored(layer), adapter.config.places.index(place)
    act = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}[adapter.config.activation]
    hidden = act(x @ adapter.down[at].T + adapter.down_bias[at])
    return adapter.config.scaling * (hidden @ adapter.up[at].T + adapter.up_bias[at])


def fused(fusion: FusionWeights, names: list[str], adapters: dict, layer: int, place: Place, x: Tensor) -> Tensor:
    """Equations 4 to 6 of arXiv:2005.00247, token by token."""
    outputs = [bottleneck(adapters[name], layer, place, x) for name in names]
    query = x @ fusion.query[layer, 0].T + fusion.query_bias[layer, 0]
    scores = torch.stack([(query * (u @ fusion.key[layer, 0].T)).sum(-1) for u in outputs], dim=-1)
    values = torch.stack([u @ fusion.value[layer, 0].T for u in outputs], dim=-1)
    return (scores.softmax(-1)[:, None] * values).sum(-1)


def one_row(
    encoder: Encoder, x: Tensor, path: Path, adapters: dict, fusions: list, modality: Tensor | None = None
) -> Tensor:
    """(tokens, width) through all layers with the adapters of one path."""
    for step in path:
        if isinstance(step, Leaf) and adapters[step.name].coupling is not None:
            x = adapters[step.name].coupling(x)
    learned = {fusion.names: fusion for fusion in fusions}

    def adapt(layer: int, place: Place, skip: Tensor, out: Tensor, read: Tensor, norm) -> Tensor:
        for step in active(path, layer):
            leaves = [step] if isinstance(step, Leaf) else list(step.leaves)
            leaves = [leaf for leaf in leaves if adapters[leaf.name].config.depth <= layer]
            if not leaves or place not in PLACES[adapters[leaves[0].name].config.placement]:
                continue
            config = adapters[leaves[0].name].config
            x = {"houlsby": out, "parallel": read, "pfeiffer": norm(skip + out)}[config.placement]
            if isinstance(step, Leaf):
                added = bottleneck(adapters[step.name], layer, place, x)
                if config.modality:
                    there = torch.zeros(len(x), dtype=torch.long) if modality is None else modality
                    added = added * (there == {"text": TEXT, "image": IMAGE}[config.modality])[:, None]
            else:
                fusion = learned[step.names]
                names = [name for name in fusion.kept[layer] if name in [leaf.name for leaf in leaves]]
                added = fused(fusion, names, adapters, layer, place, x)
            out = out + added
        return skip + out

    for index, layer in enumerate(encoder.layers):
        assert isinstance(layer, EncoderLayer)
        pre = layer.norm == "pre"
        heads, width = layer.attention.heads, x.shape[1]
        for place in ("attention", "feed_forward"):
            own = layer.attention_norm if place == "attention" else layer.feed_forward_norm
            read = own(x) if pre else x
            if place == "attention":
                q, k, v = layer.attention.project_in(read).unflatten(-1, (3, heads, -1)).permute(1, 2, 0, 3)
                scores = (q @ k.mT) / (width // heads) ** 0.5
                mixed = (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)
                out = layer.attention.project_out(mixed)
            else:
                out = layer.feed_forward(read)
            base_norm = (lambda total: F.layer_norm(total, (WIDTH,))) if pre else own
            total = adapt(index, place, x, out, read, base_norm)
            x = total if pre else own(total)
    return encoder.last_norm(x)


BATCHES: dict[str, list[Composition]] = {
    "one": ["a", "a", "a"],
    "none": [None, None],
    "mixed": ["b", None, "a", "late", "b", None],
    "placements": ["h", "p", "a", None, Stack("h", "p"), Stack("a", "h")],
    "parallel": [Drop(Parallel("a", "b", "one", None), 2), Drop(Parallel("a", "b", "one", None), 2)],
    "parallel of placements": [Parallel("a", "h"), "p", Parallel("p", Drop("h", 3))],
    "depths": [Parallel(Drop("a", 1), Drop("b", 3)), Drop("one", 2), Drop("a", 4)],
    "stacks": [Stack("b", Parallel("a", "late")), Stack("a", "b"), Stack("one", "a")],
    "fusion": [Fuse("a", "b", "late"), "a", Drop(Fuse("a", "b", "late"), 1), Fuse("late", "a")],
    "fusion in parallel": [Parallel(Fuse("a", "b", "late"), "p", Stack("one", Fuse("late", "a")))],
    "modality": ["image", Stack("text", "image"), "a", Drop("image", 1)],
    "languages": [Stack("de", "a"), Stack("ko", "a"), None, Parallel("de", "ko", "b")],
}


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_each_row_is_what_it_is_by_itself(
    encoder: Encoder, source: AdapterSource, adapters, fusions, batch: str, padded: bool
) -> None:
    compositions = BATCHES[batch]
    rows, tokens = len(compositions), 7
    x = torch.randn(rows, tokens, WIDTH)
    lengths = [tokens - row % 3 if padded else tokens for row in range(rows)]
    mask = torch.arange(tokens) < torch.tensor(lengths)[:, None]
    modality = (torch.arange(tokens) % 3 == 1).long().expand(rows, -1) if batch == "modality" else None
    adaptation = Adaptation(source, compositions, modality)
    expected = [
        (
            row,
            one_row(
                encoder,
                x[row, : lengths[row]],
                path,
                adapters,
                fusions,
                modality if modality is None else modality[row, : lengths[row]],
            ),
        )
        for row, composition in enumerate(compositions)
        for path in paths(composition)
    ]
    with torch.no_grad():
        states = encoder(x, mask, adaptation)
        first, _ = encoder.first(x, mask, adaptation)
    assert len(states) == len(first) == len(expected)
    for got, got_first, (row, want) in zip(states, first, expected, strict=True):
        torch.testing.assert_close(got[: lengths[row]], want, atol=2e-5, rtol=2e-5)
        torch.testing.assert_close(got_first, want[0], atol=2e-5, rtol=2e-5)


def test_a_batch_in_chunks_is_the_batch(encoder: Encoder, source: AdapterSource, monkeypatch) -> None:
    names = random.Random(0).choices(["a", "b", None, "h", Parallel("a", "p"), Fuse("a", "b", "late")], k=23)
    x = torch.randn(23, 5, WIDTH)
    mask = torch.arange(5) < torch.randint(2, 6, (23, 1))
    with torch.no_grad():
        whole = encoder(x, mask, Adaptation(source, names))
        monkeypatch.setattr(encoder_module, "CHUNK_BYTES", 3 * 5 * 48 * 4)
        torch.testing.assert_close(encoder(x, mask, Adaptation(source, names)), whole)


def test_a_batch_of_which_layers_were_run_before_goes_on(encoder: Encoder, source: AdapterSource) -> None:
    x, mask = torch.randn(3, 5, WIDTH), torch.ones(3, 5, dtype=torch.bool)
    adaptation = Adaptation(source, [Drop(Parallel("a", "b"), 2), None, "late"])
    with torch.no_grad():
        kept = encoder(x, mask, layers=range(2))
        torch.testing.assert_close(encoder(kept, mask, adaptation, range(2, LAYERS)), encoder(x, mask, adaptation))
        first, _ = encoder.first(kept, mask, adaptation, start=2)
        torch.testing.assert_close(first, encoder(x, mask, adaptation)[:, 0])


def test_layers_below_the_first_adapter_run_once_for_all_tasks(encoder: Encoder, source: AdapterSource) -> None:
    """The layers executed are those of the formula (T-1) n / (1 + (L-1) T), arXiv:2010.11918, section 3.2."""
    rows: list[int] = []

    class Counting(EncoderLayer):
        def begin(self, x, packing, *rest, **named):
            rows.append(packing.shape[0])
            return super().begin(x, packing, *rest, **named)

    for layer in encoder.layers:
        layer.__class__ = Counting
    tasks, names = 4, ("a", "b", "one", "p")
    x, mask = torch.randn(1, 5, WIDTH), torch.ones(1, 5, dtype=torch.bool)
    executed = []
    for depth in range(LAYERS):
        rows.clear()
        encoder(x, mask, Adaptation(source, [Drop(Parallel(*names), depth)]))
        executed.append(sum(rows))
    assert executed[0] == 1 + (LAYERS - 1) * tasks
    for depth, count in enumerate(executed):
        saved = (executed[0] - count) / executed[0]
        assert saved == pytest.approx((tasks - 1) * depth / (1 + (LAYERS - 1) * tasks))


def test_an_invertible_adapter_is_undone_by_its_own_inverse(source: AdapterSource) -> None:
    adaptation = Adaptation(source, [Parallel("de", "ko"), "ko", None])
    x = torch.randn(4, 3, WIDTH)
    rows = [adaptation.plan.results[0][0], adaptation.plan.results[0][1], adaptation.plan.results[1][0]]
    coupled = adaptation.couple(x)
    order = [row for results in adaptation.plan.results for row in results]
    torch.testing.assert_close(adaptation.uncouple(coupled[order]), x[order], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(coupled[rows], x[rows])


@pytest.mark.parametrize(
    ("composition", "reason"),
    [
        ("nobody", "no adapter 'nobody'; known are a, b"),
        (Stack("a", Fuse("b", "nobody")), "no adapter 'nobody'"),
        (Drop("a", 5), "0 to 4"),
        (Fuse("b", "a"), "no fusion of b, a was learned; known are that of a, b, late"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_lost(encoder, source, composition, reason) -> None:
    x, mask = torch.randn(1, 3, WIDTH), torch.ones(1, 3, dtype=torch.bool)
    before = encoder(x, mask, Adaptation(source, ["a"]))
    with pytest.raises(ConfigurationError, match=reason):
        encoder(x, mask, Adaptation(source, [composition]))
    torch.testing.assert_close(encoder(x, mask, Adaptation(source, ["a"])), before)


@pytest.mark.parametrize("batch", ["mixed", "placements", "parallel", "stacks", "fusion", "modality", "languages"])
def test_gradients_reach_what_acts(encoder: Encoder, adapters, fusions, batch: str) -> None:
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    source = TrainableAdapters(adapters, fusions)
    x, mask = torch.randn(len(BATCHES[batch]), 5, WIDTH), torch.ones(len(BATCHES[batch]), 5, dtype=torch.bool)
    modality = (torch.arange(5) % 2).expand(len(x), -1)
    encoder(x, mask, Adaptation(source, BATCHES[batch], modality)).square().sum().backward()
    used = {
        leaf.name
        for one in BATCHES[batch]
        for path in paths(one)
        for step in path
        for leaf in ([step] if isinstance(step, Leaf) else step.leaves)
    }
    for name, adapter in adapters.items():
        reached = adapter.up.grad is not None and bool(adapter.up.grad.abs().sum() > 0)
        assert reached == (name in used), name
