"""Writes pictures of the scene world with captions, questions and scene graphs to a folder."""

import json
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from polyglance.data.gallery import gallery_folder
from polyglance.errors import ConfigurationError
from polyglance.languages import language_code
from polyglance.scenes import meaning as m
from polyglance.scenes.captions import sample_caption, sample_unique_caption
from polyglance.scenes.grammar import grammar, grammars
from polyglance.scenes.questions import sample_question
from polyglance.scenes.render import render
from polyglance.scenes.sampling import DIAMETERS, FIRST_SEED, IMAGE_SIZE, Scene, sample_scene, split_of, unseen_pairs
from polyglance.scenes.truth import SceneIndex, fitting, related
from polyglance.scenes.world import RELATIONS

if TYPE_CHECKING:
    from polyglance.types import Progress

QUESTIONS_A_SCENE: Final = 5
RELATION_NAMES: Final = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}

Row = dict[str, object]


def make_scenes(
    folder: Path,
    count: int,
    seed: int,
    languages: Sequence[str] = (),
    unique: bool = False,
    progress: "Progress | None" = None,
) -> dict[str, int]:
    """Writes pictures (PNG, 256 x 256), `captions.jsonl`, `questions.jsonl` and `scene_graphs.json` (in GQA's format).

    folder: where to write; it is made if it does not exist. count: the number of pictures. seed: picture i is the scene
    of seed + i; the split follows from it (train from 0, val from 1,000,000, test from 2,000,000), so a run stays
    within one. languages: codes, the demo's by default. unique: only captions that exactly one of the pictures
    satisfies, one each; otherwise one each of one, two and three fragments.

    Returns: how many pictures, captions and questions were written.

    Raises:
        ConfigurationError: no pictures, a seed below 0, a run that lies in two splits, an unknown language.
    """
    if count < 1 or seed < 0:
        raise ConfigurationError(f"expected a count of at least 1 and a seed of at least 0, not {count} and {seed}")
    if split_of(seed) != split_of(seed + count - 1):
        starts = ", ".join(f"{split} from {first:,}" for split, first in FIRST_SEED.items())
        raise ConfigurationError(
            f"seeds {seed} to {seed + count - 1} lie in two splits ({starts}); choose another seed"
        )
    codes = tuple(map(language_code, languages)) or tuple(grammars())
    for code in codes:
        grammar(code)
    scenes = [sample_scene(seed + i) for i in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    _draw(scenes, folder, progress)
    captions = _write_lines(folder / "captions.jsonl", _caption_rows(scenes, codes, unique))
    questions = _write_lines(folder / "questions.jsonl", _question_rows(scenes, codes))
    graphs = {Path(scene.image).stem: scene_graph(scene) for scene in scenes}
    (folder / "scene_graphs.json").write_text(json.dumps(graphs, indent=1) + "\n")
    return {"pictures": count, "captions": captions, "questions": questions}


def scene_captions(index: SceneIndex, row: int, unique: bool) -> list[m.Caption]:
    """Returns the captions of one scene, always the same for the same scenes. unique: as in `make_scenes`."""
    rng = random.Random(f"captions {index.scenes[row].seed}")
    if unique:
        caption = sample_unique_caption(index, row, rng)
        return [caption] if caption else []
    return [sample_caption(index.scenes[row], rng, fragments) for fragments in (1, 2, 3)]


def scene_questions(scene: Scene) -> list[tuple[m.Question, str]]:
    """Returns five different questions about a scene with their answers, always the same for the same scene."""
    rng = random.Random(f"questions {scene.seed}")
    asked: dict[m.Question, str] = {}
    while len(asked) < QUESTIONS_A_SCENE:
        question, answer = sample_question(scene, rng)
        asked[question] = answer
    return list(asked.items())


def names_unseen_pair(scene: Scene, caption: m.Caption) -> bool:
    """Whether the caption names a (kind, colour) pair that does not occur in the training split."""
    phrases = [value for fragment in caption for value in vars(fragment).values() if isinstance(value, m.Phrase)]
    return any(
        thing.pair in unseen_pairs() and (phrase.colour or phrase.plate) == (thing.colour or thing.plate)
        for phrase in phrases
        for thing in fitting(scene, phrase)
    )


def scene_graph(scene: Scene) -> Row:
    """Returns the scene graph in GQA's format: objects by id with name, box, attributes and relations.

    A plate is an object of its own.
    """
    objects: dict[str, Row] = {}
    for number, thing in enumerate(scene.things):
        side = DIAMETERS[thing.size]
        relations = [
            {"name": RELATION_NAMES[relation], "object": str(other_number)}
            for other_number, other in enumerate(scene.things)
            for relation in RELATIONS
            if other is not thing and related(thing, relation, other)
        ]
        if thing.plate:
            relations.append({"name": "on", "object": f"{number}p"})
            box = {"x": thing.x - round(0.64 * side), "y": thing.y, "w": round(1.28 * side), "h": round(0.6 * side)}
            objects[f"{number}p"] = {"name": "plate", **box, "attributes": [thing.plate], "relations": []}
        objects[str(number)] = {
            "name": thing.kind,
            "category": thing.category,
            "x": thing.x - side // 2,
            "y": thing.y - side // 2,
            "w": side,
            "h": side,
            "attributes": [value for value in (thing.size, thing.colour) if value],
            "relations": relations,
        }
    return {"width": IMAGE_SIZE, "height": IMAGE_SIZE, "location": scene.background, "objects": objects}


def _caption_rows(scenes: Sequence[Scene], codes: Sequence[str], unique: bool) -> Iterator[Row]:
    index = SceneIndex(scenes)
    for row, scene in enumerate(scenes):
        for number, caption in enumerate(scene_captions(index, row, unique)):
            true_of = [scenes[other].image for other in index.find(caption)[0]]
            for code in codes:
                yield {
                    "id": f"{Path(scene.image).stem}.{number}",
                    "image": scene.image,
                    "caption": grammar(code).caption(caption),
                    "language": code,
                    "split": split_of(scene.seed),
                    "true_of": true_of,
                    "unseen_pair": names_unseen_pair(scene, caption),
                }


def _question_rows(scenes: Sequence[Scene], codes: Sequence[str]) -> Iterator[Row]:
    for scene in scenes:
        for number, (question, answer) in enumerate(scene_questions(scene)):
            for code in codes:
                yield {
                    "id": f"{Path(scene.image).stem}.{number}",
                    "image": scene.image,
                    "question": grammar(code).say(question),
                    "answer": answer,
                    "language": code,
                    "split": split_of(scene.seed),
                    "types": {"structural": question.structural, "semantic": question.semantic},
                }


def _draw(scenes: Sequence[Scene], folder: Path, progress: "Progress | None") -> None:
    emoji = gallery_folder()
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for done, _ in enumerate(pool.map(lambda scene: render(scene, emoji).save(folder / scene.image), scenes), 1):
            if progress:
                progress(done, len(scenes))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for thousands of drawings


def _write_lines(path: Path, rows: Iterator[Row]) -> int:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return len(lines)
