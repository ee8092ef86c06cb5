"""The text tasks: what is read and left out, templates of pairs, measures, full fine-tuning."""

import json
from pathlib import Path

import pytest
import torch

from experiments.adapterdrop.full_fine_tuning import fine_tuned
from experiments.adapterdrop.text_tasks import (
    NAMES,
    SPLITS,
    Example,
    PairTokenizer,
    disjoint,
    matthews,
    read_splits,
    spearman,
    text_task,
)
from polyglance.errors import DataError
from polyglance.models.families.text_encoder import TextEncoder, load_text_encoder
from polyglance.training.tasks.trainer import TaskSettings
from tests.text_task_files import SIZES, tiny_text_encoder, write_task_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    write_task_files(folder / "data")
    tiny_text_encoder(folder / "body")
    return folder


@pytest.fixture(scope="module")
def body(folder: Path) -> TextEncoder:
    return load_text_encoder(folder / "body", torch.float32)


def test_measures_are_glues() -> None:
    right, wrong = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    labels = torch.tensor([1, 0] * 5)
    assert matthews(right.repeat(5, 1), labels) == pytest.approx(100)
    assert matthews(wrong.repeat(5, 1), labels) == pytest.approx(-100)
    assert matthews(torch.zeros(10, 2), labels) == 0
    # 3 true positives, 3 true negatives, 2 false positives, 2 false negatives: (9 - 4) / 25
    predicted = torch.tensor([1, 1, 1, 0, 0, 1, 1, 0, 0, 0])
    told = torch.tensor([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    assert matthews(torch.nn.functional.one_hot(predicted).float(), told) == pytest.approx(20)
    # d = (0, 1, 1, 0): 1 - 6 * 2 / (4 * 15)
    ranks = torch.tensor([[1.0], [30.0], [2.0], [400.0]])
    assert spearman(ranks, torch.tensor([1.0, 2.0, 3.0, 4.0])) == pytest.approx(80)
    assert spearman(torch.ones(4, 1), torch.tensor([1.0, 2.0, 3.0, 4.0])) == 0


def test_no_example_is_in_two_splits() -> None:
    test = Example("A dog  runs.", "A cat sits.", "yes")
    swapped, spelled = Example("a CAT sits.", "A dog runs.", "no"), Example("a dog runs.", "A cat sits. ", "no")
    other, val = Example("A dog runs.", "A cat sleeps.", "yes"), Example("One", "Two", "yes")
    splits = {"train": [swapped, other, val, spelled], "val": [val, swapped], "test": [test]}
    kept, left_out = disjoint(splits)
    assert kept == {"train": [other], "val": [val], "test": [test]}
    assert left_out == {"train": 3, "val": 1, "test": 0}


def test_a_file_that_is_not_as_expected_is_refused(tmp_path: Path, folder: Path, body: TextEncoder) -> None:
    path = tmp_path / "cola.jsonl"
    with pytest.raises(DataError, match="expected lines with text, label and split"):
        read_splits(path)
    lines = [json.dumps({"text": split, "label": "a", "split": split}) for split in SPLITS]
    path.write_text("\n".join(lines[:2]))
    with pytest.raises(DataError, match="expected examples of the split test"):
        read_splits(path)
    path.write_text("\n".join([*lines, json.dumps({"text": "t", "label": "a", "split": "dev"})]))
    with pytest.raises(DataError, match="KeyError"):
        read_splits(path)
    path.write_text("\n".join([*lines, json.dumps({"text": "t", "label": "b", "split": "test"})]))
    with pytest.raises(DataError, match="expected the labels a in cola, got 'b'"):
        text_task("cola", tmp_path, body, PairTokenizer(folder / "body", 32), {})


def test_tasks_are_read_as_inputs(folder: Path, body: TextEncoder) -> None:
    tokenizer = PairTokenizer(folder / "body", 10)
    tasks = {name: text_task(name, folder / "data", body, tokenizer, {"train": 30}) for name in NAMES}
    assert {name: task.classes for name, task in tasks.items()} == dict.fromkeys(NAMES, 2) | {
        "sick_nli": 3,
        "trec": 6,
        "sts": 1,
    }
    assert [len(tasks["cola"].parts[split].labels) for split in SPLITS] == [30, SIZES["val"], SIZES["test"]]
    again = text_task("cola", folder / "data", body, tokenizer, {"train": 30})
    assert torch.equal(again.parts["train"].inputs.ids, tasks["cola"].parts["train"].inputs.ids)
    floats = tasks["sts"].parts["train"].labels
    assert floats.mean().item() == pytest.approx(0, abs=1e-6)
    assert floats.std().item() == pytest.approx(1)
    pair = tasks["rte"].parts["test"].inputs
    assert pair.ids.shape[1] == 10
    # [CLS] the longer text, cut first [SEP] pair [SEP]
    assert pair.token_types is not None
    assert pair.token_types[0].tolist() == [0] * 6 + [1] * 4
    assert pair.ids[0, [0, 5, 9]].tolist() == [2, 3, 3]
    assert not torch.equal(*(body.embed(pair.ids, pair.mask, types) for types in (None, pair.token_types)))
    assert torch.equal(pair.embed(torch.arange(20))[0], body.embed(pair.ids, pair.mask, pair.token_types))


def test_full_fine_tuning_trains_a_copy_of_all_weights(tmp_path: Path, folder: Path, body: TextEncoder) -> None:
    data = write_task_files(tmp_path / "data", {"train": 200, "val": 40, "test": 40})
    task = text_task("subj", data, body, PairTokenizer(folder / "body", 32), {})
    before = {name: value.clone() for name, value in body.state_dict().items()}
    settings = TaskSettings(epochs=16, batch=16, learning_rate=1e-2)
    scores = fine_tuned(task, body, settings, tmp_path / "run", None)
    assert scores.keys() == {"val", "test"}
    assert min(scores.values()) >= 90
    assert all(torch.equal(value, before[name]) for name, value in body.state_dict().items())
    assert list((tmp_path / "run").iterdir()) == []
