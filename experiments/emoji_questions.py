"""Trains a model on questions about pictures that look different from the scene world: collages of emoji.

    python -m experiments.emoji_questions [--systems NAME...] [--folder FOLDER] [--fresh] [--small]

A collage shows up to five emoji, rotated and of several sizes, on a mottled ground. The questions ask for their number,
their groups, their places and the ground. `polyglance train vqa` trains the bundled model in each of its ways, and a
model with random weights. The controls are a blank picture, another picture and the most frequent answer to each kind
of question. One seed.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageFilter

from experiments.results import Row, add_arguments, begin, open_folder, report
from experiments.splits import require_disjoint
from polyglance import atomic
from polyglance.data.captions import read_captions
from polyglance.data.gallery import GalleryEntry, gallery
from polyglance.data.questions import Question, of_split, read_questions
from polyglance.evaluation.answers import AnswerScores
from polyglance.evaluation.controls import answer_questions, most_frequent, scores_by_language
from polyglance.evaluation.pools import pools
from polyglance.evaluation.systems import Evaluation, System
from polyglance.models import BUNDLED, load_model
from polyglance.models.checkpoint import load_folder
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.reading import open_pictures
from polyglance.scenes.make import make_scenes
from polyglance.scenes.sampling import FIRST_SEED
from polyglance.training.vqa import VqaSettings, train_vqa

NAME: Final = "emoji_questions"
KEYS: Final = ("system", "seed")
GROUPS: Final = {
    "smileys-emotion": "smileys", "people-body": "people", "animals-nature": "nature", "food-drink": "food",
    "travel-places": "travel", "activities": "activities", "objects": "objects", "symbols": "symbols",
}  # fmt: skip
GROUNDS: Final = {
    "brown": (150, 105, 70), "grey": (140, 140, 140), "pink": (225, 150, 180), "turquoise": (90, 190, 185),
    "green": (95, 150, 80), "blue": (90, 120, 200),
}  # fmt: skip
OF_A_GROUP: Final = 10
"""The number of emoji of each group that are used, evenly spaced over the group."""
WIDTH, HEIGHT = 256, 192
PLACES: Final = tuple((x, y) for y in (48, 144) for x in (42, 128, 214))
WAYS: Final = {
    "all but what reads pictures": VqaSettings(),
    "all weights": VqaSettings(all_weights=True),
    "adapters": VqaSettings(adapters=True),
    "all weights, from random": VqaSettings(all_weights=True),
}
RANDOM: Final = "all weights, from random"
BEGUN: Final = f"{BUNDLED} as it is"
FREQUENT: Final = "most frequent answer of its kind"


@dataclass(frozen=True)
class Settings:
    """The size of the experiment. train, val, test: the number of pictures in each split. scenes: the number of
    pictures to search. steps: the number of steps of each training."""

    train: int = 1000
    val: int = 150
    test: int = 400
    scenes: int = 500
    steps: int = 300
    seed: int = 0


SMALL: Final = Settings(train=24, val=8, test=8, scenes=8, steps=3)


@dataclass(frozen=True)
class Placed:
    """One emoji of a collage. x, y: its centre in pixels. side: its width and height in pixels."""

    entry: GalleryEntry
    x: int
    y: int
    side: int

    @property
    def group(self) -> str:
        return GROUPS[self.entry.group]


def make_questions(settings: Settings, folder: Path) -> Path:
    """Draws the collages and writes `questions.jsonl` beside them, the same for the same settings."""
    path = folder / "questions.jsonl"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[Row] = []
    for split in ("train", "val", "test"):
        for number in range(getattr(settings, split)):
            rng = random.Random(f"{settings.seed} {split} {number}")
            image, ground = f"{split}_{number:04}.jpg", rng.choice(list(GROUNDS))
            placed = _placed(rng)
            draw(ground, placed, rng).save(folder / image, quality=92)
            for kind, question, answer in asked(ground, placed, rng):
                types = {"structural": kind, "semantic": "global" if kind == "ground" else "obj"}
                lines.append({"image": image, "question": question, "answer": answer, "split": split, "types": types})
    atomic.write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
    return path


def asked(ground: str, placed: list[Placed], rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Yields (kind, question, answer)."""
    yield "ground", rng.choice(("What color is the background?", "Which color is behind the emoji?")), ground
    yield "number", rng.choice(("How many emoji are there?", "How many emoji are in the picture?")), str(len(placed))
    by_place = sorted(placed, key=lambda one: one.x)
    side, end = rng.choice((("left", by_place[:2]), ("right", by_place[:-3:-1])))
    if len(end) == 1 or abs(end[0].x - end[1].x) > 30:
        yield "group", f"Which group is the emoji furthest to the {side} from?", end[0].group
    groups = Counter(one.group for one in placed)
    absent = [group for group in GROUPS.values() if group not in groups]
    there = rng.random() < 0.5
    group = rng.choice(list(groups) if there else absent)
    yield "present", f"Is there an emoji of the group {group}?", "yes" if there else "no"
    alone = [one for one in placed if groups[one.group] == 1]
    if len(alone) > 1:
        one, other = rng.sample(alone, 2)
        if abs(one.x - other.x) > 60:
            words = f"Is the emoji of the group {one.group} to the left or to the right of the one of {other.group}?"
            yield "place", words, "left" if one.x < other.x else "right"


def draw(ground: str, placed: list[Placed], rng: random.Random) -> Image.Image:
    """Draws emoji over light and dark patches of one colour."""
    noise = np.random.default_rng(rng.getrandbits(32))
    shade = np.zeros((HEIGHT, WIDTH))
    for grain in (6, 24, 96):
        coarse = Image.fromarray(noise.integers(0, 256, (grain * HEIGHT // WIDTH, grain), dtype=np.uint8))
        shade += np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float64) / 255 - 0.5
    colour = np.array(GROUNDS[ground]) + noise.integers(-12, 13, 3)
    picture = Image.fromarray(np.clip(colour + 45 * shade[..., None], 0, 255).astype(np.uint8))
    for one in placed:
        with Image.open(one.entry.path) as source:
            emoji = source.convert("RGBA").rotate(rng.uniform(-20, 20), Image.Resampling.BICUBIC)
        emoji = emoji.resize((one.side, one.side), Image.Resampling.LANCZOS)
        shadow = Image.new("RGBA", emoji.size, (0, 0, 0, 0))
        shadow.putalpha(emoji.getchannel("A").point(lambda value: value // 3).filter(ImageFilter.GaussianBlur(3)))
        corner = one.x - one.side // 2, one.y - one.side // 2
        picture.paste(shadow, (corner[0] + 3, corner[1] + 4), shadow)
        picture.paste(emoji, corner, emoji)
    return picture


def _placed(rng: random.Random) -> list[Placed]:
    places = rng.sample(PLACES, rng.randint(1, 5))
    return [
        Placed(
            rng.choice(_of_group(rng.choice(list(GROUPS)))),
            x + rng.randint(-8, 8),
            y + rng.randint(-8, 8),
            rng.randint(52, 84),
        )
        for x, y in places
    ]


@cache
def _of_group(group: str) -> list[GalleryEntry]:
    entries = [entry for entry in gallery() if entry.group == group]
    return entries[:: len(entries) // OF_A_GROUP][:OF_A_GROUP]


def require_apart(questions: Sequence[Question]) -> None:
    """Raises DataError if one collage is in two splits, under the same name or under two."""
    splits: dict[str, set[Path]] = {}
    for one in questions:
        splits.setdefault(one.split, set()).add(one.image)
    require_disjoint("picture", splits)
    contents = {name: [sha256(path.read_bytes()).hexdigest() for path in paths] for name, paths in splits.items()}
    require_disjoint("content of a picture", contents)


def random_model(like: SingleStreamModel, paths: list[Path], seed: int) -> SingleStreamModel:
    """Returns a model of the same shape with random weights; its batch norms have the statistics of some pictures."""
    torch.manual_seed(seed)
    model = SingleStreamModel(like.config, like.tokenizer, "random")
    with torch.no_grad():
        for start in range(0, len(paths), 64):
            model.train().read_images(open_pictures(model, paths[start : start + 64]))
    return model.eval()


def measured(model: SingleStreamModel, test: Sequence[Question]) -> Row:
    """Returns the accuracy in percent, with its interval, by kind of question, and with wrong pictures."""
    said = answer_questions(model, test)
    assert said.shuffled is not None
    own, blank, shuffled = (scores(test, answers) for answers in (said.own, said.blank, said.shuffled))
    return {
        **judged(own),
        "interval": [round(own.interval.low, 2), round(own.interval.high, 2)],
        "blank": round(blank.accuracy, 2),
        "shuffled": round(shuffled.accuracy, 2),
    }


def scenes_recall(model: SingleStreamModel, folder: Path, count: int) -> float:
    """Returns how well the model still searches: R@1 in percent of scenes by their English captions, retrieved and
    reranked."""
    if not (folder / "captions.jsonl").exists():
        make_scenes(folder, count, FIRST_SEED["test"], ["en"], unique=True)
    found = pools(read_captions(folder / "captions.jsonl"), "test")
    (score,) = Evaluation(System(model, model, candidates=min(20, count)), found).scores(["text_to_image"])
    return round(score.percent["R@1"], 2)


def scores(test: Sequence[Question], answers: Sequence[str]) -> AnswerScores:
    (found,) = scores_by_language(test, answers)
    return found


def judged(found: AnswerScores) -> Row:
    by_kind = {kind: round(accuracy, 2) for kind, accuracy in found.by("structural").items()}
    return {"accuracy": round(found.accuracy, 2), "by_kind": by_kind}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, NAME)
    parser.add_argument("--systems", nargs="*", choices=WAYS, default=list(WAYS))
    arguments = parser.parse_args()
    settings = SMALL if arguments.small else Settings()
    folder, results = begin(NAME, arguments, KEYS)
    open_folder(folder, settings)
    questions = read_questions(make_questions(settings, folder / "data"))
    require_apart(questions)
    test, seed = of_split(questions, "test"), settings.seed
    if not results.has(system=FREQUENT):
        found = scores(test, most_frequent(test, of_split(questions, "train")))
        results.add([{"system": FREQUENT, "seed": seed, **judged(found)}])
    scenes = folder / "scenes"
    if not results.has(system=BEGUN):
        model = load_model()
        recall = scenes_recall(model, scenes, settings.scenes)
        results.add([{"system": BEGUN, "seed": seed, **measured(model, test), "scenes": recall}])
    for name in arguments.systems:
        if results.has(system=name):
            continue
        model = load_model()
        if name == RANDOM:
            paths = list(dict.fromkeys(one.image for one in questions if one.split == "train"))[:256]
            model = random_model(model, paths, seed)
        output = folder / name.replace(" ", "-").replace(",", "").replace("'", "")
        started = time.perf_counter()
        done = train_vqa(
            model, model.name, questions, output, replace(WAYS[name], steps=settings.steps, seed=seed), report
        )
        row = {
            "system": name,
            "seed": seed,
            "questions": done.questions,
            "pictures": done.pictures,
            "answers": done.answers,
            "known": done.known,
            "steps": done.steps,
            "seconds": round(time.perf_counter() - started, 1),
            "validation": done.validation[done.best - 1],
        }
        model = load_folder(output)
        recall = scenes_recall(model, scenes, settings.scenes)
        results.add([{**row, **measured(model, test), "scenes": recall}])


if __name__ == "__main__":
    main()
