import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.capabilities import as_chooser
from polyglance.models.families.blip import SHORTLIST, BlipAnswerer, load_blip
from polyglance.models.protocol import Answerer, AnswerWriter, Embedder, Matcher
from polyglance.nn.states import TokenStates
from polyglance.types import Text
from tests.blip_checkpoints import tiny_blip, tiny_blip2, tiny_blip_vqa


def read(folder: Path, question: str = "a red star") -> tuple[BlipAnswerer, TokenStates, TokenStates]:
    model = load_blip(folder, "blip", torch.float32)
    return model, model.read([Text(question)]), model.read([model.open(Image.new("RGB", (30, 20), "red"))])


def test_no_more_answers_are_weighed_than_the_shortlist_holds(tmp_path: Path) -> None:
    answers = [f"{first}{second}" for first in "abcdefghijkl" for second in "abcdefghijkl"]
    model, question, picture = read(tiny_blip_vqa(tmp_path, answers))
    logits = model.answer_logits(question, picture)
    assert logits.shape == (1, len(answers))
    assert logits.isfinite().sum() == SHORTLIST
    assert torch.softmax(logits, dim=1).sum() == pytest.approx(1)


def test_an_answer_stands_in_the_list_once(tmp_path: Path) -> None:
    assert read(tiny_blip_vqa(tmp_path, ["yes", "no", "yes"]))[0].answers == ("yes", "no")


@pytest.mark.parametrize("content", ["[]", '{"yes": 1}', "[1, 2]", '["yes", ""]', "yes"])
def test_a_list_of_answers_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tiny_blip_vqa(tmp_path) / "answers.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"answers\.json"):
        load_blip(tmp_path, "vqa", torch.float32)


def test_a_model_has_no_more_than_it_can_do(tmp_path: Path) -> None:
    writer = load_blip(tiny_blip_vqa(tmp_path / "vqa"), "vqa", torch.float32)
    assert isinstance(writer, AnswerWriter)
    assert not isinstance(writer, Embedder | Matcher | Answerer)
    with pytest.raises(ConfigurationError, match=r"expected a file answers\.json"):
        as_chooser(writer)
    matcher = load_blip(tiny_blip2(tmp_path / "blip-2"), "blip-2", torch.float32)
    assert isinstance(matcher, Matcher)
    assert not isinstance(matcher, Embedder | Answerer | AnswerWriter)
    with pytest.raises(ConfigurationError, match="trained to embed, got blip-2, which was trained to match: name"):
        matcher.encode_texts(["a red star"])


def without(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        del weights[name]
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return change


def with_more(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"spare.weight": torch.zeros(2)}, folder / "model.safetensors", {"format": "pt"})


def with_larger_tokenizer(folder: Path) -> None:
    from transformers import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(100))]
    BertTokenizer(vocab={piece: row for row, piece in enumerate(pieces)}).save_pretrained(folder)


def of_another_kind(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BlipForConditionalGeneration"]}))


def torn(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("itm_head.bias"), r"1 missing \(itm_head\.bias\)"),
        (with_more, r"1 left over \(spare\.weight\)"),
        (with_larger_tokenizer, "a tokenizer of at most .* got one of 105"),
        (of_another_kind, "holds a BlipForConditionalGeneration: expected one of BlipForImageTextRetrieval"),
        (torn, "cannot be used"),
        (pickled, r"weights are pickle \(pytorch_model\.bin\)"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "no preprocessor"),
        (lambda folder: (folder / "config.json").write_text("{"), "is no JSON"),
    ],
    ids=["missing", "left over", "tokenizer", "kind", "torn", "pickle", "preprocessor", "config"],
)
def test_a_checkpoint_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    change(tiny_blip(tmp_path))
    with pytest.raises(CheckpointError, match=message) as told:
        load_blip(tmp_path, "blip", torch.float32)
    assert "\n" not in str(told.value)
