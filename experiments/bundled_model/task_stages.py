"""The last two stages: the adapter and the head of one task go on alone, in a frozen body."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.bundled_model.joint_batches import JointSource
from experiments.bundled_model.joint_stage import as_states, photograph_matches
from experiments.bundled_model.photographs import Photographs
from experiments.pretraining.ahead import ahead
from experiments.pretraining.joint_stages import chosen_pairs, match_terms
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.cut_model import TASKS
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.training.loop import Losses
from polyglance.training.seeds import generator_of
from polyglance.types import Task


class MatchLosses:
    """The losses of a step that trains the adapter and the head of matches.

    hidden: the states of all pictures, the scenes first. spoken: the text of each lesson.
    """

    def __init__(
        self,
        model: SingleStreamModel,
        source: JointSource,
        hidden: Float[Tensor, "pictures states state_width"],
        photographs: Photographs,
        spoken: Sequence[str],
    ) -> None:
        self.model, self._hidden, self._seed = model, hidden.to(model.device), source.seed
        self._photographs, self._spoken = photographs.to(model.device), spoken
        self._pairs = ahead(source.matches, model.device)

    @property
    def trained(self) -> nn.Module:
        return _trained(self.model, "match")

    def __call__(self, step: int) -> Losses:
        model, pairs = self.model, self._pairs(step).to(self.model.device)
        generator = generator_of(self._seed, step)
        photographs = as_states(self._photographs.blended(generator))
        with native_autocast(model.device):
            with torch.no_grad():
                texts = model.read_text(pairs.texts)
                said = model.embed(texts[: len(pairs.rows)].trimmed())
                likeness = said @ model.embed(as_states(self._hidden[pairs.rows].float())).T
            text, row = chosen_pairs(pairs, likeness, generator)
            results, _ = model.joint("match", texts[text], as_states(self._hidden[row].float()))
            scores = model.match_head(results).squeeze(-1).float()
            of_photographs = photograph_matches(model, self._photographs, self._spoken, photographs, generator)
        return match_terms(scores, len(pairs.rows)) | of_photographs


class AnswerLosses:
    """The loss of a step that trains the adapter and the head of answers.

    hidden: the states of all pictures, the scenes first.
    """

    def __init__(
        self, model: SingleStreamModel, source: JointSource, hidden: Float[Tensor, "pictures states state_width"]
    ) -> None:
        self.model, self._hidden = model, hidden.to(model.device)
        self._asked = ahead(source.hard_questions, model.device)

    @property
    def trained(self) -> nn.Module:
        return _trained(self.model, "answer")

    def __call__(self, step: int) -> Losses:
        asked = self._asked(step).to(self.model.device)
        states = as_states(self._hidden[asked.rows].float())
        with native_autocast(self.model.device):
            results, _ = self.model.joint("answer", self.model.read_text(asked.texts), states)
            return {"answer": F.cross_entropy(self.model.answer_head(results).float(), asked.answers)}


def _trained(model: SingleStreamModel, task: Task) -> nn.Module:
    """Returns the model, of which the adapter and the head of a task are trained."""
    own = (f"task_adapters.parts.{TASKS.index(task)}.", f"{task}_head.")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(own))
    return model
