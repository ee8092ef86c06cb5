"""`st:NAME` gives what sentence-transformers gives itself, of the same texts and picture files, to 1e-5."""

from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from torch import nn
from torch.testing import assert_close

from polyglance.data.images import decode
from polyglance.models.families.sentence_transformers import load_embedder, load_scorer
from polyglance.models.reading import read_pictures, read_texts
from polyglance.nn.states import TokenStates
from tests.checkpoints import WORDS, pictures
from tests.sentence_checkpoints import tiny_cross_encoder, tiny_sentence_clip

TEXTS = ["a red star", "a white plate", "", "star"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return pictures(tmp_path_factory.mktemp("pictures"))


def test_vectors_are_those_of_the_library_itself(tmp_path: Path, files: list[Path]) -> None:
    folder = tiny_sentence_clip(tmp_path)
    ours, theirs = load_embedder(f"st:{folder}", torch.float32), SentenceTransformer(str(folder), device="cpu")
    texts = torch.from_numpy(theirs.encode_query([*WORDS, ""], normalize_embeddings=True))
    assert_close(ours.embed(read_texts(ours, [*WORDS, ""])), texts, atol=1e-5, rtol=0)
    images = theirs.encode_document([decode(file) for file in files], normalize_embeddings=True)
    seen = read_pictures(ours, files)
    assert_close(ours.embed(seen), torch.from_numpy(images), atol=1e-5, rtol=0)
    assert_close(ours.embed(TokenStates.load(seen.store(), "image", "cpu")), ours.embed(seen), atol=0, rtol=0)


def test_a_text_is_a_text_even_where_it_is_the_address_of_a_picture(tmp_path: Path, files: list[Path]) -> None:
    ours = load_embedder(f"st:{tiny_sentence_clip(tmp_path)}", torch.float32)
    texts = [str(files[0]), "http://localhost/a.png", "a red star"]
    together = ours.embed(read_texts(ours, texts))
    alone = torch.cat([ours.embed(read_texts(ours, [text])) for text in texts])
    assert_close(together, alone, atol=1e-5, rtol=0)
    assert (together[0] - ours.embed(read_pictures(ours, files[:1]))[0]).abs().max() > 0.01


def test_scores_are_those_of_the_library_itself(tmp_path: Path, files: list[Path]) -> None:
    folder = tiny_cross_encoder(tmp_path)
    images = [decode(file) for file in files]
    scores = load_scorer(f"st:{folder}", torch.float32).log_odds(TEXTS, images)
    theirs = CrossEncoder(str(folder), device="cpu").predict(
        list(zip(TEXTS, images, strict=True)), activation_fn=nn.Identity()
    )
    assert_close(scores, torch.from_numpy(theirs), atol=1e-5, rtol=1e-5)
    assert scores.std() > 0.1
