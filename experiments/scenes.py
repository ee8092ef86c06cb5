"""How well a model retrieves, reranks and answers about drawn scenes, in every language.

The pictures are read once and kept in 8 bits, as in a library. Each has one caption that fits no other of the pictures,
and five questions. Twin ranks by the nearest vectors; coop reranks the best 20 of them. Text to image is measured a
second time with the 1,470 pictures of the emoji gallery in the pool, as in the demo.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.results import Row
from experiments.splits import require_split
from polyglance.data.gallery import gallery_folder
from polyglance.data.questions import Question, Types
from polyglance.evaluation.controls import answers_about, answers_beside, most_frequent, scores_by_language
from polyglance.evaluation.retrieval import Ranking, rerank, retrieve
from polyglance.languages import AUTO
from polyglance.models.families.cut_model import CutModel
from polyglance.models.protocol import ImageBatch
from polyglance.models.reading import embed_all, read_texts
from polyglance.nn.states import TokenStates
from polyglance.scenes import meaning as m
from polyglance.scenes.grammar import grammar
from polyglance.scenes.make import names_unseen_pair, scene_captions, scene_questions
from polyglance.scenes.render import render
from polyglance.scenes.sampling import Scene
from polyglance.scenes.truth import SceneIndex

CANDIDATES = 20


def read_scenes(model: CutModel, scenes: Sequence[Scene], batch: int = 50) -> TokenStates:
    """Returns the scenes' states as a library returns them."""
    stored = []
    for start in range(0, len(scenes), batch):
        pictures = [model.preprocess(render(scene, gallery_folder())) for scene in scenes[start : start + batch]]
        stored += model.read_images(ImageBatch(torch.from_numpy(np.stack(pictures)))).store()
    return TokenStates.load(stored, "image", "cpu")


def retrieval_rows(
    model: CutModel, scenes: Sequence[Scene], states: TokenStates, emoji: TokenStates, languages: Sequence[str]
) -> list[Row]:
    """Returns R@1, R@5 and R@10 in both directions, for twin, and for coop if the model matches; for text to image also
    with the emoji in the pool, and R@1 separately for captions with and without an unseen (kind, colour) pair.

    Raises DataError if a scene is in the training range.
    """
    require_split((scene.seed for scene in scenes), "val", "test")
    index = SceneIndex(scenes)
    found = [(row, captions[0]) for row in range(len(scenes)) if (captions := scene_captions(index, row, unique=True))]
    right = torch.tensor([row for row, _ in found])
    unseen = torch.tensor([names_unseen_pair(scenes[row], caption) for row, caption in found])
    mixed = TokenStates.joined([states, emoji])
    all_pictures = embed_all(model, mixed)
    pictures = all_pictures[: len(states)]
    rows: list[Row] = []
    for code in languages:
        captions = [grammar(code).caption(caption) for _, caption in found]
        texts = read_texts(model, captions, [code if code in model.languages else AUTO] * len(found))
        vectors = embed_all(model, texts)
        to_image, _ = retrieve(vectors, pictures, CANDIDATES)
        to_text, _ = retrieve(pictures[right], vectors, CANDIDATES)
        to_mixed, _ = retrieve(vectors, all_pictures, CANDIDATES)
        own = torch.arange(len(found))
        systems = [("twin", to_image, to_text, to_mixed)]
        if "match" in model.tasks:
            coop_to_image = rerank(model, texts, states, to_image, queries_are_text=True)
            coop_to_mixed = rerank(model, texts, mixed, to_mixed, queries_are_text=True)
            coop_to_text = rerank(model, states[right], texts, to_text, queries_are_text=False)
            systems.append(("coop", coop_to_image, coop_to_text, coop_to_mixed))
        for system, image, text, among_emoji in systems:
            rows.append(
                {
                    "system": system,
                    "language": code,
                    "queries": len(found),
                    "pool": len(scenes),
                    "text_to_image": _recalls(image, right),
                    "image_to_text": _recalls(text, own),
                    "text_to_image_among_emoji": _recalls(among_emoji, right),
                    "text_to_image_R@1_seen_pairs": round(_part(image, ~unseen).recall(right[~unseen], 1), 2),
                    "text_to_image_R@1_unseen_pairs": round(_part(image, unseen).recall(right[unseen], 1), 2),
                    "queries_with_unseen_pairs": int(unseen.sum()),
                }
            )
    return rows


def answer_rows(
    model: CutModel,
    scenes: Sequence[Scene],
    states: TokenStates,
    languages: Sequence[str],
    with_controls: bool = True,
) -> list[Row]:
    """Returns the percentage of exact answers, by type, and that of three controls: a blank picture, another scene's
    picture, and the most frequent answer of each template.

    with_controls: whether the controls are measured.

    Raises DataError if a scene is in the training range.
    """
    require_split((scene.seed for scene in scenes), "val", "test")
    asked = [(row, question, answer) for row, scene in enumerate(scenes) for question, answer in scene_questions(scene)]
    pictures = torch.tensor([row for row, _, _ in asked])
    rows: list[Row] = []
    for code in languages:
        questions = [
            Question(Path(str(row)), grammar(code).say(one), answer, code, "test", str(number), _types(one))
            for number, (row, one, answer) in enumerate(asked)
        ]
        of_template = [replace(one, types=Types(one.types.detailed)) for one in questions]
        controls: dict[str, tuple[str, ...] | None] = {}
        if with_controls:
            said, controls["blank"], controls["shuffled"] = answers_about(model, questions, states, pictures)
            controls["most_frequent"] = most_frequent(of_template, of_template)
        else:
            (said,) = answers_beside(model, questions, [(states, pictures)])
        (own,), (by_template,) = scores_by_language(questions, said), scores_by_language(of_template, said)
        rows.append(
            {
                "system": "answer",
                "language": code,
                "questions": len(asked),
                "accuracy": round(own.accuracy, 2),
                "controls": {
                    name: round(scores_by_language(questions, given)[0].accuracy, 2)
                    for name, given in controls.items()
                    if given is not None
                },
                "by_structural": _rounded(own.by("structural")),
                "by_semantic": _rounded(own.by("semantic")),
                "by_template": _rounded(by_template.by("structural")),
                "questions_by_template": dict(sorted(Counter(type(one).__name__ for _, one, _ in asked).items())),
            }
        )
    return rows


def _types(question: m.Question) -> Types:
    return Types(question.structural, question.semantic, type(question).__name__)


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in figures.items()}


def _recalls(ranking: Ranking, right: Tensor) -> dict[str, float]:
    return {f"R@{at}": round(ranking.recall(right, at), 2) for at in (1, 5, 10)}


def _part(ranking: Ranking, rows: Tensor) -> Ranking:
    return Ranking(ranking.order[rows])
