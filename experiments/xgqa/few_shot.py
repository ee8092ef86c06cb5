"""Few-shot training: continues a language, or the task, with questions in the language about a few pictures."""

import random
from copy import deepcopy
from pathlib import Path

from torch import nn

from experiments.scenes import read_scenes
from experiments.splits import require_disjoint, require_split
from experiments.xgqa.asked import AnswerLosses, Asked
from experiments.xgqa.bodies import World, bundled
from experiments.xgqa.ways import Bodies, Way, beside_english, in_two_languages, learned
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.nn.states import TokenStates
from polyglance.scenes import meaning as m
from polyglance.scenes.questions import sample_question
from polyglance.scenes.sampling import FIRST_SEED, sample_scene
from polyglance.training.languages.trainer import LanguageSettings, MeaningLosses, frozen, sharing
from polyglance.training.loop import Losses, Schedule, fit


class Shots:
    """Questions about the first pictures of the validation range. They are the same for all languages, and a larger
    number of shots includes the smaller ones, as in xGQA.

    Raises DataError if models are measured on one of the pictures.
    """

    def __init__(self, world: World) -> None:
        scenes = [sample_scene(FIRST_SEED["val"] + number) for number in range(max(world.settings.shots))]
        require_split((scene.seed for scene in scenes), "val")
        splits = {"few-shot training": scenes, world.split: world.measured_scenes}
        require_disjoint("scene", {name: [scene.seed for scene in some] for name, some in splits.items()})
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

    def first(self, shots: int) -> Asked:
        """Returns the questions about the first `shots` pictures."""
        return Asked(self.states, [(row, *one) for row in range(shots) for one in self.asked[row]])


def few_shot(bodies: Bodies, way: Way, code: str, shots: int, examples: Shots, seed: int) -> SingleStreamModel:
    """Returns the way's model after further training at half the way's learning rate.

    What is trained is the way's language. A way that learns no language trains the adapters of answering and the answer
    head instead.
    """
    folder = bodies.world.folder / "few-shot" / f"{way.name.replace(' ', '-')}-{code}-{shots}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    return (_of_language if way.learns else _of_task)(bodies, way, code, examples.first(shots), folder, seed)


def _schedule(world: World, way: Way) -> Schedule:
    steps = world.settings.shot_steps
    return Schedule(steps, way.rate / 2, warmup=min(10, steps // 4))


def _of_task(bodies: Bodies, way: Way, code: str, asked: Asked, folder: Path, seed: int) -> SingleStreamModel:
    model = deepcopy(bodies.e5)
    with frozen(model):
        adapters = model.adapters_of_tasks  # those of other tasks get no gradient
        trained = nn.ModuleDict({"adapters": adapters, "answer_head": model.answer_head}).requires_grad_(True)
        losses = AnswerLosses(model, code, asked, seed)
        fit("answers", trained, losses, _schedule(bodies.world, way), folder, bodies.world.report)
    return model


def _of_language(bodies: Bodies, way: Way, code: str, asked: Asked, folder: Path, seed: int) -> SingleStreamModel:
    """A way with translations also learns from them, and from the questions paired with their English versions: the
    questions of xGQA's few-shot training are translations too."""
    world = bodies.world
    language, _, _ = learned(bodies, way, code)
    model = deepcopy(bodies.of(way))
    sentences = world.sentences(code, way.questions) if way.parts else ()
    with frozen(model), sharing(language, sentences, way.parts):
        model.add_language(language)
        answers = AnswerLosses(model, code, asked, seed)
        questions = [question for _, question, _ in asked.rows]
        pairs = [*beside_english(world, way, code), *in_two_languages(code, questions)] if way.translated else []
        meanings = MeaningLosses(model, language, pairs, None, LanguageSettings(seed=seed)) if pairs else None

        def losses(step: int) -> Losses:
            held = meanings(step) if meanings else {}
            return {**answers(step), **{f"meaning_{name}": loss for name, loss in held.items()}}

        fit("answers", language, losses, _schedule(world, way), folder, world.report)
    model.add_language(language)
    return model
