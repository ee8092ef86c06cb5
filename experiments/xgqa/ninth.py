"""Adds a ninth language to the bundled model with the command for users."""

import json
import subprocess
import sys
from pathlib import Path

from experiments.results import Row
from experiments.xgqa.bodies import NINTH, World
from experiments.xgqa.measures import answers, recall
from experiments.xgqa.ways import translations
from polyglance.models import load_model
from polyglance.models.families.cut_model import CutModel


def ninth_rows(world: World) -> list[Row]:
    """Measures French, learned from sentences alone and with translations, and English for comparison."""
    folder = (world.folder / f"ninth-{world.seed}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "french.txt").write_text("".join(f"{one}\n" for one in world.sentences(NINTH)), encoding="utf-8")
    pairs = ({one.language: one.known, NINTH: one.sentence} for one in translations(world, NINTH))
    lines = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
    (folder / "pairs.jsonl").write_text(lines, encoding="utf-8")
    english = load_model()
    rows: list[Row] = [_measured(world, english, "en", "what the model began with", {})]
    for name, more in (("sentences", ()), ("translations", ("--translations", "pairs.jsonl"))):
        learned = _command(world, folder, name, more)
        model = load_model(str(folder / name))
        rows.append(_measured(world, model, NINTH, name, learned))
    return rows


def _command(world: World, folder: Path, output: str, more: tuple[str, ...]) -> Row:
    command = ["train", "language", "--language", NINTH, "--corpus", "french.txt", "--output", output, *more, "--json"]
    command += ["--epochs", str(world.settings.epochs), "--steps", str(world.settings.meaning_steps)]
    ended = subprocess.run(
        [sys.executable, "-m", "polyglance", *command], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    )
    learned: Row = json.loads(ended.stdout)
    return {name: learned[name] for name in ("sentences", "translations", "subwords", "perplexity", "minutes", "bytes")}


def _measured(world: World, model: CutModel, code: str, way: str, learned: Row) -> Row:
    found = {**answers(model, world, code), **recall(model, world, code, matches=True)}
    return {"part": "ninth", "way": way, "language": code, "seed": world.seed, **learned, **found}
