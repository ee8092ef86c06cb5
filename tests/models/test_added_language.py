import json
from pathlib import Path

import pytest
import torch

from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models import load_model
from polyglance.models.added_language import Language, LanguageFacts, load_language, save_language
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import TextBatch
from tests.journeys.tiny import save_tiny_model

ENGLISH, FRENCH, SPANISH = "a red star", "une étoile rouge", "una estrella roja sobre un plato"
LANGUAGES = ("en", "fr", "es", "fr")
TEXTS = (ENGLISH, FRENCH, SPANISH, "une étoile")


def made(code: str, texts: list[str] | None, seed: int) -> Language:
    """With subwords of its own where there are texts; its adapter large enough to be seen."""
    torch.manual_seed(seed)
    adapter = Adapter(AdapterConfig(reduction_factor=4, invertible=True), 16, 1)
    language = Language(code, 16, Tokenizer.train(texts, 270 + seed) if texts else None, adapter)
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return language


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny_model(tmp_path / "tiny")


@pytest.fixture
def model(folder: Path) -> SingleStreamModel:
    model = load_folder(folder, torch.float32)
    model.add_language(made("fr", [FRENCH], 1))
    model.add_language(made("es", None, 2))
    return model


def test_a_text_is_read_with_the_subwords_and_the_adapter_of_its_language(
    folder: Path, model: SingleStreamModel
) -> None:
    batch = model.tokenize([FRENCH], ["fr"])
    language = made("fr", [FRENCH], 1)
    assert language.tokenizer
    assert language.embedding
    assert language.adapter
    assert language.adapter.coupling
    ids, _ = language.tokenizer.encode([FRENCH], 32)
    assert batch.ids.tolist() == ids.tolist()
    bare = load_folder(folder, torch.float32)
    x = language.embedding(batch.ids) + bare.text_position(torch.arange(batch.ids.shape[1]))
    coupled = language.adapter.coupling(x)
    with torch.no_grad():
        without = bare.text_layers(coupled, batch.mask)
    read = model.read_text(batch).hidden
    assert not torch.allclose(read, without)
    for parameter in (language.adapter.up, language.adapter.up_bias):
        torch.nn.init.zeros_(parameter)
    model.add_language(language)
    torch.testing.assert_close(model.read_text(batch).hidden, without)


def test_the_rows_of_a_mixed_batch_do_not_depend_on_each_other(model: SingleStreamModel) -> None:
    batch = model.tokenize(TEXTS, LANGUAGES)
    assert batch.languages == (None, "fr", "es", "fr")
    read = model.embed(model.read_text(batch))
    for row, (text, code) in enumerate(zip(TEXTS, LANGUAGES, strict=True)):
        alone = model.embed(model.read_text(model.tokenize([text], [code])))
        torch.testing.assert_close(read[row], alone[0], atol=1e-5, rtol=1e-5)


def test_each_row_is_predicted_by_the_inverse_and_the_subwords_of_its_own_language(model: SingleStreamModel) -> None:
    model.add_language(made("de", [SPANISH, FRENCH], 3))
    texts, codes = [FRENCH, SPANISH, "une étoile"], ["fr", "de", "fr"]
    batch = model.tokenize(texts, codes)
    found = model.predict_tokens(batch, batch.mask)
    assert set(found) == {"fr", "de"}
    for code in found:
        there = [text for text, one in zip(texts, codes, strict=True) if one == code]
        alone = model.tokenize(there, [code] * len(there))
        torch.testing.assert_close(found[code], model.predict_tokens(alone, alone.mask)[code], atol=1e-5, rtol=1e-5)


def test_texts_of_the_models_own_languages_are_read_as_before(folder: Path, model: SingleStreamModel) -> None:
    bare = load_folder(folder, torch.float32)
    assert torch.equal(
        model.read_text(model.tokenize([ENGLISH])).hidden, bare.read_text(bare.tokenize([ENGLISH])).hidden
    )
    assert model.languages == (*bare.languages, "fr", "es")
    assert model.fingerprint == bare.fingerprint
    assert model.state_dict().keys() == bare.state_dict().keys()


def test_without_a_head_no_token_is_predicted(model: SingleStreamModel) -> None:
    batch: TextBatch = model.tokenize([ENGLISH])
    with pytest.raises(ConfigurationError, match="tiny has no head that predicts tokens"):
        model.predict_tokens(batch, batch.mask)


def test_a_language_of_another_body_is_refused(model: SingleStreamModel) -> None:
    other = Language("it", 16, None, Adapter(AdapterConfig(), 16, 2))
    with pytest.raises(ConfigurationError, match="1 text layers of width 16, got 'it' for 2 of width 16"):
        model.add_language(other)


def save(folder: Path, to: Path, fingerprint: str | None = None) -> Path:
    facts = LanguageFacts(str(folder), fingerprint or load_model(str(folder)).fingerprint, {"perplexity": 3.5})
    save_language(made("fr", [FRENCH], 1), to, facts)
    return to


def test_its_folder_is_a_model_with_one_more_language(folder: Path, tmp_path: Path) -> None:
    model = load_model(str(save(folder, tmp_path / "fr")))
    assert model.languages[-1] == "fr"
    assert model.name == "tiny+fr"
    assert model.fingerprint == load_model(str(folder)).fingerprint
    bare = load_folder(folder, next(model.parameters()).dtype)
    bare.add_language(made("fr", [FRENCH], 1))
    batch = model.tokenize([FRENCH], ["fr"])
    torch.testing.assert_close(model.read_text(batch).hidden, bare.read_text(batch).hidden, atol=0.05, rtol=0.05)


def test_languages_are_added_to_each_other(folder: Path, tmp_path: Path) -> None:
    first = save(folder, tmp_path / "fr")
    facts = LanguageFacts(str(first), load_model(str(folder)).fingerprint, {})
    save_language(made("es", [SPANISH], 2), tmp_path / "es", facts)
    assert load_model(str(tmp_path / "es")).languages[-2:] == ("fr", "es")


def test_a_language_that_was_added_to_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="which now is another model"):
        load_model(str(save(folder, tmp_path / "fr", "0123456789abcdef")))


def test_a_language_that_was_added_to_itself_is_refused(folder: Path, tmp_path: Path) -> None:
    first, second = save(folder, tmp_path / "fr"), tmp_path / "es"
    facts = LanguageFacts(str(first), load_model(str(folder)).fingerprint, {})
    save_language(made("es", [SPANISH], 2), second, facts)
    fields = json.loads((first / "language.json").read_text())
    (first / "language.json").write_text(json.dumps({**fields, "model": str(second)}))
    with pytest.raises(CheckpointError, match="added to itself"):
        load_model(str(second))


def torn_weights(folder: Path) -> None:
    path = folder / "language.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def other_subwords(folder: Path) -> None:
    Tokenizer.train([SPANISH], 290).save(folder / "tokenizer.json")


def no_object(folder: Path) -> None:
    (folder / "language.json").write_text("[]")


def wrong_field(folder: Path) -> None:
    fields = json.loads((folder / "language.json").read_text())
    (folder / "language.json").write_text(json.dumps({**fields, "code": 3}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (torn_weights, "language.safetensors cannot be used"),
        (other_subwords, "expected 271 subwords, got"),
        (no_object, "does not describe a language: expected an object"),
        (wrong_field, "expected code to be a text, got 3"),
    ],
)
def test_a_damaged_folder_is_named(damage, reason: str, folder: Path, tmp_path: Path) -> None:
    damage(save(folder, tmp_path / "fr"))
    with pytest.raises(CheckpointError, match=reason):
        load_model(str(tmp_path / "fr"))


def test_a_folder_without_a_language_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no language"):
        load_language(tmp_path, 16, 1)
