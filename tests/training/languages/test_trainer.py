import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyglance.data.corpora import Translation
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import ConfigurationError
from polyglance.models import load_model
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.importing.conversion import import_checkpoint
from polyglance.models.protocol import ImageBatch, TextBatch
from polyglance.training.languages.trainer import (
    FIRST_STAGE,
    HELD_OUT,
    LanguageSettings,
    MeaningLosses,
    frozen,
    mask_tokens,
    new_language,
    train_language,
)
from polyglance.training.starting_point import remade
from tests.journeys.tiny import save_tiny_model
from tests.single_stream_checkpoints import vilt

KINDS = {"star": "étoile", "plate": "assiette", "tree": "forêt", "boat": "barque", "house": "maison", "cup": "tasse"}
COLOURS = {"red": "rouge", "white": "blanche", "green": "verte", "black": "noire", "blue": "bleue"}
PAIRS = [
    Translation(f"une {thing} {paint}", f"a {colour} {kind}", "en")
    for kind, thing in KINDS.items()
    for colour, paint in COLOURS.items()
]
CORPUS = [pair.sentence for pair in PAIRS]
SETTINGS = LanguageSettings(vocabulary=300, epochs=2, steps=40, batch=16, token_rate=0.02, meaning_rate=0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "tiny")


def trained(folder: Path, output: Path, settings: LanguageSettings = SETTINGS, **more) -> SingleStreamModel:
    model = load_model(str(folder))
    train_language(model, str(folder), "fr", CORPUS, output, settings, **more)
    return model


def likeness(model: SingleStreamModel) -> float:
    """Of the vectors of translations."""
    known = model.embed(model.read_text(model.tokenize([pair.known for pair in PAIRS])))
    said = model.embed(model.read_text(model.tokenize(CORPUS, ["fr"] * len(PAIRS))))
    return (known * said).sum(dim=1).mean().item()


def test_sentences_come_to_mean_what_their_translations_mean(folder: Path, tmp_path: Path) -> None:
    before = likeness(trained(folder, tmp_path / "without"))
    model = trained(folder, tmp_path / "fr", translations=PAIRS)
    assert likeness(model) > max(before, 0.97)
    assert likeness(load_model(str(tmp_path / "fr"))) == pytest.approx(likeness(model), abs=0.01)


def test_masked_subwords_are_told_better_than_before(folder: Path, tmp_path: Path) -> None:
    model = load_model(str(folder))
    report = train_language(model, str(folder), "fr", CORPUS, tmp_path / "fr", replace(SETTINGS, epochs=80))
    before, after = report.perplexity
    assert after < before / 2
    assert (report.code, report.sentences, report.translations) == ("fr", 30, 0)
    assert report.bytes < 1_000_000


def test_nothing_of_the_model_changes(folder: Path, tmp_path: Path) -> None:
    model, untouched = trained(folder, tmp_path / "fr", translations=PAIRS), load_model(str(folder))
    for (name, weight), before in zip(model.state_dict().items(), untouched.state_dict().values(), strict=True):
        assert torch.equal(weight, before), name
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert load_model(str(tmp_path / "fr")).fingerprint == untouched.fingerprint


def test_pictures_are_asked_about_where_there_are_any(folder: Path, tmp_path: Path) -> None:
    images = load_model(str(folder)).read_images(ImageBatch(torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)))
    model = trained(folder, tmp_path / "fr", translations=PAIRS, pictures=images)
    rows = [json.loads(line) for line in (tmp_path / "fr/training/meanings.jsonl").read_text().splitlines()]
    assert rows[-1]["answers"] < rows[0]["answers"]
    assert likeness(model) > 0.97


@pytest.mark.parametrize("pictured", [False, True])
def test_each_of_the_models_outputs_teaches_the_language(folder: Path, tmp_path: Path, pictured: bool) -> None:
    model = load_model(str(folder))
    images = model.read_images(ImageBatch(torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)))
    with frozen(model):
        language = new_language(model, "fr", CORPUS, tmp_path / "tokenizer.json", SETTINGS)
        losses = MeaningLosses(model, language, PAIRS, images if pictured else None, SETTINGS)(0)
        assert set(losses) == {"vector", "states", "match", "answer", *(("answers",) if pictured else ())}
        for name, loss in losses.items():
            (gradient,) = torch.autograd.grad(loss, language.embedding.weight, retain_graph=True)
            assert gradient.norm() > 0, name


@pytest.mark.parametrize("pictured", [False, True])
def test_what_teaches_is_computed_once_and_teaches_the_same(folder: Path, tmp_path: Path, pictured: bool) -> None:
    model = load_model(str(folder))
    images = model.read_images(ImageBatch(torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)))
    read: list[str] = []
    tokenize = model.tokenize

    def watched(texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        read.extend(languages)
        return tokenize(texts, languages)

    with frozen(model):
        language = new_language(model, "fr", CORPUS, tmp_path / "tokenizer.json", SETTINGS)
        model.tokenize = watched
        told = []
        for kept in (len(PAIRS), len(PAIRS) - 1):
            losses = MeaningLosses(model, language, PAIRS, images if pictured else None, SETTINGS, kept)
            told.append([losses(step) for step in range(4)])
            assert read.count("en") == (len(PAIRS) if kept == len(PAIRS) else 4 * SETTINGS.batch)
            read.clear()
    for once, again in zip(*told, strict=True):
        for name, loss in once.items():
            torch.testing.assert_close(loss, again[name], rtol=1e-3, atol=1e-4)


def test_a_sentence_that_is_read_as_its_translation_teaches_nothing(folder: Path, tmp_path: Path) -> None:
    model = remade(load_model(str(folder)), 0, predicts_tokens=True).eval()
    images = model.read_images(ImageBatch(torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)))
    settings = replace(SETTINGS, vocabulary=0)
    with frozen(model):
        language = new_language(model, "fr", CORPUS, tmp_path / "tokenizer.json", settings)
        same = [replace(pair, sentence=pair.known) for pair in PAIRS]
        alike, apart = (MeaningLosses(model, language, pairs, images, settings)(0) for pairs in (same, PAIRS))
        for name, loss in alike.items():
            assert loss < 0.2 * apart[name], name


def test_a_training_that_was_stopped_comes_to_the_same_end(folder: Path, tmp_path: Path) -> None:
    whole = trained(folder, tmp_path / "whole", translations=PAIRS)

    def stop(stage: str, done: int, total: int, losses: dict[str, float]) -> None:
        if (stage, done) == ("meanings", 20):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(folder, tmp_path / "parts", translations=PAIRS, report=stop)
    again = trained(folder, tmp_path / "parts", translations=PAIRS)
    batch = whole.tokenize(CORPUS, ["fr"] * len(CORPUS))
    assert torch.equal(whole.read_text(batch).hidden, again.read_text(batch).hidden)


def test_embeddings_begin_as_what_the_model_reads_in_their_place(folder: Path, tmp_path: Path) -> None:
    model = load_model(str(folder))
    settings = replace(SETTINGS, epochs=0, adapter=None)
    train_language(model, str(folder), "fr", CORPUS, tmp_path / "fr", settings)
    letter, other = (one.tokenize(["a"], codes).ids[0] for one, codes in ((model, ["fr"]), (model, [])))
    torch.testing.assert_close(model.embeddings("fr")[letter], model.embeddings()[other])


def test_the_models_own_subwords_serve_where_none_are_wanted(folder: Path, tmp_path: Path) -> None:
    model, settings = remade(load_model(str(folder)), 0, predicts_tokens=True), replace(SETTINGS, vocabulary=0)
    train_language(model, str(folder), "fr", CORPUS, tmp_path / "fr", settings, PAIRS)
    assert not (tmp_path / "fr" / "tokenizer.json").exists()
    assert likeness(model) > 0.9


def test_the_models_own_subwords_need_a_head_that_predicts_them(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no head that predicts tokens of its own subwords"):
        trained(folder, tmp_path / "fr", replace(SETTINGS, vocabulary=0))


def test_masks_hide_some_tokens_and_no_padding(folder: Path) -> None:
    model = load_model(str(folder))
    batch = model.tokenize([*CORPUS, "", "a"] * 20)
    masked, places = mask_tokens(batch, model.tokenizer, torch.Generator().manual_seed(0))
    assert not (places & ~batch.mask).any()
    assert 0.12 < places.sum() / batch.mask.sum() < 0.18
    assert torch.equal(masked.ids[~places], batch.ids[~places])
    hidden = (masked.ids == model.tokenizer.mask_id).sum() / places.sum()
    assert 0.7 < hidden < 0.9


def test_a_training_goes_on_from_the_same_first_stage_of_another(folder: Path, tmp_path: Path) -> None:
    trained(folder, tmp_path / "without")
    whole = trained(folder, tmp_path / "whole", translations=PAIRS)
    for name in ("parts", "other"):
        (tmp_path / name / "training").mkdir(parents=True)
        for file in FIRST_STAGE:
            shutil.copy(tmp_path / "without" / "training" / file, tmp_path / name / "training" / file)
    stages: set[str] = set()
    later = trained(folder, tmp_path / "parts", translations=PAIRS, report=lambda stage, *told: stages.add(stage))
    assert stages == {"meanings"}
    batch = whole.tokenize(CORPUS, ["fr"] * len(CORPUS))
    assert torch.equal(whole.read_text(batch).hidden, later.read_text(batch).hidden)
    with pytest.raises(ConfigurationError, match="holds a training with another epochs"):
        trained(folder, tmp_path / "other", replace(SETTINGS, epochs=1), translations=PAIRS)


def test_a_language_that_the_model_began_with_is_refused(folder: Path, tmp_path: Path) -> None:
    model = load_model(str(folder))
    with pytest.raises(ConfigurationError, match="tiny began with the language 'de'"):
        train_language(model, str(folder), "de", CORPUS, tmp_path / "de", SETTINGS)


def test_a_folder_with_another_training_is_refused(folder: Path, tmp_path: Path) -> None:
    few = replace(SETTINGS, epochs=1, steps=2)
    trained(folder, tmp_path / "fr", few)
    with pytest.raises(ConfigurationError, match="holds a training with another translations"):
        trained(folder, tmp_path / "fr", few, translations=PAIRS)


def test_something_has_to_be_trained() -> None:
    with pytest.raises(ConfigurationError, match="nothing is to be trained"):
        LanguageSettings(vocabulary=0, adapter=None)


def test_texts_are_framed_as_the_models_own_are(tmp_path: Path) -> None:
    vilt(tmp_path / "vilt", "answers")
    import_checkpoint(str(tmp_path / "vilt"), tmp_path / "mine", 1)
    model = load_model(str(tmp_path / "mine"))
    assert isinstance(model, SingleStreamModel)
    with frozen(model):
        new_language(model, "fr", CORPUS, tmp_path / "tokenizer.json", SETTINGS)
    own, said = model.tokenize(["a red star"]), model.tokenize(CORPUS, ["fr"] * len(CORPUS))
    for place in (0, -1):
        wanted = model.embeddings()[own.ids[0, own.mask[0]][place]]
        for ids, mask in zip(said.ids, said.mask, strict=True):
            assert torch.equal(model.embeddings("fr")[ids[mask][place]], wanted)
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    _, places = mask_tokens(said, tokenizer, torch.Generator().manual_seed(0))
    assert places.any()
    assert not {*said.ids[places].tolist()} & {*tokenizer.frame_ids.values()}


def test_texts_are_not_framed_where_the_models_own_are_not(folder: Path, tmp_path: Path) -> None:
    trained(folder, tmp_path / "fr", replace(SETTINGS, epochs=0))
    plain = Tokenizer.train(CORPUS[min(HELD_OUT, len(CORPUS) // 10) :], SETTINGS.vocabulary)
    assert (tmp_path / "fr" / "tokenizer.json").read_text(encoding="utf-8") == plain.to_json()


def test_an_imported_model_learns_a_language_in_the_layers_that_read_texts_alone(tmp_path: Path) -> None:
    vilt(tmp_path / "vilt", "answers")
    for name, cut in (("mine", 1), ("whole", 0)):
        import_checkpoint(str(tmp_path / "vilt"), tmp_path / name, cut)
    model = trained(tmp_path / "mine", tmp_path / "fr", translations=PAIRS)
    assert likeness(model) > likeness(trained(tmp_path / "mine", tmp_path / "without"))
    assert load_model(str(tmp_path / "fr")).languages == ("en", "fr")
    with pytest.raises(ConfigurationError, match="whole is cut below its first: import it anew"):
        trained(tmp_path / "whole", tmp_path / "never")
