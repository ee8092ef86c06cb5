"""Full fine-tuning of a text encoder with a head on the first token: the ceiling of the adapters."""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.adapterdrop.text_tasks import TextTask
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.text_encoder import TextEncoder
from polyglance.training.loop import Losses, Schedule, fit
from polyglance.training.tasks.text_inputs import TextInputs
from polyglance.training.tasks.trainer import TEST_BATCH, ShuffledByLength, TaskSettings, task_loss
from polyglance.types import StageProgress


class Classifier(nn.Module):
    """A text encoder with a linear head on the first token of its last layer."""

    def __init__(self, body: TextEncoder, classes: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(body.config.width, classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, inputs: TextInputs, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows classes"]:
        with native_autocast(inputs.ids.device):
            first, _ = self.body.encoder.first(*replace(inputs, body=self.body).embed(rows))
        return F.linear(first.float(), self.head.weight, self.head.bias)


def fine_tuned(
    task: TextTask,
    body: TextEncoder,
    settings: TaskSettings,
    folder: Path,
    report: StageProgress | None,
    splits: Sequence[str] = ("test", "val"),
) -> dict[str, float]:
    """Trains all weights of a copy of the body with the schedule of the adapters, and returns the score of each split.

    folder: for the last checkpoint, which is removed afterwards: it is several times as large as the body.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = Classifier(deepcopy(body).requires_grad_(True), task.classes)
    train = task.parts["train"]
    steps_an_epoch = -(-len(train.inputs) // settings.batch)
    steps = settings.epochs * steps_an_epoch
    rows_of = ShuffledByLength(train.inputs.mask.sum(dim=1), settings.batch, settings.seed)

    def losses(step: int) -> Losses:
        rows = rows_of(step)
        return {"loss": task_loss(model(train.inputs, rows), train.labels[rows])}

    schedule = Schedule(steps, settings.learning_rate, max(1, steps // 10))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as draft:
        fit("full", model, losses, schedule, Path(draft), report, save_every=math.inf)
    return {split: round(_score(model, task, split), 2) for split in splits}


def _score(model: Classifier, task: TextTask, split: str) -> float:
    part = task.parts[split]
    by_length = part.inputs.mask.sum(dim=1).argsort()
    with torch.no_grad():
        logits = torch.cat([model(part.inputs, rows) for rows in by_length.split(TEST_BATCH)])
    return task.measure(logits, part.labels[by_length])
