"""The whole recipe at a thousandth of its size, with a teacher and a classifier that know nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as FastTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from experiments.bundled_model.__main__ import SMALL
from experiments.bundled_model.recipe import EYES, FOUR_BITS, train
from experiments.bundled_model.teacher import NAME as TEACHER
from experiments.bundled_model.vocabulary import unigram
from experiments.bundled_model.words import LANGUAGES
from experiments.fetched import make_folder
from experiments.pictures.folders import PICTURES, TRAINING_ARTISTS
from experiments.weights.folders import WEIGHTS
from polyglance.answering.words import UNKNOWN
from polyglance.data.gallery import gallery
from polyglance.models import load_model
from polyglance.models.checkpoint import save_model
from polyglance.models.families.cut_model import TASKS
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.efficientnet import SCALES, EfficientNetLite
from polyglance.training.loop import read_log
from tests.experiments.bundled_model.wheels import write_words

TINY = replace(SMALL, vocabulary=500, photo_captions=40, scene_lessons=20, words=8, scenes=24, few=4)
TINY = replace(TINY, counts=replace(SMALL.counts, emoji=4, clip_art=3), measured=(8, 2))


def write_teacher(folder: Path) -> None:
    letters = sorted({letter for entry in gallery() for name in entry.names.values() for letter in name.lower()})
    pieces = {piece: -float(len(piece)) for piece in ["▁", "▁a", "▁the", "▁dog", *letters]}
    (folder / "tokenizer.json").write_text(unigram(pieces), encoding="utf-8")
    fast = FastTokenizer.from_file(str(folder / "tokenizer.json"))
    PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(pieces) + 3, hidden_size=384, num_hidden_layers=1, num_attention_heads=6, intermediate_size=8
    )
    BertModel(shape).save_pretrained(folder)


def write_classifier(folder: Path) -> None:
    torch.manual_seed(0)
    network = EfficientNetLite(*SCALES["tf_efficientnet_lite0"])
    save_file(network.state_dict(), folder / "model.safetensors")
    names = [f"thing {number}" for number in range(1000)]
    (folder / "config.json").write_text(json.dumps({"label_names": names}), encoding="utf-8")


def write_emoji(folder: Path) -> None:
    for number, entry in enumerate(gallery()[:3]):
        Image.new("RGBA", (64, 64), (90 * number, 40, 200, 255)).save(folder / f"{entry.id}.png")


def write_clip_art(folder: Path) -> None:
    lines = []
    for number in range(6):
        Image.new("RGB", (80, 60), (40 * number, 200, 90)).save(folder / f"{number}.png")
        split = "train" if number < 4 else "val"
        lines.append({"image": f"{number}.png", "caption": f"Thing {number}", "language": "en", "split": split})
    for name, of_file in (("captions", lines), ("keywords", [lines[0] | {"caption": "thing, nought"}])):
        text = "".join(f"{json.dumps(line)}\n" for line in of_file)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def write_flag(folder: Path) -> None:
    Image.new("RGBA", (256, 256), (0, 150, 60)).save(folder / "lt.png")
    line = {"image": "lt.png", "names": {"en": "Lithuania", "de": "Litauen"}}
    (folder / "names.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")


def write_photographs(folder: Path) -> None:
    for number in range(2):
        Image.effect_noise((120, 90), 20 + 30 * number).convert("RGB").save(folder / f"{number}.jpg")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's cache with all that the recipe is trained on, made up."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    root = tmp_path / "polyglance"
    make_folder(root / "weights" / TEACHER, WEIGHTS[TEACHER].source, write_teacher)
    make_folder(root / "weights" / EYES, WEIGHTS[EYES].source, write_classifier)
    for artist in TRAINING_ARTISTS:
        make_folder(root / "pictures" / artist, PICTURES[artist].source, write_emoji)
    make_folder(root / "pictures" / "openclipart", PICTURES["openclipart"].source, write_clip_art)
    make_folder(root / "pictures" / "flags", PICTURES["flags"].source, write_flag)
    make_folder(root / "pictures" / "photographs", PICTURES["photographs"].source, write_photographs)
    (root / "words").mkdir()
    write_words(root / "words", {code: [["the", "a"], ["dog", "cat"], [f"{code}x"]] for code in LANGUAGES})


@pytest.mark.usefixtures("cache")
def test_it_trains_goes_on_where_it_stopped_and_leaves_a_model_that_is_packed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stages: list[str] = []
    trained = train(TINY, folder, lambda stage, *_: stages.append(stage))
    steps = {"texts": 4, "joint": 3, "tasks": 2, "answers": 2}
    assert {stage: len(list(read_log(folder / f"{stage}.jsonl"))) for stage in steps} == steps
    row = next(iter(read_log(folder / "joint.jsonl")))
    assert {
        "embed",
        "apart",
        "match",
        "cells_question",
        "referents",
        "answer",
        "names",
        "photograph_order",
    } <= row.keys()
    assert {"draw scenes", "see variants", "pictures", "shapes"} <= set(stages)

    joint = {
        name.removeprefix("module.model."): value for name, value in load_file(folder / "joint.safetensors").items()
    }
    after = trained.state_dict()
    changed = {
        name.split(".")[0] for name, value in after.items() if not torch.equal(joint.get(name, value + 1), value)
    }
    assert changed == {"task_adapters", "embed_head", "whole_head", "match_head", "answer_head"}
    tasks, answers = (
        {
            name.removeprefix("module.").removeprefix("model."): value
            for name, value in load_file(folder / f"{stage}.safetensors").items()
        }
        for stage in ("tasks", "answers")
    )
    own = {name for name in after if name.startswith((f"task_adapters.parts.{TASKS.index('answer')}", "answer_head"))}
    assert {name for name in after if not torch.equal(tasks[name], answers[name])} == own
    assert {name for name in after if not torch.equal(answers[name], after[name])} == {"whole_head.weight"}

    stages.clear()
    again = train(TINY, folder, lambda stage, *_: stages.append(stage))
    assert not {"texts", "pictures", "joint", "tasks", "answers", "draw scenes"} & set(stages)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in trained.state_dict().items())

    save_model(trained, folder / "model", packed=FOUR_BITS)
    model = load_model(folder / "model", dtype=torch.float32)
    assert isinstance(model, SingleStreamModel)
    assert model.name == "polyglance-mini"
    assert model.answers[-1] == UNKNOWN
    assert len(model.recall_by_depth) == 6
    texts = model.tokenize(["a dog", "ein Hund"])
    cosines = (model.embed(model.read_text(texts)) * trained.embed(trained.read_text(texts))).sum(dim=1)
    assert (cosines > 0.97).all()
