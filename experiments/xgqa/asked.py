"""Trains the weights of a language on questions about pictures, by their right answers."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.scenes import read_scenes
from experiments.splits import require_split
from experiments.xgqa.bodies import World, bundled
from polyglance.kernels.processor import native_autocast
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.scenes import meaning as m
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import answer
from polyglance.scenes.sampling import sample_scene
from polyglance.training.loop import Losses

BATCH = 64
SEARCHED, EACH = 2000, 10


@dataclass(frozen=True)
class Asked:
    """Questions about pictures. states: the states of the pictures. rows: (number of a picture, question about it,
    right answer)."""

    states: TokenStates
    rows: Sequence[tuple[int, m.Question, str]]


def of_training_pictures(world: World, asked: Mapping[int, m.Question]) -> Asked:
    """Returns questions with the training pictures that they can be asked about.

    asked: the questions by the seeds of their own scenes. The pictures are those scenes and the first 2,000 of the
    training range. Each question has at most ten pictures per answer, so that its words alone do not give the answer
    away.

    Raises DataError if one of the scenes is not in the training range.
    """
    scenes = [sample_scene(seed) for seed in (*asked, *range(min(SEARCHED, world.settings.scenes)))]
    require_split((scene.seed for scene in scenes), "train")
    rng = random.Random(f"training pictures {world.seed}")
    rows: list[tuple[int, m.Question, str]] = []
    for question in asked.values():
        found: defaultdict[str, list[int]] = defaultdict(list)
        for row, scene in enumerate(scenes):
            if (right := answer(scene, question)) is not None:
                found[right].append(row)
        for right, some in found.items():
            rows += [(row, question, right) for row in rng.sample(some, min(EACH, len(some)))]
    return Asked(read_scenes(bundled(), scenes), rows)


class AnswerLosses:
    """The cross-entropy of the right answers."""

    def __init__(self, model: SingleStreamModel, code: str, asked: Asked, seed: int) -> None:
        self.model, self.code, self.states, self.seed = model, code, asked.states, seed
        self.questions = [grammar(code).say(question) for _, question, _ in asked.rows]
        self.pictures = torch.tensor([row for row, _, _ in asked.rows])
        self.answers: Tensor = torch.tensor([model.answers.index(right) for _, _, right in asked.rows])

    def __call__(self, step: int) -> Losses:
        rng, count = random.Random(f"shots {self.seed} {step}"), len(self.questions)
        rows = rng.sample(range(count), min(BATCH, count))
        model, there = self.model, self.pictures[rows]
        with native_autocast(model.device):
            texts = model.read_text(model.tokenize([self.questions[row] for row in rows], [self.code] * len(rows)))
            result, _ = model.joint("answer", texts, self.states[there])
            logits = model.answer_head(result).float()
        return {"answers": F.cross_entropy(logits, self.answers[rows])}
