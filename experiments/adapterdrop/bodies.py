"""The inputs of the pre-trained body for the examples of a task, in the form that training and its cache take."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Bool, Float, Int
from torch import Tensor

from experiments.adapterdrop.body import SceneBody
from experiments.adapterdrop.kept_tasks import KeptTask
from experiments.adapterdrop.pictures import Pictures
from experiments.adapterdrop.tasks import Examples, TaskData
from polyglance.nn.encoder import Encoder
from polyglance.training.state_cache import keep_states, weights_fingerprint
from polyglance.training.tasks import trainer as training


@dataclass(frozen=True, eq=False)
class Inputs:
    """Examples of a task as inputs of the body."""

    body: SceneBody
    pictures: Pictures
    examples: Examples

    @property
    def encoder(self) -> Encoder:
        return self.body.encoder

    @property
    def fingerprint(self) -> str:
        return weights_fingerprint(self.body)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        shown = self.pictures.states[self.examples.pictures]
        return {"ids": self.examples.ids, "mask": self.examples.mask, "pictures": shown}

    def __len__(self) -> int:
        return len(self.examples)

    def embed(
        self, rows: Int[Tensor, " rows"]
    ) -> tuple[Float[Tensor, "rows tokens width"], Bool[Tensor, "rows tokens"]]:
        some = self.examples[rows]
        return self.body.embed(some.texts, self.pictures.states[some.pictures])


def keep_task(body: SceneBody, pictures: Pictures, data: TaskData, folder: Path) -> KeptTask:
    """Returns a task with its states, which are mapped from files in the folder and computed first if they are
    missing."""
    depths = range(len(body.encoder.layers))
    train, test = (
        training.Examples(keep_states(Inputs(body, pictures, part), depths, folder), part.labels)
        for part in (data.train, data.test)
    )
    return KeptTask(data.task.name, len(data.task.labels), train, test)
