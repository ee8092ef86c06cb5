"""The last stage: the adapter and the head of answers go on alone, in a frozen body."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.bundled_model.joint_batches import JointSource
from experiments.bundled_model.joint_stage import as_states
from experiments.pretraining.ahead import ahead
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.cut_model import TASKS
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.training.loop import Losses


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
        """The model, of which the adapter and the head of answers are trained."""
        own = (f"task_adapters.parts.{TASKS.index('answer')}.", "answer_head.")
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name.startswith(own))
        return self.model

    def __call__(self, step: int) -> Losses:
        asked = self._asked(step).to(self.model.device)
        states = as_states(self._hidden[asked.rows].float())
        with native_autocast(self.model.device):
            results, _ = self.model.joint("answer", self.model.read_text(asked.texts), states)
            return {"answer": F.cross_entropy(self.model.answer_head(results).float(), asked.answers)}
