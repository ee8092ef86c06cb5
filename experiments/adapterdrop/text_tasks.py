"""Eight tasks on real sentences and pairs of sentences, as inputs of a published text encoder.

cola, sst2, mrpc, rte, sts      of GLUE (arXiv:1804.07461); rte and mrpc as there, sts of SemEval 2012 to 2015
sick_nli, trec, subj            of SentEval (arXiv:1803.05449)
"""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from scipy.stats import spearmanr
from sklearn.metrics import matthews_corrcoef
from torch import Tensor

from experiments.adapterdrop.kept_tasks import KeptTask, Labels, Measure, accuracy
from polyglance.errors import DataError
from polyglance.models.families.text_encoder import TextEncoder
from polyglance.text import collapse_white_space
from polyglance.training.state_cache import keep_states
from polyglance.training.tasks.text_inputs import TextInputs
from polyglance.training.tasks.trainer import Examples

NAMES: Final = ("cola", "sst2", "mrpc", "rte", "sick_nli", "sts", "trec", "subj")
SPLITS: Final = ("train", "val", "test")


def matthews(logits: Tensor, labels: Labels) -> float:
    """Returns Matthews' correlation of the predicted and the true classes, times 100; 0 if one class is predicted."""
    return 100 * float(matthews_corrcoef(labels.numpy(), logits.argmax(dim=-1).numpy()))


def spearman(logits: Tensor, labels: Labels) -> float:
    """Returns Spearman's rank correlation of the only output and the labels, times 100; 0 if all outputs are equal."""
    if bool((logits == logits[0]).all()):
        return 0.0
    return 100 * float(spearmanr(logits[:, 0].numpy(), labels.numpy()).statistic)


MEASURES: Final[Mapping[str, tuple[str, Measure]]] = {
    "cola": ("Matthews", matthews),
    "sts": ("Spearman", spearman),
}
"""The measures of tasks that have another than accuracy, with their names."""


@dataclass(frozen=True)
class Example:
    """pair: the second text; None if there is none. label: a class, or a float to predict."""

    text: str
    pair: str | None
    label: str | float

    @property
    def key(self) -> tuple[str, ...]:
        """The texts in any order, without differences of case and white space."""
        texts = (self.text,) if self.pair is None else (self.text, self.pair)
        return tuple(sorted(collapse_white_space(text).casefold() for text in texts))


Splits = Mapping[str, Sequence[Example]]


def read_splits(path: Path) -> dict[str, list[Example]]:
    """Reads the examples of a task by their splits.

    Raises DataError if the file is missing, a line is not an example, or a split has none.
    """
    found: dict[str, list[Example]] = {split: [] for split in SPLITS}
    try:
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            found[row["split"]].append(Example(row["text"], row.get("pair"), row["label"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"expected lines with text, label and split in {path}: {error!r}") from error
    if missing := [split for split, examples in found.items() if not examples]:
        raise DataError(f"expected examples of the split {missing[0]} in {path}, got none")
    return found


def disjoint(splits: Splits) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """Leaves out each training example that is in the validation or test split, and each validation example that is in
    the test split, see `Example.key`. Returns the splits, and the number left out of each."""
    kept: dict[str, list[Example]] = {}
    seen: set[tuple[str, ...]] = set()
    for split in reversed(SPLITS):
        kept[split] = [example for example in splits[split] if example.key not in seen]
        seen |= {example.key for example in splits[split]}
    return kept, {split: len(splits[split]) - len(kept[split]) for split in SPLITS}


@dataclass(frozen=True, eq=False)
class Part:
    """A split of a task as inputs of a body. labels: classes, or standardised floats."""

    inputs: TextInputs
    labels: Labels

    def kept(self, depths: Sequence[int], folder: Path) -> Examples:
        return Examples(keep_states(self.inputs, depths, folder), self.labels)


@dataclass(frozen=True, eq=False)
class TextTask:
    """A task as inputs of a body. classes: 1 for a regression. commonest: the score of predicting the most frequent
    label. left_out: see `disjoint`."""

    name: str
    classes: int
    parts: Mapping[str, Part]
    metric: str
    measure: Measure
    commonest: float
    left_out: Mapping[str, int]

    def keep(self, depths: Sequence[int], folder: Path, facts: Mapping[str, object]) -> KeptTask:
        train, val, test = (self.parts[split].kept(depths, folder) for split in SPLITS)
        return KeptTask(self.name, self.classes, train, test, val, self.measure, facts)


class PairTokenizer:
    """The tokenizer of a checkpoint with its own template for one text and for two; the longer text is cut first."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        """Raises DataError if the folder has no tokenizer.json."""
        from tokenizers import Tokenizer

        try:
            self._fast = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises nothing narrower
            raise DataError(f"expected a tokenizer in {folder / 'tokenizer.json'}: {error}") from error
        self._fast.enable_truncation(max_tokens, strategy="longest_first")
        self._fast.enable_padding()

    def inputs(self, body: TextEncoder, examples: Sequence[Example]) -> TextInputs:
        texts = [
            collapse_white_space(one.text)
            if one.pair is None
            else (collapse_white_space(one.text), collapse_white_space(one.pair))
            for one in examples
        ]
        encodings = self._fast.encode_batch(texts)
        ids, mask, types = (
            torch.tensor([getattr(encoding, name) for encoding in encodings])
            for name in ("ids", "attention_mask", "type_ids")
        )
        return TextInputs(body, ids, mask.bool(), types)


def text_task(
    name: str, data: Path, body: TextEncoder, tokenizer: PairTokenizer, limits: Mapping[str, int]
) -> TextTask:
    """Reads a task. data: the folder of the tasks. limits: the most examples of each split, drawn once.

    Raises DataError if the file is not as expected, or a split has a label that no training example has.
    """
    splits, left_out = disjoint(read_splits(data / f"{name}.jsonl"))
    for split, limit in limits.items():
        if limit < len(splits[split]):
            splits[split] = random.Random(f"{name} {split}").sample(splits[split], limit)
    labels, classes = _labels(name, splits)
    parts = {split: Part(tokenizer.inputs(body, splits[split]), labels[split]) for split in SPLITS}
    metric, measure = MEASURES.get(name, ("accuracy", accuracy))
    commonest = torch.zeros(len(labels["test"]), classes)
    if classes > 1:
        commonest[:, labels["train"].bincount().argmax()] = 1
    return TextTask(name, classes, parts, metric, measure, round(measure(commonest, labels["test"]), 2), left_out)


def _labels(name: str, splits: Splits) -> tuple[dict[str, Tensor], int]:
    """Returns the labels of each split and the number of classes.

    Floats are standardised by the mean and the standard deviation of the training examples.
    """
    counts = Counter(example.label for example in splits["train"])
    if all(isinstance(label, float) for label in counts):
        floats = {split: torch.tensor([float(example.label) for example in splits[split]]) for split in SPLITS}
        mean, deviation = floats["train"].mean(), floats["train"].std().clamp_min(1e-6)
        return {split: (values - mean) / deviation for split, values in floats.items()}, 1
    classes = {label: number for number, label in enumerate(sorted(map(str, counts)))}
    try:
        return {
            split: torch.tensor([classes[str(example.label)] for example in splits[split]]) for split in SPLITS
        }, len(classes)
    except KeyError as error:
        raise DataError(f"expected the labels {', '.join(classes)} in {name}, got {error.args[0]!r}") from error
