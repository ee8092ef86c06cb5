"""Few-shot: a language learned by some way goes on with questions about a few pictures, in that language."""

import random
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.scenes_mini import read_scenes
from experiments.xgqa.bodies import World, bundled
from experiments.xgqa.ways import Bodies, Way, learned, translations
from polyglance.models.languages import Language
from polyglance.models.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.scenes import meaning as m
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import sample_question
from polyglance.scenes.sampling import FIRST_SEED, sample_scene
from polyglance.training.languages import LanguageSettings, MeaningLosses, autocast, frozen
from polyglance.training.loop import Losses, Schedule, fit

BATCH = 64


class Shots:
    """Questions about the first pictures of the val range, in one order for all languages: more shots are more of the
    same, as in xGQA."""

    def __init__(self, world: World) -> None:
        scenes = [sample_scene(FIRST_SEED["val"] + number) for number in range(max(world.settings.shots))]
        self.states: TokenStates = read_scenes(bundled(), scenes)
        self.asked: list[list[tuple[m.Question, str]]] = []
        for scene in scenes:
            rng, asked = random.Random(f"shots {scene.seed}"), dict[m.Question, str]()
            for _ in range(20 * world.settings.shot_questions):
                if len(asked) == world.settings.shot_questions:
                    break
                question, answer = sample_question(scene, rng)
                asked[question] = answer
            self.asked.append(list(asked.items()))


def few_shot(bodies: Bodies, way: Way, code: str, shots: int, examples: Shots, seed: int) -> SingleStreamModel:
    """The way's model with its language trained on; in a way that has translations these are learned from as well."""
    world = bodies.world
    language, _, _ = learned(bodies, way, code)
    model = deepcopy(bodies.of(way))
    folder = world.folder / "few-shot" / f"{way.name.replace(' ', '-')}-{code}-{shots}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    steps = world.settings.shot_steps
    with frozen(model):
        model.add_language(language)
        losses = _Losses(world, model, language, way, examples, shots, seed)
        fit("answers", language, losses, Schedule(steps, 5e-4, warmup=min(10, steps // 4)), folder, world.report)
    model.add_language(language)
    return model


class _Losses:
    def __init__(
        self,
        world: World,
        model: SingleStreamModel,
        language: Language,
        way: Way,
        examples: Shots,
        shots: int,
        seed: int,
    ) -> None:
        self.model, self.code, self.states, self.seed = model, language.code, examples.states, seed
        asked = [(row, *one) for row in range(shots) for one in examples.asked[row]]
        self.questions = [grammar(language.code).say(question) for _, question, _ in asked]
        self.pictures = torch.tensor([row for row, _, _ in asked])
        self.answers: Tensor = torch.tensor([model.answers.index(answer) for _, _, answer in asked])
        settings = LanguageSettings(seed=seed)
        self.meanings = (
            MeaningLosses(model, language, translations(world, language.code), None, settings)
            if way.translated
            else None
        )

    def __call__(self, step: int) -> Losses:
        rng, count = random.Random(f"shots {self.seed} {step}"), len(self.questions)
        rows = rng.sample(range(count), min(BATCH, count))
        model, there = self.model, self.pictures[rows]
        with autocast(model):
            texts = model.read_text(model.tokenize([self.questions[row] for row in rows], [self.code] * len(rows)))
            result, _ = model.joint("answer", texts, self.states[there])
            logits = model.answer_head(result).float()
        held = self.meanings(step) if self.meanings else {}
        return {
            "answers": F.cross_entropy(logits, self.answers[rows]),
            **{f"meaning_{name}": loss for name, loss in held.items()},
        }
