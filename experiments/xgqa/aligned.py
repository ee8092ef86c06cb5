"""Makes a multilingual body multimodal with English and pictures (mBERTAda, arXiv:2109.06082, section 4.2)."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.pretraining.ahead import in_thread
from experiments.pretraining.grounding import GroundingHead
from experiments.xgqa.bodies import World, english_source
from experiments.xgqa.corpora import SOURCE_LANGUAGE
from experiments.xgqa.published import OnBundledPictures
from polyglance.adapters.composition import Stack
from polyglance.adapters.config import AdapterConfig, Modality
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import MODALITIES, TEXT, Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.kernels.processor import native_autocast
from polyglance.models.added_language import Language
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.training.loop import Losses, Schedule, fit
from polyglance.training.losses import info_nce
from polyglance.types import Task

PARTS: Mapping[str, Modality | None] = {"text": "text", "image": "image", "align": None}
"""The adapters of a task: one for text tokens, one for image tokens, and the alignment adapter for both."""
TASKS: tuple[Task, ...] = ("embed", "answer")
TRAINED = ("expand_image", "task_token", "embed_head", "whole_head", "answer_head", "adapters_of_tasks")
"""The modules that are trained, beside the positions of pictures' states."""


class AlignedModel(OnBundledPictures):
    """A model in whose joint layers each task has a stack of three adapters."""

    adapters_of_tasks: TrainableAdapters

    @classmethod
    def with_adapters(cls, body: SingleStreamModel, seed: int) -> "AlignedModel":
        """Returns the body in float32 with new adapters."""
        torch.manual_seed(seed)
        model = cls.of(body.float())
        if isinstance(body, OnBundledPictures):
            model.prefix = body.prefix
        width, layers = body.config.width, len(body.joint_layers.layers)
        model.adapters_of_tasks = TrainableAdapters(
            {
                f"{task}/{part}": Adapter(AdapterConfig(reduction_factor=4, modality=modality), width, layers)
                for task in TASKS
                for part, modality in PARTS.items()
            }
        )
        return model

    def joint(
        self, task: Task, *states: TokenStates, depth: int = 0
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch tokens width"]]:
        """As in `CutModel.joint`, without adapters for a task that was not trained."""
        if task not in TASKS:
            return super().joint(task, *states, depth=depth)
        x, mask = self.join(task, *states)
        read = [torch.full(one.mask.shape, MODALITIES[one.modality]) for one in states]
        modality = torch.cat([torch.full((len(x), 1), TEXT), *read], dim=1)
        stack = Stack(*(f"{task}/{part}" for part in PARTS))
        return self.joint_layers.first(x, mask, Adaptation(self.adapters_of_tasks, [stack] * len(x), modality))


def aligned_model(
    world: World, body: SingleStreamModel, english: Language | None, folder: Path, steps: int
) -> AlignedModel:
    """Trains the model to answer and to embed. The weights that the body was trained in and the English language
    adapter, if there is one, are frozen."""
    model = AlignedModel.with_adapters(body, world.seed)
    if english:
        model.add_language(english)
        english.requires_grad_(False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith((*TRAINED, "kept_position")))
    losses = _Losses(world, model)
    folder.mkdir(parents=True, exist_ok=True)
    model.train()
    fit("tasks", losses.trained, losses, Schedule(steps, 1e-3, warmup=min(150, steps // 4)), folder, world.report)
    return model.eval()


class _Losses:
    """The losses of answering questions about pictures, with the cells that they refer to, and of contrasting captions
    with pictures.

    There is no loss of matching, as the English body has: each task has adapters of its own, so that those of answers
    would learn nothing from it.
    """

    def __init__(self, world: World, model: AlignedModel) -> None:
        self.model = model
        source = english_source(world, lambda texts: model.tokenize(texts, [SOURCE_LANGUAGE] * len(texts)))
        self._batch = in_thread(source)
        scenes, faces = world.states.hidden, world.gallery_states.hidden
        hidden = torch.cat([scenes, faces.to(scenes.dtype)])
        self.states = TokenStates(hidden, torch.ones(hidden.shape[:2], dtype=torch.bool), "image")
        self.grounding = GroundingHead(model.config.width, hidden.shape[1])
        self.scale = nn.Parameter(torch.tensor(-math.log(model.config.temperature)))

    @property
    def trained(self) -> nn.Module:
        found = {name: getattr(self.model, name) for name in TRAINED}
        trained = nn.ModuleDict({name: module for name, module in found.items() if module is not None})
        trained["grounding"] = self.grounding
        trained.register_parameter("kept_position", self.model.kept_position)
        trained.register_parameter("scale", self.scale)
        return trained

    def __call__(self, step: int) -> Losses:
        model, batch = self.model, self._batch(step)
        pairs = len(batch.rows)
        with native_autocast(model.device):
            of_texts = model.embed(model.read_text(batch.texts))
            of_pictures = model.embed(self.states[batch.rows])
            asked, halfway = model.joint("answer", model.read_text(batch.questions), self.states[batch.question_rows])
            answers = model.answer_head(asked).float()
        scale = self.scale.exp().clamp(max=100)
        return {
            "embed": info_nce(of_texts[:pairs], of_pictures, scale, batch.also_true, of_texts[pairs:]),
            "answer": F.cross_entropy(answers, batch.answers),
            "cells_question": 0.1 * self.grounding.cell_loss(halfway, batch.question_cells),
        }
