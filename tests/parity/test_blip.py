"""BLIP and BLIP-2 give what `transformers` gives from the same picture files, to 1e-5; and close to it from 8 bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch.testing import assert_close

from polyglance.data.images import decode
from polyglance.models.families.blip import load_blip
from polyglance.models.reading import read_pictures, read_texts
from polyglance.nn.states import TokenStates
from tests.blip_checkpoints import ANSWERS, TEXTS, tiny_blip, tiny_blip2, tiny_blip_vqa
from tests.checkpoints import pictures

WRITERS = {"blip": tiny_blip, "blip-2": tiny_blip2, "vqa": tiny_blip_vqa, "vqa-list": tiny_blip_vqa}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    whole = tmp_path_factory.mktemp("blip")
    for name, write in WRITERS.items():
        write(whole / name, *([ANSWERS] if name == "vqa-list" else []))
    pictures(whole / "pictures")
    return whole


@pytest.fixture(scope="module")
def files(folder: Path) -> list[Path]:
    return sorted((folder / "pictures").iterdir())


def theirs(folder: Path, kind: str, files: list[Path], texts: tuple[str, ...] = TEXTS) -> tuple[Any, dict[str, Any]]:
    """(the model, its inputs), each by transformers' own means."""
    images = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")([decode(file) for file in files])
    texts = transformers.AutoTokenizer.from_pretrained(folder)(list(texts), padding=True, return_tensors="pt")
    inputs = {
        "pixel_values": torch.from_numpy(np.stack(images["pixel_values"])).float(),
        "input_ids": texts["input_ids"],
        "attention_mask": texts["attention_mask"],
    }
    return getattr(transformers, kind).from_pretrained(folder).eval(), inputs


@torch.no_grad()
def test_blip_embeds_and_matches_as_transformers_does(folder: Path, files: list[Path]) -> None:
    ours = load_blip(folder / "blip", "blip", torch.float32)
    images, texts = read_pictures(ours, files), read_texts(ours, TEXTS)
    model, inputs = theirs(folder / "blip", "BlipForImageTextRetrieval", files)
    matched = model(**inputs)
    assert_close(images.hidden, matched.last_hidden_state, atol=1e-5, rtol=1e-5)
    logits = matched.itm_score
    assert_close(ours.match(texts, images), logits[:, 1] - logits[:, 0], atol=1e-5, rtol=1e-5)
    assert logits.std() > 0.01, "expected logits that differ from pair to pair"
    cosines = model(**inputs, use_itm_head=False).itm_score
    assert_close(ours.embed(images) @ ours.embed(texts).T, cosines, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_blip_2_matches_as_transformers_does(folder: Path, files: list[Path]) -> None:
    ours = load_blip(folder / "blip-2", "blip-2", torch.float32)
    model, inputs = theirs(folder / "blip-2", "Blip2ForImageTextRetrieval", files)
    logits = model(**inputs, use_image_text_matching_head=True).logits_per_image
    matched = ours.match(read_texts(ours, TEXTS), read_pictures(ours, files))
    assert_close(matched, logits[:, 1] - logits[:, 0], atol=1e-5, rtol=1e-5)
    assert logits.std() > 0.01


@torch.no_grad()
def test_blip_ranks_answers_by_the_decoders_likelihood(folder: Path, files: list[Path]) -> None:
    ours = load_blip(folder / "vqa-list", "vqa", torch.float32)
    told = ours.answer_logits(read_texts(ours, TEXTS), read_pictures(ours, files))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "vqa-list")
    for row, (text, file) in enumerate(zip(TEXTS, files, strict=True)):
        model, inputs = theirs(folder / "vqa-list", "BlipForQuestionAnswering", [file], (text,))
        for column, answer in enumerate(ANSWERS):
            labels = tokenizer(answer, return_tensors="pt").input_ids
            labels[:, 0] = model.decoder_start_token_id
            loss = model(**inputs, labels=labels).loss
            assert_close(told[row, column], -loss * (labels.shape[1] - 1), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_blip_writes_the_answer_that_transformers_generates(folder: Path, files: list[Path]) -> None:
    ours = load_blip(folder / "vqa", "vqa", torch.float32)
    written = ours.write(read_texts(ours, TEXTS), read_pictures(ours, files), top=3)
    assert [len(answers) for answers in written] == [3] * len(TEXTS)
    for text, file, answers in zip(TEXTS, files, written, strict=True):
        model, inputs = theirs(folder / "vqa", "BlipForQuestionAnswering", [file], (text,))
        one = model.generate(**inputs, num_beams=3, max_new_tokens=10, length_penalty=0.0)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "vqa")
        assert answers[0][0] == tokenizer.decode(one[0], skip_special_tokens=True)
        chances = [probability for _, probability in answers]
        assert 1 > chances[0] >= chances[1] >= chances[2] > 0


@pytest.mark.parametrize("name", ["blip", "blip-2"])
def test_states_kept_in_8_bits_give_nearly_the_same_matches(folder: Path, files: list[Path], name: str) -> None:
    ours = load_blip(folder / name, name, torch.float32)
    images, texts = read_pictures(ours, files), read_texts(ours, TEXTS)
    stored, spoken = TokenStates.load(images.store(), "image", "cpu"), TokenStates.load(texts.store(), "text", "cpu")
    matched = ours.match(texts, images)
    assert_close(ours.match(texts, stored), matched, atol=0.03, rtol=0)
    assert_close(ours.match(spoken, stored), matched, atol=0.06, rtol=0)
    if name == "blip":
        assert_close(ours.embed(stored), ours.embed(images), atol=0, rtol=0)
