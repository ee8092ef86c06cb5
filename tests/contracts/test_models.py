"""What every model does, whatever its family and wherever its weights come from, for each ability apart."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from polyglance.data.images import decode
from polyglance.errors import ConfigurationError
from polyglance.models import bundled_folder, load_model
from polyglance.models.added_language import Language, LanguageFacts, load_language, save_language
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.blip import load_blip
from polyglance.models.families.cut_model import CutModel
from polyglance.models.families.sentence_transformers import load_embedder
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.importing.conversion import import_checkpoint
from polyglance.models.model import Model
from polyglance.models.protocol import Answerer, AnswerWriter, Embedder, Matcher, Reader
from polyglance.nn.states import TokenStates
from polyglance.types import Text
from tests.backbone_checkpoints import composed, convnext
from tests.blip_checkpoints import ANSWERS, tiny_blip, tiny_blip2, tiny_blip_vqa
from tests.checkpoints import exported, pictures, tiny_clip, tiny_naflex, tiny_siglip
from tests.journeys.tiny import save_tiny_model
from tests.sentence_checkpoints import tiny_sentence_clip
from tests.single_stream_checkpoints import vilt

TEXTS = ("a red star", "", "star", "two red stars on a white plate beside a plate")
EXACT = {"atol": 1e-5, "rtol": 1e-5}


@dataclass(frozen=True)
class ModelFamily:
    """write: its files into a new folder; gives the one to load. load: from there, in float32. language: of all texts,
    where one was added. prefix: of the folder's name, for `load_model`."""

    write: Callable[[Path], Path]
    load: Callable[[Path], Model]
    language: str | None = None
    prefix: str = ""


def in_float32(folder: Path) -> CutModel:
    return load_folder(folder, torch.float32)


def blip(folder: Path) -> Model:
    return load_blip(folder, "blip", torch.float32)


def bundled(folder: Path) -> Path:
    return copytree(bundled_folder(), folder / "model")


def imported(folder: Path) -> Path:
    vilt(folder / "vilt", "answers")
    import_checkpoint(str(folder / "vilt"), folder / "imported")
    return folder / "imported"


def with_french(folder: Path) -> Model:
    model = in_float32(folder)
    assert isinstance(model, SingleStreamModel)
    torch.manual_seed(1)
    language = Language("fr", model.config.width, model.tokenizer, None)
    save_language(language, folder / "fr", LanguageFacts(str(folder), model.fingerprint, {}))
    model.add_language(load_language(folder / "fr", model.config.width, model.config.first_joint_layer))
    return model


FAMILIES = {
    "bundled": ModelFamily(bundled, in_float32),
    "single stream": ModelFamily(save_tiny_model, in_float32),
    "added language": ModelFamily(save_tiny_model, with_french, language="fr"),
    "imported vilt": ModelFamily(imported, in_float32),
    "clip": ModelFamily(tiny_clip, in_float32),
    "siglip": ModelFamily(tiny_siglip, in_float32),
    "siglip 2, naflex": ModelFamily(tiny_naflex, in_float32),
    "clip in 8-bit integers": ModelFamily(exported, in_float32),
    "composed": ModelFamily(composed, in_float32),
    "composed, of a feature map": ModelFamily(lambda folder: composed(folder, convnext), in_float32),
    "blip": ModelFamily(tiny_blip, blip),
    "blip-2": ModelFamily(tiny_blip2, blip),
    "blip for questions": ModelFamily(tiny_blip_vqa, blip),
    "blip with answers": ModelFamily(lambda folder: tiny_blip_vqa(folder, ANSWERS), blip),
    "sentence-transformers": ModelFamily(
        tiny_sentence_clip, lambda folder: load_embedder(f"st:{folder}", torch.float32), prefix="st:"
    ),
}
"""Add a family here, and all below holds it to the contract."""
EMBED_OR_ANSWER = (
    "imported vilt",
    "clip",
    "siglip",
    "siglip 2, naflex",
    "clip in 8-bit integers",
    "composed",
    "composed, of a feature map",
    "blip for questions",
    "blip with answers",
    "sentence-transformers",
)
"""Those that do not match."""
OURS = (
    *("bundled", "single stream", "imported vilt", "clip", "siglip", "siglip 2, naflex", "clip in 8-bit integers"),
    *("composed", "composed, of a feature map"),
)
"""Those whose joint layers are trained here, and are then saved; of an export, before it was one."""


@dataclass(frozen=True)
class Loaded:
    name: str
    family: ModelFamily
    folder: Path
    model: Model

    def texts(self, *texts: str) -> TokenStates:
        return self.model.read([Text(text, self.family.language or "auto") for text in texts])

    def images(self, *images: Image.Image) -> TokenStates:
        return self.model.read([*map(self.model.open, images)])

    def results(self, texts: TokenStates, images: TokenStates) -> list[torch.Tensor]:
        """All that the model was trained for, a row each."""
        model, tasks = self.model, self.model.tasks
        embedded = [model.embed(texts), model.embed(images)] if "embed" in tasks else []
        matched = [model.match(texts, images)] if "match" in tasks else []
        answered = [model.answer_logits(texts, images)] if "answer" in tasks and isinstance(model, Answerer) else []
        return embedded + matched + answered


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    family = FAMILIES[request.param]
    folder = family.write(tmp_path_factory.mktemp("family"))
    return Loaded(request.param, family, folder, family.load(folder))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    return [decode(path) for path in pictures(tmp_path_factory.mktemp("pictures"))]


def test_what_it_says_of_itself(loaded: Loaded) -> None:
    model = loaded.model
    assert model.name
    assert model.languages
    assert set(model.tasks) <= {"embed", "match", "answer"}
    assert ("match" in model.tasks) == (loaded.name not in EMBED_OR_ANSWER)
    assert isinstance(model, CutModel) == model.trainable == (loaded.name in (*OURS, "added language"))
    assert isinstance(model, Reader)
    if "embed" in model.tasks:
        assert isinstance(model, Embedder)
        assert model.embedding_dim > 0
    if "match" in model.tasks:
        assert isinstance(model, Matcher)
        assert model.calibration[0] > 0
    if "answer" in model.tasks:
        assert isinstance(model, AnswerWriter) or (isinstance(model, Answerer) and model.answers)


def test_an_ability_that_it_was_not_trained_for_is_refused(loaded: Loaded, photographs: list[Image.Image]) -> None:
    asked = {
        "embed": lambda: loaded.model.encode_images(photographs),
        "match": lambda: loaded.model.score(["a red star"], photographs[:1]),
        "answer": lambda: loaded.model.answer("what is it?", photographs[0]),
    }
    for task in set(asked) - set(loaded.model.tasks):
        with pytest.raises(ConfigurationError, match=f"trained to {task}, got {loaded.model.name}"):
            asked[task]()


def test_shapes_and_types(loaded: Loaded, photographs: list[Image.Image]) -> None:
    model, texts, images = loaded.model, loaded.texts(*TEXTS), loaded.images(*photographs)
    for states, modality in ((texts, "text"), (images, "image")):
        assert states.modality == modality
        assert states.hidden.shape[:2] == states.mask.shape == (4, states.mask.shape[1])
        assert states.mask.any(dim=1).all(), "expected a token of every row"
        assert not states.hidden.requires_grad
        if "embed" in model.tasks:
            vectors = model.embed(states)
            assert vectors.shape == (4, model.embedding_dim)
            assert vectors.dtype == torch.float32
            assert_close(vectors.norm(dim=1), torch.ones(4), **EXACT)
    if "match" in model.tasks:
        assert model.match(texts, images).shape == (4,)
    if "answer" in model.tasks and isinstance(model, Answerer):
        assert model.answer_logits(texts, images).shape == (4, len(model.answers))
    assert not any(result.isnan().any() or result.requires_grad for result in loaded.results(texts, images))


def test_a_row_does_not_depend_on_its_neighbours(loaded: Loaded, photographs: list[Image.Image]) -> None:
    texts, images = loaded.texts(*TEXTS), loaded.images(*photographs)
    whole = loaded.results(texts, images)
    for row, (text, image) in enumerate(zip(TEXTS, photographs, strict=True)):
        for all_rows, alone in zip(whole, loaded.results(loaded.texts(text), loaded.images(image)), strict=True):
            assert_close(all_rows[row], alone[0], **EXACT)
    order = [2, 0, 0]
    for all_rows, some in zip(whole, loaded.results(texts[order], images[order]), strict=True):
        assert_close(some, all_rows[order], **EXACT)
    apart = TokenStates.joined([loaded.texts(*TEXTS[:3]), loaded.texts(TEXTS[3])])
    for all_rows, padded in zip(whole, loaded.results(apart, images), strict=True):
        assert_close(padded, all_rows, **EXACT)


def test_different_inputs_differ(loaded: Loaded, photographs: list[Image.Image]) -> None:
    texts, images = loaded.texts(TEXTS[0], TEXTS[3]), loaded.images(*photographs[:2])
    for result in loaded.results(texts, images):
        assert (result[0] - result[1]).abs().max() > 1e-4


def test_it_says_the_same_each_time(loaded: Loaded, photographs: list[Image.Image]) -> None:
    first = loaded.results(loaded.texts(*TEXTS), loaded.images(*photographs))
    for one, other in zip(first, loaded.results(loaded.texts(*TEXTS), loaded.images(*photographs)), strict=True):
        assert_close(one, other, atol=0, rtol=0)


def test_empty_and_odd_texts_are_read(loaded: Loaded, photographs: list[Image.Image]) -> None:
    odd = ("", "   ", "\n", "🙂🙂", "日本語" * 200, "<image> [MASK] http://localhost/a.png")
    for result in loaded.results(loaded.texts(*odd), loaded.images(*[photographs[0]] * len(odd))):
        assert not result.isnan().any()


def test_white_space_says_nothing(loaded: Loaded) -> None:
    spaced = ["a red\nstar", " a\u00a0 red\u3000star\r\n", "\ufeffa red\x00star"]
    plain, read = loaded.texts(*["a red star"] * 3), loaded.texts(*spaced)
    assert read.mask.equal(plain.mask)
    assert_close(read.hidden, plain.hidden, **EXACT)
    assert plain.vector is None or read.vector.allclose(plain.vector, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3000, 2), (2, 3000), (3, 1000)], ids=str)
def test_pictures_of_odd_sizes_are_read(loaded: Loaded, size: tuple[int, int]) -> None:
    plain, odd = (loaded.model.open(Image.new("RGB", of, "red")) for of in ((40, 30), size))
    assert odd.size == size
    assert odd.values.dtype == np.uint8
    assert odd.values.shape == plain.values.shape == (3, *plain.values.shape[1:])
    read = loaded.model.read([plain, odd])
    assert read.hidden.isfinite().all()


def test_stored_states_come_back(loaded: Loaded, photographs: list[Image.Image]) -> None:
    texts, images = loaded.texts(*TEXTS), loaded.images(*photographs)
    for states in (texts, images):
        back = TokenStates.load(states.store(), states.modality, "cpu")
        assert (back.vector is None) == (states.vector is None)
        if back.vector is not None:
            assert_close(back.vector, states.vector, atol=0, rtol=0)
        kept, found = states.trimmed(), back.trimmed()
        assert torch.equal(kept.mask, found.mask)
        step = kept.hidden.abs().amax(dim=-1, keepdim=True) / 127
        assert ((kept.hidden - found.hidden).abs()[kept.mask] <= 0.51 * step[kept.mask] + 1e-6).all()
    stored = TokenStates.load(images.store(), "image", "cpu")
    for exact, near in zip(loaded.results(texts, images), loaded.results(texts, stored), strict=True):
        assert_close(near, exact, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("loaded", [family for family in FAMILIES if family not in EMBED_OR_ANSWER], indirect=True)
def test_a_depth_that_it_does_not_have_is_refused(loaded: Loaded, photographs: list[Image.Image]) -> None:
    texts, images = loaded.texts(TEXTS[0]), loaded.images(photographs[0])
    assert_close(loaded.model.match(texts, images, 0), loaded.model.match(texts, images))
    with pytest.raises(ConfigurationError, match="depth"):
        loaded.model.match(texts, images, 99)


def test_it_is_loaded_again_by_its_source_from_any_working_directory(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if loaded.family.language:  # added in memory: nothing loads both at once
        assert loaded.model.source is None
        return
    assert loaded.model.source == f"{loaded.family.prefix}{loaded.folder}"
    monkeypatch.chdir(loaded.folder.parent)
    assert load_model(f"{loaded.family.prefix}{loaded.folder.name}").source == loaded.model.source
    monkeypatch.chdir(tmp_path)
    found = load_model(loaded.model.source)
    assert type(found) is type(loaded.model)
    assert found.fingerprint == loaded.model.fingerprint
    assert found.tasks == loaded.model.tasks


def test_the_fingerprint_is_that_of_the_files(loaded: Loaded, tmp_path: Path) -> None:
    copied = copytree(loaded.folder, tmp_path / "elsewhere")
    assert loaded.family.load(copied).fingerprint == loaded.model.fingerprint
    weights = load_file(copied / "model.safetensors")
    name = next(name for name, value in weights.items() if value.ndim > 1 and value.is_floating_point())
    save_file(weights | {name: weights[name] + 1}, copied / "model.safetensors", {"format": "pt"})
    assert loaded.family.load(copied).fingerprint != loaded.model.fingerprint


@pytest.mark.parametrize("loaded", OURS, indirect=True)
def test_what_is_saved_is_loaded_again(loaded: Loaded, photographs: list[Image.Image], tmp_path: Path) -> None:
    save_model(loaded.model, tmp_path / "saved", torch.float32)
    again = Loaded(loaded.name, loaded.family, tmp_path / "saved", in_float32(tmp_path / "saved"))
    assert again.model.tasks == loaded.model.tasks
    for one, other in zip(
        loaded.results(loaded.texts(*TEXTS), loaded.images(*photographs)),
        again.results(again.texts(*TEXTS), again.images(*photographs)),
        strict=True,
    ):
        assert_close(other, one, atol=0, rtol=0)
