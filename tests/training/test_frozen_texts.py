"""Texts that frozen layers read once."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from polyglance.models.checkpoint import load_folder
from polyglance.models.families.cut_model import CutModel
from polyglance.training.frozen_texts import keep_texts
from tests.backbone_checkpoints import composed
from tests.checkpoints import tiny_altclip
from tests.journeys.tiny import save_tiny_model

TEXTS = ("a red star", "", "is this a red star on a plate ?", "a star")
WRITERS = {"single stream": save_tiny_model, "vectors of another length": tiny_altclip, "composed": composed}


@pytest.fixture(params=WRITERS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> CutModel:
    return load_folder(WRITERS[request.param](tmp_path / "model"), torch.float32)


@pytest.mark.parametrize("on_disk", [False, True])
def test_they_are_as_if_read_again(model: CutModel, tmp_path: Path, on_disk: bool) -> None:
    kept = keep_texts(model, TEXTS, "no", folder=tmp_path / "kept" if on_disk else None)
    rows = torch.tensor([3, 0, 2])
    found = kept.states(rows)
    read = model.read_text(model.tokenize([TEXTS[row] for row in rows]))
    longest = int(read.mask.sum(dim=1).max())  # some tokenizers pad further
    assert torch.equal(found.mask, read.mask[:, :longest])
    assert_close(found.hidden[found.mask], read.hidden[read.mask], atol=0.02, rtol=0.02)  # kept in bfloat16
    exact = 5e-5 if model.embeds_below else 0.02
    assert_close(model.embed(found), model.embed(read), atol=exact, rtol=exact)


def test_they_are_padded_to_the_longest_of_others(model: CutModel) -> None:
    kept = keep_texts(model, TEXTS, "no")
    together = kept.states(torch.tensor([0, 3]), torch.arange(4))
    assert together.hidden.shape[1] == model.tokenize(TEXTS).mask.sum(dim=1).max()
    assert_close(model.embed(together), model.embed(kept.states(torch.tensor([0, 3]))), atol=1e-5, rtol=1e-5)


def test_vectors_alone_take_less_room_where_they_suffice(model: CutModel) -> None:
    whole, alone = keep_texts(model, TEXTS, "no"), keep_texts(model, TEXTS, "no", vectors_alone=True)
    rows = torch.arange(4)
    assert torch.equal(model.embed(alone.states(rows)), model.embed(whole.states(rows)))
    assert (alone.kept.nbytes < whole.kept.nbytes) == model.embeds_below
