"""Adds a ninth language to the bundled model with the command for users."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.results import Row
from experiments.xgqa.bodies import World
from experiments.xgqa.corpora import NINTH, SOURCE_LANGUAGE
from experiments.xgqa.measures import answers, recall
from experiments.xgqa.ways import Way, translations
from polyglance.models import load_model
from polyglance.models.families.cut_model import CutModel

NINTH_WAYS: Mapping[str, Sequence[str]] = {
    "captions": ("captions",),
    "translations": ("captions", "--translations", "captions.jsonl"),
    "translations with questions": ("questions", "--translations", "questions.jsonl"),
}
"""For each way, the name of its corpus, and what else the command gets."""


def ninth_rows(world: World) -> list[Row]:
    """Measures French and, for comparison, English: learned from captions alone, with translations, and with questions
    among both."""
    folder = (world.folder / f"ninth-{world.seed}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for source in ("captions", "questions"):
        way = Way(source, translated=True, questions=source == "questions")
        sentences = world.sentences(NINTH, way.questions)
        (folder / f"{source}.txt").write_text("".join(f"{one}\n" for one in sentences), encoding="utf-8")
        pairs = ({one.language: one.known, NINTH: one.sentence} for one in translations(world, NINTH, way))
        lines = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
        (folder / f"{source}.jsonl").write_text(lines, encoding="utf-8")
    rows: list[Row] = [_measured(world, load_model(), SOURCE_LANGUAGE, "what the model began with", {})]
    for name, (source, *options) in NINTH_WAYS.items():
        learned = _command(world, folder, name, ["--corpus", f"{source}.txt", *options])
        rows.append(_measured(world, load_model(str(folder / name)), NINTH, name, learned))
    return rows


def _command(world: World, folder: Path, output: str, options: Sequence[str]) -> Row:
    command = ["train", "language", "--language", NINTH, "--output", output, *options, "--json"]
    command += ["--epochs", str(world.settings.epochs), "--steps", str(world.settings.meaning_steps)]
    ended = subprocess.run(
        [sys.executable, "-m", "polyglance", *command], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    )
    learned: Row = json.loads(ended.stdout)
    return {name: learned[name] for name in ("sentences", "translations", "subwords", "perplexity", "minutes", "bytes")}


def _measured(world: World, model: CutModel, code: str, way: str, learned: Row) -> Row:
    found = {**answers(model, world, code), **recall(model, world, code, matches=True)}
    named = {"part": "ninth", "way": way, "language": code, "seed": world.seed, "split": world.split}
    return {**named, **learned, **found}
