"""The eight tasks. The examples of each are drawn once, so that their states in frozen layers can be kept.

verify, query, choose, logical, compare     GQA's five structural types of questions
count                                       how many
match                                       whether a caption is true of the picture or a foil
plate                                       the plate of the only thing that a phrase fits
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Bool, Int
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.adapterdrop.pictures import Pictures
from experiments.adapterdrop.settings import Settings
from experiments.splits import require_disjoint
from polyglance import atomic
from polyglance.data.tokenization import Tokenizer
from polyglance.models.protocol import TextBatch
from polyglance.scenes import meaning as m
from polyglance.scenes.captions import describe, sample_caption
from polyglance.scenes.foils import sample_foil
from polyglance.scenes.grammar import grammar
from polyglance.scenes.questions import sample_question
from polyglance.scenes.sampling import Scene
from polyglance.scenes.truth import fitting
from polyglance.scenes.world import BACKGROUNDS, CATEGORIES, COLOURS, KINDS, RELATIONS, SIZES

TOKENS = 24
"""The number of tokens of each text, with padding."""

Draw = Callable[[Scene, random.Random], tuple[str, str] | None]


@dataclass(frozen=True)
class SceneTask:
    """A task. draw: returns a text and its label, or None if it found none. largest_share: the largest share of the
    examples with one label."""

    name: str
    labels: tuple[str, ...]
    draw: Draw
    largest_share: float = 1.0


@dataclass(frozen=True, eq=False)
class Examples:
    """The examples of one part of a task. pictures: rows of `Pictures.states`."""

    ids: Int[Tensor, "examples tokens"]
    mask: Bool[Tensor, "examples tokens"]
    pictures: Int[Tensor, " examples"]
    labels: Int[Tensor, " examples"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def texts(self) -> TextBatch:
        return TextBatch(self.ids, self.mask)


@dataclass(frozen=True, eq=False)
class TaskData:
    """A task with its examples. Raises DataError if a picture is in both `train` and `test`."""

    task: SceneTask
    train: Examples
    test: Examples

    def __post_init__(self) -> None:
        require_disjoint("picture", {name: getattr(self, name).pictures.tolist() for name in ("train", "test")})

    @property
    def commonest(self) -> float:
        """The percentage of test examples with the most frequent label of the training examples."""
        label = self.train.labels.bincount().argmax()
        return 100 * (self.test.labels == label).float().mean().item()


def task_data(settings: Settings, pictures: Pictures, tokenizer: Tokenizer, folder: Path) -> dict[str, TaskData]:
    """Returns each task by its name, from `folder/tasks.safetensors`; if it is missing, draws the examples first."""
    path = folder / "tasks.safetensors"
    if not path.exists():
        sizes = {"train": (pictures.train, settings.examples), "test": (pictures.test, settings.test_examples)}
        tensors: dict[str, Tensor] = {}
        for task in TASKS.values():
            for part, (rows, count) in sizes.items():
                rng = random.Random(f"{task.name} {part} {settings.seed}")
                examples = _draw_examples(task, pictures.scenes, rows, count, tokenizer, rng)
                tensors |= {f"{task.name}.{part}.{name}": value for name, value in vars(examples).items()}
        with atomic.whole(path) as draft:
            save_file(tensors, draft)
    tensors = load_file(path)
    return {
        task.name: TaskData(task, _part(tensors, task, "train"), _part(tensors, task, "test"))
        for task in TASKS.values()
    }


def _part(tensors: Mapping[str, Tensor], task: SceneTask, part: str) -> Examples:
    return Examples(*(tensors[f"{task.name}.{part}.{field.name}"] for field in fields(Examples)))


def _draw_examples(
    task: SceneTask, scenes: Sequence[Scene], rows: range, count: int, tokenizer: Tokenizer, rng: random.Random
) -> Examples:
    """Draws examples, without texts that are too long and without labels that have reached their largest share."""
    drawn: list[tuple[str, int, str]] = []
    counts: Counter[str] = Counter()
    while len(drawn) < count:
        row = rng.choice(rows)
        found = task.draw(scenes[row], rng)
        if not found or counts[found[1]] >= task.largest_share * count:
            continue
        text, label = found
        if tokenizer.encode([text], TOKENS + 1)[1].sum() > TOKENS:
            continue
        counts[label] += 1
        drawn.append((text, row, label))
    texts, pictures, labels = zip(*drawn, strict=True)
    ids, mask = tokenizer.encode(texts, TOKENS)
    return Examples(
        torch.from_numpy(ids),
        torch.from_numpy(mask),
        torch.tensor(pictures),
        torch.tensor([task.labels.index(label) for label in labels]),
    )


# -- what is asked -----------------------------------------------------------------------------------------------------

_ENGLISH = grammar("en")


def _asks(structural: str) -> Draw:
    def draw(scene: Scene, rng: random.Random) -> tuple[str, str]:
        question, answer = sample_question(scene, rng, structural)
        return _ENGLISH.say(question), answer

    return draw


def _match(scene: Scene, rng: random.Random) -> tuple[str, str] | None:
    caption = sample_caption(scene, rng, rng.choice((1, 2)))
    if rng.random() < 0.5:
        return _ENGLISH.caption(caption), "true"
    foil = sample_foil(scene, caption, rng)
    return (_ENGLISH.caption(foil), "false") if foil else None


def _plate(scene: Scene, rng: random.Random) -> tuple[str, str] | None:
    thing = rng.choice(scene.things)
    phrase = replace(describe(thing, rng), plate=None)
    if len(fitting(scene, phrase)) > 1:
        return None
    return _ENGLISH.caption((m.Shows(phrase),)), thing.plate or "none"


_YES_NO = ("yes", "no")

TASKS: Mapping[str, SceneTask] = {
    task.name: task
    for task in (
        SceneTask("verify", _YES_NO, _asks("verify"), largest_share=0.5),
        SceneTask("query", (*KINDS, *CATEGORIES, *COLOURS, *BACKGROUNDS), _asks("query")),
        SceneTask("choose", (*KINDS, *CATEGORIES, *COLOURS, *SIZES, *BACKGROUNDS, *RELATIONS), _asks("choose")),
        SceneTask("logical", _YES_NO, _asks("logical"), largest_share=0.5),
        SceneTask("compare", (*_YES_NO, *KINDS), _asks("compare")),
        SceneTask("count", tuple("0123456"), _asks("count"), largest_share=0.25),
        SceneTask("match", ("true", "false"), _match, largest_share=0.5),
        SceneTask("plate", (*COLOURS, "none"), _plate, largest_share=0.25),
    )
}
