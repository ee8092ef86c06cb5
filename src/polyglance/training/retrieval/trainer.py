"""Trains a joint model for retrieval on captions (arXiv:2103.11920); resumable, keeps the best validated weights."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Final

from safetensors.torch import load_file

from polyglance.adapters.config import AdapterConfig
from polyglance.data.captions import Caption
from polyglance.errors import ConfigurationError
from polyglance.models.families.cut_model import CutModel, in_order
from polyglance.training.devices import Precision
from polyglance.training.loop import Schedule, fit, read_log
from polyglance.training.readable import unreadable_pictures
from polyglance.training.retrieval.caption_batches import CaptionSource, texts_too_long
from polyglance.training.retrieval.objectives import Mode, RetrievalLosses, RetrievalSettings
from polyglance.training.starting_point import check_beginning, remade, require_trainable
from polyglance.training.state_cache import KeptStates
from polyglance.training.validation import Validations
from polyglance.types import StageProgress, Task

STAGE: Final = "retrieval"

TRAINED: Final[dict[Mode, tuple[Task, ...]]] = {
    "twin": ("embed",),
    "cross": ("match",),
    "joint": ("embed", "match"),
}

Validate = Callable[[CutModel], float]


@dataclass(frozen=True)
class RetrievalReport:
    """The result of a retrieval training.

    captions, pictures, steps: their numbers. losses: the means over the last epoch. validation: R@1 in percent after
    each epoch. best_epoch: the epoch of the kept weights, the last one without validation. cut: the number of captions
    longer than the model reads. precision: of products, bf16, fp16 or no (float32). skipped: pictures that cannot be
    read, with the reasons; their captions were left out.
    """

    captions: int
    pictures: int
    steps: int
    losses: dict[str, float]
    validation: tuple[float, ...]
    best_epoch: int
    cut: int
    precision: Precision
    skipped: dict[str, str]


def train_retrieval(
    model: CutModel,
    captions: Sequence[Caption],
    folder: Path,
    settings: RetrievalSettings,
    validate: Validate | None = None,
    report: StageProgress | None = None,
    kept: KeptStates | None = None,
    teacher: CutModel | None = None,
) -> tuple[CutModel, RetrievalReport]:
    """Trains a model and returns it in float32 on the CPU, with the weights of the best validation, and a report.

    All processes (`training.devices`) return the same model. Its matches are not calibrated.

    model: the model to train, which is changed. captions: of the split train; a caption known to be true of another
    picture in a batch is no negative there. folder: for the log, the checkpoint that a killed run resumes from, the
    best weights, and the frozen layers' states of the pictures. settings: of the training. validate: returns R@1 in
    percent; it is called after each epoch. report: called with the progress. kept: the frozen layers' states of the
    pictures, in the order in which the captions first name them, if they exist already. teacher: a model with a cross-
    encoder to learn the order of pairs from.

    Raises:
        DataError: captions of fewer than two readable pictures or in letters that the tokenizer does not know.
        TrainingError: a loss is not finite; the last checkpoint is kept.
        ConfigurationError: the folder holds another training, a depth is given for existing adapters, or a language was
            added to the model.
    """
    require_trainable(model)
    model = _prepared(model, settings)
    # Before anything validates: a stage is refused to a model that says that it was not trained for it
    model.config = replace(model.config, tasks=in_order({*model.tasks, *TRAINED[settings.mode]}))
    skipped = unreadable_pictures(model, [caption.image for caption in captions], report) if kept is None else {}
    captions = [caption for caption in captions if str(caption.image) not in skipped]
    cut = texts_too_long(captions, model.tokenizer, model.config.max_text_tokens)
    source = CaptionSource(captions, settings.batch, settings.seed, settings.accumulate)
    beginning = {
        **asdict(settings),
        "model": model.fingerprint,
        "teacher": teacher.fingerprint if teacher else "",
        "captions": sha256(repr(source.captions).encode(errors="surrogateescape")).hexdigest()[:16],
    }
    check_beginning(folder / "settings.json", beginning, {**asdict(RetrievalSettings()), "teacher": ""})
    losses = RetrievalLosses(model, source, settings, folder / "states", report, kept, teacher)
    steps_an_epoch = source.batches_an_epoch // settings.accumulate
    steps = settings.epochs * steps_an_epoch
    schedule = Schedule(steps, settings.learning_rate, max(1, steps // 20))
    epochs = (
        Validations(folder, losses, partial(_on_cpu, losses.model, validate), settings.patience) if validate else None
    )
    if not (epochs and epochs.ended):
        fit(
            STAGE,
            losses,
            losses.step,
            schedule,
            folder,
            report,
            check=epochs,
            check_every=steps_an_epoch,
            engine=losses.devices,
        )
    if epochs:
        losses.load_state_dict(load_file(epochs.weights))
    model.config = replace(
        model.config,
        temperature=1 / losses.scale.exp().item(),
        calibration=(1.0, 0.0),
        recall_by_depth=(),
    )
    rows = list(read_log(folder / f"{STAGE}.jsonl"))
    last = rows[-steps_an_epoch:]
    done = RetrievalReport(
        captions=len(captions),
        pictures=len(source.images),
        steps=len(rows),
        losses={name: fmean(row[name] for row in last) for name in last[0] if name not in ("step", "seconds")},
        validation=tuple(epochs.values) if epochs else (),
        best_epoch=epochs.best if epochs else settings.epochs,
        cut=cut,
        precision=settings.precision,
        skipped=skipped,
    )
    return model.cpu().eval().requires_grad_(False), done


def _prepared(model: CutModel, settings: RetrievalSettings) -> CutModel:
    """Returns the model in float32, with new adapters if these are to be trained and there are none."""
    existing = getattr(model.config, model.adapter_field)
    if settings.depth and existing:
        raise ConfigurationError(
            f"expected a model without adapters to give new ones a depth of {settings.depth}; {model.name} has some, "
            "which are trained on as they are: leave the depth out"
        )
    if not settings.adapters or existing:
        return model.float()
    return remade(model, settings.seed, **{model.adapter_field: AdapterConfig(depth=settings.depth)})


def _on_cpu(model: CutModel, validate: Validate) -> float:
    device = model.device
    value = validate(model.cpu())
    model.to(device)
    return value
