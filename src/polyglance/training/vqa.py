"""A joint model trained to answer a user's own questions about their own pictures, resumable, the best validation kept.

The answers are those of the user's questions; what the model knew of them, it keeps.
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
from polyglance.training.loop import Losses, Report, Schedule, fit, hold_statistics, read_log
from polyglance.training.readable import unreadable_pictures
from polyglance.training.retrieval.caption_batches import texts_too_long
from polyglance.training.seeds import check_seed
from polyglance.training.starting_point import check_beginning, remade, require_trainable
from polyglance.training.state_cache import KeptStates, keep_states
from polyglance.training.tasks.trainer import Shuffled
from polyglance.training.validation import Validations, beats_chance

STAGE: Final = "vqa"
VALIDATIONS: Final = 20
"""How often a training is validated at most."""
VALIDATED_SHARE: Final = 0.25
"""All validations together ask at most this share of the questions that are trained on, one for each row of each step.
They take no gradients, so that this is less than a tenth of a training's time."""
LEAST_VALIDATED: Final = 200
"""A short training is validated less often rather than on fewer questions: of 200, one is half a percent."""
EPOCHS: Final = 10
LEAST_STEPS: Final = 300
"""A training has so many steps, or what makes so many epochs if that is more, where nobody says otherwise."""

OF_OTHER_TASKS: Final = ("embed_head", "match_head")


@dataclass(frozen=True)
class VqaSettings:
    """How a model is trained.

    Either what reads a picture stays as it is, the compressor included, so that its states stay the same and searches
    go on; or all_weights are trained, which answers better and searches no more (docs/vqa.md); or adapters: those of
    answering and its head alone, in a frozen body. steps: None for ten epochs, and no fewer
    than 300. learning_rate: None for 5e-4, with adapters 1e-3; after a linear warm-up over a twentieth of the steps it
    falls along a cosine. patience: the training ends after so many validations without a gain; 0 for never. precision:
    of products, bf16, fp16 or no (float32); defaults to bf16 where the device multiplies it in hardware, else to no.
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
        steps = max(LEAST_STEPS, EPOCHS * -(-questions // self.batch)) if self.steps is None else self.steps
        usual = 1e-3 if self.adapters else 5e-4
        rate = usual if self.learning_rate is None else self.learning_rate
        return Schedule(steps, rate, max(1, steps // 20))


@dataclass(frozen=True)
class VqaReport:
    """What a training came to.

    model: what it began with. questions, pictures: that it was trained on. answers: that it can give; known: of which
    it knew so many. loss: the mean over the steps since the last validation but one. held_out: questions that were not
    trained on, those of the split val or else of a tenth of the training's pictures (`own_split` is False). validated:
    how many of them, drawn by the seed, each validation asked. validation: percent of these that were right, evenly
    spaced over the steps; best: which validation had the weights that were kept, from 1. accuracy: percent of all
    questions held out that the kept weights get right; commonest: percent that the commonest answer of the training
    gets right; learned: whether the one is above the other (`beats_chance`). cut: questions that are longer than the
    model reads. skipped: pictures that cannot be read, with the reason; their questions were left out.
    precision: of products, bf16, fp16 or no (float32).
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
    report: Report | None = None,
) -> VqaReport:
    """Trains on the questions of the split train and leaves the model in `output`, with the log and the checkpoint of
    its training in `output/training`, from where a killed run goes on to the same end. What is validated on has the
    best answers; questions of the split test are left aside.

    source: what loads the model again.

    Raises:
        DataError: there is nothing to train on, two answers to tell apart included, in letters that the tokenizer
            knows; or none of the pictures can be read.
        TrainingError: a loss is no number any more; the last checkpoint stays.
        ConfigurationError: the folder holds another training, or the model has languages that were added to it.
    """
    settings = settings or VqaSettings()
    require_trainable(model)
    # What is wrong with the questions is said before a picture is opened
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
    """(how often to validate, on how many questions each time).

    trained: rows of all steps together. held_out: questions that there are.
    """
    allowed = int(VALIDATED_SHARE * trained)
    each = min(held_out, max(LEAST_VALIDATED, allowed // VALIDATIONS))
    return max(1, min(VALIDATIONS, allowed // each)), each


def parted(questions: Sequence[Question], seed: int) -> tuple[list[Question], list[Question]]:
    """(what is trained on, what is validated on): the splits train and val; without a split val, all questions of a
    tenth of the pictures of the split train, drawn by the seed, are validated on instead.

    Raises DataError without questions of the split train, and where their only picture would be held out.
    """
    train, val = ([one for one in questions if one.split == split] for split in ("train", "val"))
    if not train:
        there = sorted({one.split for one in questions})
        raise DataError(f"expected questions of the split train, but there are only those of {', '.join(there)}")
    if val:
        return train, val
    images = list(dict.fromkeys(one.image for one in train))
    if len(images) < 2:
        raise DataError("expected questions of the split val, or two pictures or more to hold one out, got one picture")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).tolist()
    aside = {images[row] for row in order[: max(1, len(images) // 10)]}
    return [one for one in train if one.image not in aside], [one for one in train if one.image in aside]


def vocabulary(questions: Sequence[Question]) -> tuple[str, ...]:
    """The answers of the split train, the most frequent first, and of those as frequent by name.

    Raises DataError for fewer than two.
    """
    counts = Counter(question.answer for question in questions if question.split == "train")
    if len(counts) < 2:
        raise DataError(f"expected questions of the split train with two different answers or more, got {len(counts)}")
    return tuple(sorted(counts, key=lambda answer: (-counts[answer], answer)))


def answering(model: CutModel, answers: Sequence[str], settings: VqaSettings) -> CutModel:
    """The model with these answers in float32: the head's rows of those that it knew are taken over, the others drawn.
    With adapters where these are to be trained and there are none."""
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
    """The loss of a step, and the accuracy on what is held out.

    folder: where what frozen layers make of the pictures is kept, to be mapped; None keeps it in memory.
    """

    def __init__(
        self,
        model: CutModel,
        trained_on: Sequence[Question],
        held_out: Sequence[Question],
        settings: VqaSettings,
        folder: Path | None = None,
        report: Report | None = None,
    ) -> None:
        super().__init__()
        self.devices = Devices(settings.precision)
        self.model, self._report = model.to(self.devices.device), report
        asked = (*trained_on, *held_out)
        self.images = tuple(dict.fromkeys(question.image for question in asked))
        row_of, label_of = ({one: row for row, one in enumerate(there)} for there in (self.images, model.answers))
        self.picture_of = torch.tensor([row_of[question.image] for question in asked])
        self.labels = torch.tensor([label_of.get(question.answer, -1) for question in asked])
        self.texts = model.tokenize([question.question for question in asked])
        self.trained_on = len(trained_on)
        together = self.picture_of[: len(trained_on)] if settings.all_weights else None
        self._rows = Shuffled(len(trained_on), settings.batch, settings.seed, together)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(_is_trained(name, model, settings))
        if model.task_adapters:
            for task in TASKS:
                model.task_adapters.adapters[task].requires_grad_(task == "answer")
        self._kept: KeptStates | None = None
        self._compressed = is_frozen(model, "compressor")
        if reads_once(model):
            with self.devices.first_alone():
                inputs = PictureInputs(model.eval(), self.images, self._compressed, settings.precision)
                self._kept = keep_states(inputs, folder=folder, report=report)

    def train(self, mode: bool = True) -> "VqaLosses":
        super().train(mode)
        hold_statistics(self.model)
        return self

    def step(self, number: int) -> Losses:
        """Processes share the questions of a batch, and each has the loss of the whole."""
        rows = self._rows(number)
        with self.devices.autocast():
            logits = self.devices.together(self._logits(rows[self.devices.share(len(rows))]), len(rows))
        return {"loss": F.cross_entropy(logits, self.labels[rows].to(logits.device))}

    def drawn(self, count: int, seed: int) -> Int[Tensor, " drawn"]:
        """Rows of `count` questions held out, drawn by the seed."""
        generator = torch.Generator().manual_seed(seed)
        return self.trained_on + torch.randperm(len(self.labels) - self.trained_on, generator=generator)[:count]

    @torch.no_grad()
    def accuracy(self, rows: Int[Tensor, " rows"] | None = None) -> float:
        """Percent of the questions in `rows`, or of all that are held out, answered right.

        An answer that the model does not have is never given.
        """
        if rows is None:
            rows = torch.arange(self.trained_on, len(self.labels))
        rows = rows[self.picture_of[rows].argsort(stable=True)]  # a picture that is read anew is read once a batch
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
        there = rows.to(self.model.device)
        longest = int(self.texts.mask[there].sum(dim=1).max())
        texts = TextBatch(self.texts.ids[there, :longest], self.texts.mask[there, :longest])
        return self.model.answer_logits(self.model.read_text(texts), self._pictures(self.picture_of[rows]))

    def _pictures(self, rows: Int[Tensor, " rows"]) -> TokenStates:
        """Where pictures are read anew, each is once, however many of the questions are about it."""
        if self._kept is not None:
            return kept_pictures(self.model, self._kept, rows, self._compressed)
        different, place = rows.unique(return_inverse=True)
        pictures = open_pictures(self.model, [self.images[row] for row in different.tolist()])
        return self.model.read_images(pictures)[place.to(self.model.device)]


def _is_trained(name: str, model: CutModel, settings: VqaSettings) -> bool:
    if name.startswith(OF_OTHER_TASKS):
        return False
    if settings.adapters:
        return name.startswith(model.of_tasks)
    # A compressor that no task has been trained on yet serves no search that could suffer
    fresh = model.embeds_below and model.tasks == ("embed",) and name.startswith("compressor")
    return settings.all_weights or fresh or not name.startswith(model.of_pictures)
