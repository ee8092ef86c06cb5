"""Weights that were trained on the real world: texts are read as transformers and sentence-transformers read them, and
photographs are told apart. `make test` fetches the weights (`python -m experiments.weights`)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from experiments.weights.folders import weights_folder
from polyglance.data.tokenization import Tokenizer
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.families.text_encoder import load_text_encoder
from polyglance.models.importing.conversion import import_checkpoint
from polyglance.nn.efficientnet import SCALES, EfficientNetLite
from tests.shared_data import shared_data

ENCODERS = {"all-MiniLM-L6-v2": (30522, 512), "multilingual-e5-small": (250037, 512)}
"""Rows of the tables of subwords and positions."""
TEXTS = [
    "A dog runs across the meadow.",
    "Ein Hund läuft über die Wiese.",
    "一只狗跑过草地。",
    "Собака бежит по лугу.",
    "একটি কুকুর মাঠ জুড়ে দৌড়াচ্ছে।",
    "The central bank raised interest rates again.",
]
DOGS = range(151, 269)
"""The classes of ImageNet that are breeds of dogs."""


@cache
def read(name: str) -> tuple[Tensor, Tensor, Tensor]:
    """(ids, mask, states of the last layer) of the texts, as queries."""
    folder = weights_folder(name)
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    ids, mask = map(torch.from_numpy, tokenizer.encode([f"query: {text}" for text in TEXTS], 512))
    with torch.inference_mode():
        return ids, mask, load_text_encoder(folder, torch.float32)(ids, mask)


def vectors(states: Tensor, mask: Tensor) -> Tensor:
    """Unit vectors from the mean of all tokens, as both models are used."""
    return F.normalize((states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True), dim=-1)


@pytest.mark.parametrize("name", ENCODERS)
def test_states_are_those_of_transformers(name: str) -> None:
    from transformers import BertModel

    ids, mask, states = read(name)
    theirs = BertModel.from_pretrained(weights_folder(name), add_pooling_layer=False, dtype=torch.float32).eval()
    assert (theirs.config.vocab_size, theirs.config.max_position_embeddings) == ENCODERS[name]
    with torch.inference_mode():
        expected = theirs(ids, mask.long()).last_hidden_state
    assert_close(states[mask], expected[mask], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_vectors_are_those_of_sentence_transformers(name: str) -> None:
    from sentence_transformers import SentenceTransformer

    _, mask, states = read(name)
    theirs = SentenceTransformer(str(weights_folder(name)), device="cpu", model_kwargs={"dtype": torch.float32})
    expected = torch.from_numpy(theirs.encode([f"query: {text}" for text in TEXTS]))
    ours = vectors(states, mask)
    assert_close(ours, expected, atol=1e-5, rtol=0)
    assert_close(ours @ ours.T, theirs.similarity(expected, expected), atol=1e-5, rtol=0)


def test_prompts_of_e5_are_known_to_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(weights_folder("multilingual-e5-small")), device="cpu")
    as_query = theirs.encode_query(TEXTS[:1])
    np.testing.assert_allclose(as_query, theirs.encode([f"query: {TEXTS[0]}"]), atol=1e-5)
    np.testing.assert_allclose(theirs.encode_document(TEXTS[:1]), theirs.encode([f"passage: {TEXTS[0]}"]), atol=1e-5)


def test_one_sentence_in_five_languages_lies_together() -> None:
    _, mask, states = read("multilingual-e5-small")
    of = vectors(states, mask)
    translations, another = (of @ of.T)[0].split([5, 1])
    assert translations.min() > 0.8
    assert translations.min() > another + 0.05


@pytest.mark.parametrize("name", ENCODERS)
def test_imports_compute_what_the_original_does(name: str, tmp_path: Path) -> None:
    report = import_checkpoint(str(weights_folder(name)), tmp_path / "ours", first_joint_layer=0)
    assert (report.kind, report.missing, report.left_over) == ("bert", (), ())
    assert report.languages == (DEMO_LANGUAGES if name == "multilingual-e5-small" else ("en",))
    model = load_folder(tmp_path / "ours", torch.float32)
    assert isinstance(model, SingleStreamModel)
    ids, mask, expected = read(name)
    batch = model.tokenize([f"query: {text}" for text in TEXTS])
    assert torch.equal(batch.ids, ids)
    with torch.inference_mode():
        x, joined = model.join("embed", model.read_text(batch))
        states = model.joint_layers(x[:, 1:], joined[:, 1:])
    assert_close(states[mask], expected[mask], atol=1e-5, rtol=1e-5)


# -- photographs -------------------------------------------------------------------------------------------------------


def photographs(word: str, count: int) -> list[Path]:
    """Pictures of the test split that all five captions say to show a `word`."""
    folder = shared_data() / "flickr8k"
    said: dict[str, list[str]] = {}
    for line in (folder / "captions.en.jsonl").read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        said.setdefault(row["image"], []).append(row["caption"].lower())
    found = [image for image, captions in said.items() if len(captions) == 5 and all(word in one for one in captions)]
    return [folder / image for image in sorted(found)[:count]]


def fitted(path: Path, side: int) -> Tensor:
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels).permute(2, 0, 1)


@pytest.mark.parametrize("size", [0, 2])
def test_photographs_of_dogs_are_taken_for_dogs(size: int) -> None:
    folder = weights_folder(f"efficientnet-lite{size}")
    config = json.loads((folder / "config.json").read_text())
    model = EfficientNetLite(*SCALES[config["architecture"]]).eval()
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    pixels = torch.stack([fitted(path, 224) for path in photographs("dog", 24)])
    with torch.inference_mode():
        classes = model.logits(model(pixels)).argmax(dim=1).tolist()
    assert sum(found in DOGS for found in classes) >= 20, [config["label_names"][found] for found in classes]
    assert len(config["label_names"]) == 1000
    assert "golden retriever" in config["label_names"][207]
