import pytest
import torch
from torch import nn

from polyglance.data.tokenization import Tokenizer
from polyglance.models.added_language import Language
from polyglance.training.languages.subword_parts import through_parts

CORPUS = [f"{prefix}{stem}{ending}" for prefix in ("un", "re") for stem in ("paint", "print") for ending in ("ed", "s")]


@pytest.fixture
def whole() -> Tokenizer:
    """Each word is a subword of its own."""
    return Tokenizer.train(CORPUS * 5, 400)


@pytest.fixture
def coarser() -> Tokenizer:
    return Tokenizer.train(CORPUS * 5, 264)


def test_subwords_are_spelled_by_those_of_a_coarser_tokenizer(whole: Tokenizer, coarser: Tokenizer) -> None:
    spelled = coarser.spell_subwords(whole)
    assert len(spelled) == whole.vocabulary
    for name, ids in zip(whole.subwords(), spelled, strict=True):
        assert "".join(coarser.subwords()[part] for part in ids) == name or "\N{REPLACEMENT CHARACTER}" in name
    assert spelled[whole.mask_id] == []


def test_bytes_that_are_no_letter_alone_are_spelled_too(coarser: Tokenizer) -> None:
    bytewise = Tokenizer.train([], 300)
    (ids,) = bytewise.spell(["é"])
    spelled = coarser.spell_subwords(bytewise)
    assert len(ids) == 2
    assert [spelled[part] for part in ids] == [[part] for part in coarser.spell(["é"])[0]]


def test_what_is_learned_of_a_subword_holds_where_its_parts_are(whole: Tokenizer, coarser: Tokenizer) -> None:
    language = Language("en", 8, whole, None)
    assert language.embedding
    before = language.embedding.weight.detach().clone()
    ((told,), (like,), (other,)) = whole.spell(["unpainted", "repainted", "reprints"])
    with through_parts(language, coarser):
        optimizer = torch.optim.SGD([weight for weight in language.parameters() if weight.requires_grad], lr=1)
        language.embedding.weight[told].sum().backward()
        optimizer.step()
    moved = (language.embedding.weight.detach() - before)[:, 0]
    assert moved[told] == pytest.approx(-1, abs=1e-5)
    assert moved[told] < moved[like] < moved[other] <= 0
    assert not moved[whole.mask_id]
    assert list(language.embedding.state_dict()) == ["weight"]
    assert isinstance(language.embedding.weight, nn.Parameter)
    assert language.embedding.weight.requires_grad


def test_a_language_without_subwords_of_its_own_is_left_as_it_is(coarser: Tokenizer) -> None:
    with through_parts(language := Language("en", 8, None, None), coarser):
        assert not list(language.parameters())
