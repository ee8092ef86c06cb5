"""A joint model trained for retrieval on captions (arXiv:2103.11920), resumable, the best validation kept."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Final, cast

import torch
from safetensors.torch import load_file, save_file

from polyglance.adapters.config import AdapterConfig
from polyglance.data.captions import Caption
from polyglance.errors import ConfigurationError
from polyglance.models.single_stream import SingleStreamModel
from polyglance.training.caption_source import CaptionSource, texts_too_long
from polyglance.training.loop import Report, Schedule, fit, read_log
from polyglance.training.retrieval_losses import RetrievalLosses, RetrievalSettings
from polyglance.training.state_cache import KeptStates

STAGE: Final = "retrieval"

Validate = Callable[[SingleStreamModel], float]


@dataclass(frozen=True)
class RetrievalReport:
    """losses: means over the last epoch. validation: R@1 in percent after each epoch; best_epoch: that of the weights
    that were kept, the last one where nothing was held out. cut: captions that are longer than the model reads."""

    captions: int
    pictures: int
    steps: int
    losses: dict[str, float]
    validation: tuple[float, ...]
    best_epoch: int
    cut: int


def train_retrieval(
    model: SingleStreamModel,
    captions: Sequence[Caption],
    folder: Path,
    settings: RetrievalSettings,
    validate: Validate | None = None,
    report: Report | None = None,
    kept: KeptStates | None = None,
    teacher: SingleStreamModel | None = None,
) -> tuple[SingleStreamModel, RetrievalReport]:
    """The trained model, in float32 on the CPU, with the weights of the best validation. In several processes
    (`training.devices`) each gets it. Its matches are not calibrated.

    captions: of the split train; those that are known to be true of another picture of a batch are no negatives there.
    folder: of the log, of the checkpoint from which a killed run goes on to the same end, of the best weights, and of
    what frozen layers make of the pictures.
    validate: gives R@1 in percent, after each epoch. kept: what the frozen layers make of the pictures, in the order in
    which the captions name them first, where the caller has it. teacher: a model whose cross-encoder teaches its order
    to what is trained.

    Raises:
        DataError: captions of fewer than two pictures or in letters that the tokenizer does not know, or pictures that
            cannot be read.
        TrainingError: a loss is no number any more; the last checkpoint stays.
        ConfigurationError: the folder holds another training, or there is a depth for adapters that are there already.
    """
    model = _prepared(model, settings)
    cut = texts_too_long(captions, model.tokenizer, model.config.max_text_tokens)
    source = CaptionSource(captions, settings.batch, settings.seed, settings.accumulate)
    _check_beginning(folder, settings, source, model.fingerprint, teacher.fingerprint if teacher else "")
    losses = RetrievalLosses(model, source, settings, folder / "states", report, kept, teacher)
    steps_an_epoch = source.batches_an_epoch // settings.accumulate
    steps = settings.epochs * steps_an_epoch
    schedule = Schedule(steps, settings.learning_rate, max(1, steps // 20))
    epochs = _Validations(folder, losses, validate, settings.patience) if validate else None
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
        losses.load_state_dict(load_file(epochs.best))
    model.config = replace(
        model.config, temperature=1 / losses.scale.exp().item(), calibration=(1.0, 0.0), recall_by_depth=()
    )
    rows = list(read_log(folder / f"{STAGE}.jsonl"))
    last = rows[-steps_an_epoch:]
    done = RetrievalReport(
        captions=len(captions),
        pictures=len(source.images),
        steps=len(rows),
        losses={name: fmean(row[name] for row in last) for name in last[0] if name not in ("step", "seconds")},
        validation=tuple(epochs.recalls) if epochs else (),
        best_epoch=epochs.best_epoch if epochs else settings.epochs,
        cut=cut,
    )
    return model.cpu().eval().requires_grad_(False), done


class _Validations:
    """R@1 after each epoch, beside the weights and the temperature of the best one. Called by the loop, ends it when
    nothing is gained."""

    def __init__(self, folder: Path, losses: RetrievalLosses, validate: Validate, patience: int) -> None:
        self.losses, self.validate, self.patience = losses, validate, patience
        self.log, self.best = folder / "validation.json", folder / "best.safetensors"

    @property
    def recalls(self) -> list[float]:
        return cast("list[float]", json.loads(self.log.read_text())) if self.log.exists() else []

    @property
    def best_epoch(self) -> int:
        return 1 + self.recalls.index(max(self.recalls))

    @property
    def ended(self) -> bool:
        return bool(self.patience and self.recalls) and len(self.recalls) - self.best_epoch >= self.patience

    def __call__(self, number: int) -> bool:
        """number: of the epoch, from 1. A run that goes on forgets what its checkpoint knows nothing of."""
        model, device = self.losses.model, self.losses.model.device
        recalls = [*self.recalls[: number - 1], self.validate(model.cpu())]
        model.to(device)
        if recalls.index(max(recalls)) == number - 1:
            save_file({name: value.contiguous() for name, value in self.losses.state_dict().items()}, self.best)
        self.log.write_text(json.dumps(recalls) + "\n")
        return self.ended


def _prepared(model: SingleStreamModel, settings: RetrievalSettings) -> SingleStreamModel:
    """In float32; with adapters for the tasks where these are to be trained and there are none."""
    if settings.depth and model.config.task_adapters:
        raise ConfigurationError(
            f"expected a model without adapters to give new ones a depth of {settings.depth}; {model.name} has some, "
            "which are trained on as they are: leave the depth out"
        )
    if not settings.adapters or model.config.task_adapters:
        return model.float()
    config = replace(model.config, task_adapters=AdapterConfig(depth=settings.depth))
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        made = SingleStreamModel(config, model.tokenizer, model.name).to(model.device)
    made.load_state_dict(model.state_dict(), strict=False)
    made.fingerprint = model.fingerprint
    return made.float()


def _check_beginning(
    folder: Path, settings: RetrievalSettings, source: CaptionSource, fingerprint: str, teacher: str
) -> None:
    """A checkpoint belongs to one beginning: another would take it up unseen."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    beginning = {
        **asdict(settings),
        "model": fingerprint,
        "teacher": teacher,
        "captions": sha256(repr(source.captions).encode(errors="surrogateescape")).hexdigest()[:16],
    }
    defaults = {**asdict(RetrievalSettings()), "teacher": ""}  # of options that a folder may be older than
    before = {**defaults, **json.loads(path.read_text())} if path.exists() else beginning
    if before != beginning:
        changed = sorted(name for name, value in beginning.items() if before.get(name) != value)
        raise ConfigurationError(
            f"{folder} holds a training with another {', '.join(changed)}: name another, or empty it"
        )
    if not path.exists():
        path.write_text(json.dumps(beginning, indent=1) + "\n")
