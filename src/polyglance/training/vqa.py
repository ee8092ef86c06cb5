"""Trains a joint model on a user's own questions about their own pictures; resumable, keeps the best validated weights.

The answers are those of the user's questions. The head's weights for answers that the model knew are kept.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Final, get_args

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from polyglance.adapters.config import AdapterConfig
from polyglance.data.captions import Caption
from polyglance.data.questions import Question
from polyglance.errors import ConfigurationError, DataError
from polyglance.models.checkpoint import save_model
from polyglance.models.families.cut_model import TASKS, CutModel, in_order
from polyglance.models.protocol import TextBatch
from polyglance.models.reading import PICTURES, open_pictures
from polyglance.nn.states import TokenStates
from polyglance.training.devices import Devices, Precision, native_precision
from polyglance.training.frozen_pictures import PictureInputs, is_frozen, kept_pictures, reads_once
from polyglance.training.frozen_texts import KeptTexts, keep_texts
from polyglance.training.loop import Losses, Schedule, fit, hold_statistics, read_log
from polyglance.training.readable import unreadable_pictures
from polyglance.training.retrieval.caption_batches import texts_too_long
from polyglance.training.seeds import check_seed
from polyglance.training.starting_point import check_beginning, remade, require_trainable
from polyglance.training.state_cache import KeptStates, keep_states
from polyglance.training.tasks.trainer import Shuffled
from polyglance.training.validation import Validations, beats_chance
from polyglance.types import StageProgress

STAGE: Final = "vqa"
VALIDATIONS: Final = 20
"""The most validations of a training."""
VALIDATED_SHARE: Final = 0.25
"""The most questions of all validations together, relative to the rows of all steps. Validation takes no gradients, so
that this is less than a tenth of a training's time."""
LEAST_VALIDATED: Final = 200
"""The fewest questions of a validation: a short training is validated less often instead. One of 200 is half a
percent."""
EPOCHS: Final = 10
LEAST_STEPS: Final = 300
"""The default number of steps is that of EPOCHS epochs, but at least LEAST_STEPS."""

OF_OTHER_TASKS: Final = ("embed_head", "whole_head", "match_head")


@dataclass(frozen=True)
class VqaSettings:
    """The settings of a training on questions.

    By default the layers that read pictures and the compressor are frozen, so that the states of pictures do not change
    and searches still work.

    adapters: whether to train only the adapter of answering and its head, in a frozen body. all_weights: whether to
    train all weights, which answers better, but the model no longer searches (docs/vqa.md). steps: their number; None
    for ten epochs, but at least 300. batch: questions per step. learning_rate: reached after a linear warm-up over a
    twentieth of the steps, then decayed along a cosine; None for 5e-4, or 1e-3 with adapters. precision: of products,
    bf16, fp16 or no (float32); defaults to bf16 if the device multiplies it faster, else to no. patience: the number of
    validations without improvement after which the training ends; 0 for never. seed: of all draws.

    Raises ConfigurationError for values out of range, and for both `adapters` and `all_weights`.
    """

    adapters: bool = False
    all_weights: bool = False
    steps: int | None = None
    batch: int = 64
    learning_rate: float | None = None
    precision: Precision = field(default_factory=native_precision)
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.batch < 1 or (self.steps is not None and self.steps < 1):
            raise ConfigurationError(
                f"expected 1 or more steps and questions a step, got {self.steps} and {self.batch}"
            )
        if self.adapters and self.all_weights:
            raise ConfigurationError("expected adapters to train, or all weights: leave one of the two out")
        if self.precision not in get_args(Precision):
            raise ConfigurationError(
                f"expected precision to be one of {', '.join(get_args(Precision))}, got {self.precision!r}"
            )

    def schedule(self, questions: int) -> Schedule:
        """Returns the schedule for a number of training questions."""
        steps = max(LEAST_STEPS, EPOCHS * -(-questions // self.batch)) if self.steps is None else self.steps
        usual = 1e-3 if self.adapters else 5e-4
        rate = usual if self.learning_rate is None else self.learning_rate
        return Schedule(steps, rate, max(1, steps // 20))


@dataclass(frozen=True)
class VqaReport:
    """The result of a training on questions.

    model: the model that was trained. questions, pictures: the numbers of those trained on. answers: the number of
    possible answers. known: the number of these that the model knew before. steps: their number. loss: the mean over
    the steps since the last validation but one. held_out: the number of questions not trained on. own_split: whether
    these are the split val; else they are those of a tenth of the training pictures. validated: the number of held-out
    questions per validation, drawn by the seed. validation: the accuracy of each validation in percent. best: the
    number of the validation with the kept weights, from 1. accuracy: of the kept weights on all held-out questions, in
    percent. commonest: the accuracy of always giving the most frequent training answer, in percent. learned: whether
    the accuracy is above that (`beats_chance`). cut: the number of questions longer than the model reads. precision: of
    products, bf16, fp16 or no (float32). skipped: pictures that cannot be read, with the reasons; their questions were
    left out.
    """

    model: str
    questions: int
    pictures: int
    answers: int
    known: int
    steps: int
    loss: float
    held_out: int
    own_split: bool
    validated: int
    validation: tuple[float, ...]
    best: int
    accuracy: float
    commonest: float
    learned: bool | None
    cut: int
    precision: Precision
    skipped: dict[str, str]


def train_vqa(
    model: CutModel,
    source: str,
    questions: Sequence[Question],
    output: Path,
    settings: VqaSettings | None = None,
    report: StageProgress | None = None,
) -> VqaReport:
    """Trains a model on the questions of the split train and writes it to `output`, with the best validated weights.

    The log and the checkpoint are written to `output/training`; a killed run resumes from there with the same result.
    Questions of the split test are not used.

    model: the model to train, which is changed. source: the name or path that loads the model. questions: of all
    splits. output: the folder to write. settings: of the training; defaults to `VqaSettings()`. report: called with the
    progress.

    Raises:
        DataError: there are no training questions or fewer than two answers, a question has letters that the tokenizer
            does not know, or no picture can be read.
        TrainingError: a loss is not finite; the last checkpoint is kept.
        ConfigurationError: the folder holds another training, or a language was added to the model.
    """
    settings = settings or VqaSettings()
    require_trainable(model)
    # Faults of the questions are reported before any picture is opened
    used = [question for part in parted(questions, settings.seed) for question in part]
    vocabulary(questions)
    skipped = unreadable_pictures(model, [question.image for question in used], report)
    questions = [question for question in questions if str(question.image) not in skipped]
    own_split = any(question.split == "val" for question in questions)
    trained_on, held_out = parted(questions, settings.seed)
    answers = vocabulary(questions)
    cut = texts_too_long(
        [Caption(one.image, one.question, one.language) for one in (*trained_on, *held_out)],
        model.tokenizer,
        model.config.max_text_tokens,
        "questions",
    )
    folder = output / "training"
    asked = sha256(repr((trained_on, held_out)).encode(errors="surrogateescape")).hexdigest()[:16]
    check_beginning(folder / "settings.json", {**asdict(settings), "model": model.fingerprint, "questions": asked})
    known = sum(answer in model.answers for answer in answers)
    learner = VqaLosses(answering(model, answers, settings), trained_on, held_out, settings, folder / "states", report)
    schedule = settings.schedule(len(trained_on))
    count, validated = validations_of(schedule.steps * min(settings.batch, len(trained_on)), len(held_out))
    every = -(-schedule.steps // count)
    subset = learner.drawn(validated, settings.seed)
    validations = Validations(folder, learner, partial(learner.accuracy, subset), settings.patience)
    if not validations.ended:
        fit(
            STAGE,
            learner,
            learner.step,
            schedule,
            folder,
            report,
            check=validations,
            check_every=every,
            engine=learner.devices,
        )
    learner.load_state_dict(load_file(validations.weights))
    best = validations.best
    accuracy = validations.values[best - 1] if validated == len(held_out) else learner.eval().accuracy()
    commonest = round(100 * fmean(question.answer == answers[0] for question in held_out), 4)
    trained = learner.model.cpu().eval().requires_grad_(False)
    trained.name = output.resolve().name
    trained.config = replace(trained.config, tasks=in_order({*trained.tasks, "answer"}))
    if learner.devices.first:
        if report:
            report("writing the model", 0, 1, {})
        save_model(trained, output)
        if report:
            report("writing the model", 1, 1, {})
    rows = list(read_log(folder / f"{STAGE}.jsonl"))
    return VqaReport(
        model=source,
        questions=len(trained_on),
        pictures=len({question.image for question in trained_on}),
        answers=len(answers),
        known=known,
        steps=len(rows),
        loss=fmean(row["loss"] for row in rows[-every:]),
        held_out=len(held_out),
        own_split=own_split,
        validated=validated,
        validation=tuple(validations.values),
        best=best,
        accuracy=accuracy,
        commonest=commonest,
        learned=beats_chance(accuracy, commonest, len(held_out)),
        cut=cut,
        precision=settings.precision,
        skipped=skipped,
    )


def validations_of(trained: int, held_out: int) -> tuple[int, int]:
    """Returns the number of validations and the number of questions per validation.

    trained: the rows of all steps together. held_out: the number of held-out questions.
    """
    allowed = int(VALIDATED_SHARE * trained)
    each = min(held_out, max(LEAST_VALIDATED, allowed // VALIDATIONS))
    return max(1, min(VALIDATIONS, allowed // each)), each


def parted(questions: Sequence[Question], seed: int) -> tuple[list[Question], list[Question]]:
    """Returns the questions to train on and those to validate on.

    These are the splits train and val. Without a split val, all questions about a tenth of the training pictures, drawn
    by the seed, are held out instead.

    Raises DataError if there are no questions of the split train, or their only picture would be held out.
    """
    train, val = ([question for question in questions if question.split == split] for split in ("train", "val"))
    if not train:
        splits = sorted({question.split for question in questions})
        raise DataError(f"expected questions of the split train, but there are only those of {', '.join(splits)}")
    if val:
        return train, val
    images = list(dict.fromkeys(question.image for question in train))
    if len(images) < 2:
        raise DataError("expected questions of the split val, or two pictures or more to hold one out, got one picture")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).tolist()
    aside = {images[row] for row in order[: max(1, len(images) // 10)]}
    kept = [question for question in train if question.image not in aside]
    return kept, [question for question in train if question.image in aside]


def vocabulary(questions: Sequence[Question]) -> tuple[str, ...]:
    """Returns the answers of the split train, the most frequent first, equally frequent ones in alphabetical order.

    Raises DataError if there are fewer than two.
    """
    counts = Counter(question.answer for question in questions if question.split == "train")
    if len(counts) < 2:
        raise DataError(f"expected questions of the split train with two different answers or more, got {len(counts)}")
    return tuple(sorted(counts, key=lambda answer: (-counts[answer], answer)))


def answering(model: CutModel, answers: Sequence[str], settings: VqaSettings) -> CutModel:
    """Returns the model with other answers, in float32, with new adapters if these are to be trained and there are
    none.

    The head's weights of answers that the model knew are kept; the others are drawn.
    """
    shape = getattr(model.config, model.adapter_field) or (AdapterConfig() if settings.adapters else None)
    made = remade(model, settings.seed, answers=tuple(answers), **{model.adapter_field: shape})
    rows = {answer: row for row, answer in enumerate(model.answers)}
    with torch.no_grad():
        for row, answer in enumerate(answers):
            if answer in rows:
                made.answer_head.weight[row] = model.answer_head.weight[rows[answer]].float()
                made.answer_head.bias[row] = model.answer_head.bias[rows[answer]].float()
    return made


class VqaLosses(nn.Module):
    """The loss of a step, and the accuracy on held-out questions.

    model: the model to train. trained_on, held_out: questions. settings: of the training. folder: where to keep the
    frozen layers' states of the pictures; None keeps them in memory. report: called with the progress.
    """

    def __init__(
        self,
        model: CutModel,
        trained_on: Sequence[Question],
        held_out: Sequence[Question],
        settings: VqaSettings,
        folder: Path | None = None,
        report: StageProgress | None = None,
    ) -> None:
        super().__init__()
        self.devices = Devices(settings.precision)
        self.model, self._report = model.to(self.devices.device), report
        asked = (*trained_on, *held_out)
        self.images = tuple(dict.fromkeys(question.image for question in asked))
        row_of, label_of = ({one: row for row, one in enumerate(there)} for there in (self.images, model.answers))
        self.picture_of = torch.tensor([row_of[question.image] for question in asked])
        self.labels = torch.tensor([label_of.get(question.answer, -1) for question in asked])
        texts = [question.question for question in asked]
        self.trained_on = len(trained_on)
        together = self.picture_of[: len(trained_on)] if settings.all_weights else None
        self._rows = Shuffled(len(trained_on), settings.batch, settings.seed, together)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(is_trained(name, model, settings))
        if model.task_adapters:
            for task in TASKS:
                model.task_adapters.adapters[task].requires_grad_(task == "answer")
        self._kept: KeptStates | None = None
        self._compressed = is_frozen(model, "compressor")
        if reads_once(model):
            with self.devices.first_alone():
                inputs = PictureInputs(model.eval(), self.images, self._compressed, settings.precision)
                self._kept = keep_states(inputs, folder=folder, report=report)
        self._texts: TextBatch | KeptTexts = model.tokenize(texts)
        if is_frozen(model, *model.of_texts):
            with self.devices.first_alone():
                self._texts = keep_texts(model, texts, settings.precision, folder=folder, report=report)

    def train(self, mode: bool = True) -> "VqaLosses":
        super().train(mode)
        hold_statistics(self.model)
        return self

    def step(self, number: int) -> Losses:
        """Returns the loss of a batch. Processes share its questions, and each gets the loss of the whole batch."""
        rows = self._rows(number)
        with self.devices.autocast():
            logits = self.devices.together(self._logits(rows[self.devices.share(len(rows))]), len(rows))
        return {"loss": F.cross_entropy(logits, self.labels[rows].to(logits.device))}

    def drawn(self, count: int, seed: int) -> Int[Tensor, " drawn"]:
        """Draws the rows of `count` held-out questions by the seed."""
        generator = torch.Generator().manual_seed(seed)
        return self.trained_on + torch.randperm(len(self.labels) - self.trained_on, generator=generator)[:count]

    @torch.no_grad()
    def accuracy(self, rows: Int[Tensor, " rows"] | None = None) -> float:
        """Returns the percentage of questions answered correctly.

        A question with an answer that the model does not have counts as wrong. rows: of the questions; None for all
        that are held out.
        """
        if rows is None:
            rows = torch.arange(self.trained_on, len(self.labels))
        rows = rows[self.picture_of[rows].argsort(stable=True)]  # each picture is then read once per batch
        right = done = 0
        self._tell_validating(0, len(rows))
        for part in rows.split(PICTURES):
            with self.devices.autocast():
                right += int((self._logits(part).argmax(dim=1).cpu() == self.labels[part]).sum())
            done += len(part)
            self._tell_validating(done, len(rows))
        return round(100 * right / len(rows), 4)

    def _tell_validating(self, done: int, total: int) -> None:
        if self._report and self.devices.first:
            self._report("validating", done, total, {})

    def _logits(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows answers"]:
        return self.model.answer_logits(self._questions(rows), self._pictures(self.picture_of[rows]))

    def _questions(self, rows: Int[Tensor, " rows"]) -> TokenStates:
        if isinstance(self._texts, KeptTexts):
            return self._texts.states(rows)
        there = rows.to(self.model.device)
        longest = int(self._texts.mask[there].sum(dim=1).max())
        return self.model.read_text(TextBatch(self._texts.ids[there, :longest], self._texts.mask[there, :longest]))

    def _pictures(self, rows: Int[Tensor, " rows"]) -> TokenStates:
        """Returns the states of the pictures of some questions; a picture that is not kept is read once for all of
        them."""
        if self._kept is not None:
            return kept_pictures(self.model, self._kept, rows, self._compressed)
        different, place = rows.unique(return_inverse=True)
        pictures = open_pictures(self.model, [self.images[row] for row in different.tolist()])
        return self.model.read_images(pictures)[place.to(self.model.device)]


def is_trained(name: str, model: CutModel, settings: VqaSettings) -> bool:
    """Returns whether a training on questions with these settings trains the weight of this name."""
    if name.startswith((*OF_OTHER_TASKS, *model.never_trained)):
        return False
    if settings.adapters:
        return name.startswith(model.of_tasks)
    # A compressor that no task has been trained on yet serves no search that could suffer
    fresh = model.embeds_below and model.tasks == ("embed",) and name.startswith("compressor")
    return settings.all_weights or fresh or not name.startswith(model.of_pictures)
