"""Trains, fuses, prunes, scores and saves tasks for a user's own questions, in the joint layers of a frozen model."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.composition import Composition, Drop, Fuse
from polyglance.adapters.drop_depths import DepthCost, DepthTable, measure_depths
from polyglance.adapters.folded import FoldedWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.source import AdapterSource
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.data.lines import Split
from polyglance.data.questions import Question
from polyglance.errors import ConfigurationError, DataError
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import TextBatch
from polyglance.models.reading import read_readable
from polyglance.models.tasks import TOKEN, FusedAdapters, TrainedTask, folded, require_model, save_task
from polyglance.nn.encoder import Encoder
from polyglance.nn.states import TokenStates
from polyglance.training.starting_point import require_no_added_language
from polyglance.training.state_cache import keep_states
from polyglance.training.tasks.pruning import Keep, fusion_use, most_used
from polyglance.training.tasks.trainer import (
    TASK,
    Examples,
    TaskSettings,
    TrainingReport,
    accuracy,
    train_fusion,
    train_task,
)
from polyglance.types import StageProgress

HELD_OUT: Final[tuple[Split, ...]] = ("val", "test")

Scores = dict[str, dict[str, float]]
"""For each split: the number of questions, the accuracy, and that of the most frequent training answer, in percent."""


@dataclass(frozen=True)
class QuestionReport:
    """The result of training a task.

    labels: the answers. questions: the number of training questions. scores: on the other splits. training: its report.
    depths: the time and quality at each drop depth of a robust task. skipped: pictures that cannot be read, with the
    reasons; their questions were left out.
    """

    name: str
    labels: tuple[str, ...]
    questions: int
    scores: Scores
    training: TrainingReport
    depths: tuple[DepthCost, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PruningReport:
    """The result of pruning a fusion.

    names: of the adapters. use: the mean weight of each adapter in each layer. kept: the adapters kept in each layer.
    bytes_before: the size of the fusion with its adapters. bytes: the size of the pruned fusion. scores_before, scores:
    before and after pruning.
    """

    names: tuple[str, ...]
    use: list[list[float]]
    kept: tuple[tuple[str, ...], ...]
    bytes_before: int
    bytes: int
    scores_before: Scores
    scores: Scores


@dataclass(frozen=True, eq=False)
class QuestionInputs:
    """`Inputs` for questions about pictures: the input of a model's joint layers, with the task's token first.

    texts: the questions. pictures: the states of the pictures. picture_of: the row of `pictures` for each question.
    """

    model: SingleStreamModel
    texts: TextBatch
    pictures: TokenStates
    picture_of: Int[Tensor, " questions"]

    @property
    def encoder(self) -> Encoder:
        return self.model.joint_layers

    @property
    def fingerprint(self) -> str:
        return self.model.fingerprint

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return {
            "ids": self.texts.ids,
            "mask": self.texts.mask,
            "pictures": self.pictures.hidden,
            "picture_of": self.picture_of,
        }

    def __len__(self) -> int:
        return len(self.picture_of)

    def embed(
        self, rows: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows tokens width"], Bool[Tensor, "rows tokens"]]:
        rows = rows.to(self.model.device)
        longest = int(self.texts.mask[rows].sum(dim=1).max())
        texts = TextBatch(self.texts.ids[rows, :longest], self.texts.mask[rows, :longest])
        return self.model.join(TOKEN, self.model.read_text(texts), self.pictures[self.picture_of[rows]])


def train_question_task(
    model: SingleStreamModel,
    source: str,
    questions: Sequence[Question],
    output: Path,
    name: str,
    settings: TaskSettings,
    report: StageProgress | None = None,
) -> QuestionReport:
    """Trains an adapter and a head on the questions of the split train and scores them on the other splits.

    The task is written to `output`, together with the table of depths if it is robust. The log is written to
    `output/training`; a killed run resumes from there.

    model: the frozen model. source: the name or path that loads the model. questions: of all splits. output: the folder
    to write. name: of the task. settings: of the training. report: called with the progress.

    Raises:
        DataError: there is nothing to train on, or no picture can be read.
        ConfigurationError: the depth is not a joint layer, the folder holds another training, or a language was added
            to the model.
    """
    folder = output / "training"
    depths = settings.depths(len(model.joint_layers.layers))
    data = _Data.read(model, questions, depths, folder / "states", report)
    done = train_task(data.train, len(data.labels), folder, settings, report=report)
    trained = TrainableAdapters({TASK: done.adapter})
    scores = data.scores(trained, TASK, done.head)
    weights = done.adapter.cpu()
    save_task(
        TrainedTask(name, data.labels, settings.depth, weights, done.head, source, model.fingerprint, scores), output
    )
    measured: tuple[DepthCost, ...] = ()
    if settings.depth is None:
        table = data.depth_table(done.adapter, trained, done.head)
        table.save(output)
        measured = table.measured
    data.forget()
    return QuestionReport(name, data.labels, len(data.train.labels), scores, done.report, measured, data.skipped)


def train_question_fusion(
    model: SingleStreamModel,
    source: str,
    questions: Sequence[Question],
    tasks: Sequence[TrainedTask],
    output: Path,
    name: str,
    settings: TaskSettings,
    report: StageProgress | None = None,
) -> QuestionReport:
    """Trains a fusion of the tasks' adapters with its own head.

    tasks: of this model. The other arguments and errors are those of `train_question_task`.

    Raises also CheckpointError if a task is of another model, and ConfigurationError if one is not a single adapter.
    """
    adapters = _adapters(model, tasks)
    folder = output / "training"
    lowest = min(adapter.config.depth for adapter in adapters.values())
    depths = settings.depths(len(model.joint_layers.layers), lowest)
    data = _Data.read(model, questions, depths, folder / "states", report)
    done = train_fusion(data.train, len(data.labels), adapters, folder, settings, report=report)
    fused = FusedAdapters(done.fusion.cpu(), adapters)
    scores = data.scores(_bank(model, fused), Drop(Fuse(*adapters), settings.depth or 0), done.head)
    save_task(
        TrainedTask(name, data.labels, settings.depth, fused, done.head, source, model.fingerprint, scores), output
    )
    data.forget()
    return QuestionReport(name, data.labels, len(data.train.labels), scores, done.report, (), data.skipped)


def prune_question_fusion(
    model: SingleStreamModel,
    task: TrainedTask,
    questions: Sequence[Question],
    output: Path,
    name: str,
    keep: Keep,
    report: StageProgress | None = None,
) -> PruningReport:
    """Prunes the adapters with the least weight on the questions of the split train from a fusion.

    The pruned fusion is folded and written to `output` as a task.

    model: the frozen model. task: a fusion. questions: of all splits. output: the folder to write. name: of the new
    task. keep: the rule for the adapters to keep. report: called with the progress.

    Raises CheckpointError if the task is of another model, and ConfigurationError if it is not a fusion or was pruned.
    """
    require_model(task, model)
    if not isinstance(task.weights, FusedAdapters):
        raise ConfigurationError(f"expected a task that `polyglance train fusion` wrote; {task.name!r} is none")
    fusion, adapters, depth = task.weights.fusion, task.weights.adapters, task.depth or 0
    lowest = max(depth, min(adapter.config.depth for adapter in adapters.values()))
    data = _Data.read(model, questions, (lowest,), report=report, labels=task.labels)
    composition = Drop(Fuse(*fusion.names), depth)
    bank = _bank(model, task.weights)
    use = fusion_use(data.train.states, bank, fusion.names, depth)
    pruned = deepcopy(fusion)
    pruned.keep(most_used(fusion.names, use, keep))
    weights = FoldedWeights.of(pruned, adapters)
    scores = data.scores(_bank(model, weights), composition, task.head)
    save_task(replace(task, name=name, weights=weights, scores=scores), output)
    return PruningReport(
        names=fusion.names,
        use=[[round(weight, 4) for weight in row] for row in use.tolist()],
        kept=pruned.kept,
        bytes_before=sum(map(_bytes, (fusion, *adapters.values()))),
        bytes=_bytes(weights),
        scores_before=data.scores(bank, composition, task.head),
        scores=scores,
    )


def _require_answers(questions: Sequence[Question]) -> set[str]:
    """Returns the answers of the split train. Raises DataError if there are fewer than two."""
    train = [question.answer for question in questions if question.split == "train"]
    if len(answers := set(train)) < 2:
        raise DataError(
            f"expected questions of the split train with two different answers or more, got {len(train)} with "
            f"{len(answers)}"
        )
    return answers


def _report_pictures(report: StageProgress | None, done: int, total: int) -> None:
    if report:
        report("reading pictures", done, total, {})


def _adapters(model: SingleStreamModel, tasks: Sequence[TrainedTask]) -> dict[str, Adapter]:
    """Returns the tasks' adapters by name."""
    found: dict[str, Adapter] = {}
    for task in tasks:
        require_model(task, model)
        if not isinstance(task.weights, Adapter):
            raise ConfigurationError(f"expected tasks that `polyglance train task` wrote; {task.name!r} is a fusion")
        if task.name in found:
            raise ConfigurationError(f"expected tasks of different names, got {task.name!r} twice")
        found[task.name] = task.weights
    return found


@dataclass(frozen=True, eq=False)
class _Data:
    """Questions with their pictures, each read once.

    labels: the classes of the head; other answers are never given. states: the folder of kept states, None for memory.
    skipped: pictures that cannot be read, with the reasons.
    """

    labels: tuple[str, ...]
    train: Examples
    held_out: Mapping[Split, Examples]
    states: Path | None
    skipped: dict[str, str]

    @classmethod
    def read(
        cls,
        model: SingleStreamModel,
        questions: Sequence[Question],
        depths: tuple[int, ...],
        states: Path | None = None,
        report: StageProgress | None = None,
        labels: tuple[str, ...] | None = None,
    ) -> "_Data":
        """Reads the pictures of the questions. labels: the answers to predict; None for those of the split train."""
        require_no_added_language(model)
        _require_answers(questions)
        paths = list(dict.fromkeys(question.image for question in questions))
        pictures, failed = read_readable(model, paths, partial(_report_pictures, report))
        paths = [path for path in paths if path not in failed]
        questions = [question for question in questions if question.image not in failed]
        answers = _require_answers(questions)
        parts = {split: [q for q in questions if q.split == split] for split in ("train", *HELD_OUT)}
        row_of = {path: row for row, path in enumerate(paths)}
        known = labels or tuple(sorted(answers))
        label_of = {label: number for number, label in enumerate(known)}
        found = {}
        for split, there in parts.items():
            if there:
                rows = torch.tensor([row_of[question.image] for question in there])
                inputs = QuestionInputs(model, model.tokenize([q.question for q in there]), pictures, rows)
                kept = keep_states(inputs, depths if split == "train" else depths[:1], states, report=report)
                found[split] = Examples(kept, torch.tensor([label_of.get(question.answer, -1) for question in there]))
        skipped = {str(path): reason for path, reason in failed.items()}
        return cls(known, found.pop("train"), found, states, skipped)

    def scores(self, source: AdapterSource, composition: Composition, head: nn.Linear) -> Scores:
        commonest = Counter(self.train.labels.tolist()).most_common(1)[0][0]
        return {
            split: {
                "questions": len(examples.labels),
                "accuracy": round(accuracy(examples, source, composition, head), 2),
                "most_frequent": round(100 * (examples.labels == commonest).float().mean().item(), 2),
            }
            for split, examples in self.held_out.items()
        }

    def depth_table(self, adapter: Adapter, trained: AdapterSource, head: nn.Linear) -> DepthTable:
        """Of a robust adapter. A forward pass is that of the joint layers over one question; the quality is the
        accuracy on the first of the splits val, test and train that is there."""
        examples = next((self.held_out[split] for split in HELD_OUT if split in self.held_out), self.train)
        x, mask = examples.states.before(0, torch.tensor([0]))
        encoder = examples.states.encoder
        bank = AdapterBank(adapter.width, adapter.layers, 1, x.dtype, x.device)
        bank.add(TASK, adapter)

        @torch.no_grad()
        def forward(depth: int) -> object:
            return encoder.first(x, mask, Adaptation(bank, [Drop(TASK, depth)]))

        def quality(depth: int) -> float:
            return round(accuracy(examples, trained, Drop(TASK, depth), head), 2)

        return measure_depths(adapter.layers, forward, quality)

    def forget(self) -> None:
        """Removes the states that were kept for the training."""
        if self.states is not None:
            shutil.rmtree(self.states)


def _bank(model: SingleStreamModel, weights: FusedAdapters | FoldedWeights) -> AdapterBank:
    weight = next(model.joint_layers.parameters())
    bank = AdapterBank(model.config.width, len(model.joint_layers.layers), 64, weight.dtype, weight.device)
    bank.add_folded(folded(weights))
    return bank


def _bytes(module: nn.Module) -> int:
    return sum(value.nbytes for value in module.state_dict().values())
