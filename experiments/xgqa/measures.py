"""Measures the answers and searches of a model in one language, on the pictures of one split."""

import torch

from experiments.results import Row
from experiments.scenes import CANDIDATES, answer_rows
from experiments.splits import require_split
from experiments.xgqa.bodies import World
from experiments.xgqa.corpora import unique_captions
from polyglance.evaluation.retrieval import rerank, retrieve
from polyglance.models.families.cut_model import CutModel
from polyglance.models.reading import embed_all, read_texts
from polyglance.scenes.grammar import grammar


def answers(model: CutModel, world: World, code: str, with_controls: bool = True) -> Row:
    """Returns the accuracy, by type, and three controls."""
    (row,) = answer_rows(model, world.measured_scenes, world.measured_states, [code], with_controls)
    names = ("questions", "accuracy", *(("controls",) if with_controls else ()), "by_structural", "by_semantic")
    return {name: row[name] for name in names}


def recall(model: CutModel, world: World, code: str, matches: bool) -> Row:
    """Returns R@1 of text to image by the twin encoder and, if the model matches, of the reranked candidates.

    Raises DataError if a scene is in the training range.
    """
    scenes = world.measured_scenes
    require_split((scene.seed for scene in scenes), "val", "test")
    asked = unique_captions(scenes)
    right = torch.tensor([row for row, _ in asked])
    texts = read_texts(model, [grammar(code).caption(said) for _, said in asked], [code] * len(asked))
    found, _ = retrieve(embed_all(model, texts), embed_all(model, world.measured_states), CANDIDATES)
    row: Row = {"queries": len(asked), "twin_R@1": round(found.recall(right, 1), 2)}
    if matches:
        reranked = rerank(model, texts, world.measured_states, found, queries_are_text=True)
        row["coop_R@1"] = round(reranked.recall(right, 1), 2)
    return row
