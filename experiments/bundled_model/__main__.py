"""Trains the bundled model from nothing, and writes it packed, beside its losses (`losses.png`).

    python -m experiments.bundled_model [--output FOLDER] [--small]

`python -m experiments.weights` and `python -m experiments.pictures` fetch what it is trained on first. A stopped run
goes on where it was. `--small` runs every stage for a few steps on a few pictures.
"""

import argparse
import sys
from pathlib import Path

from experiments.bundled_model.joint_batches import Counts
from experiments.bundled_model.recipe import FOUR_BITS, STAGES, Settings, train
from experiments.results import open_folder
from polyglance.cli.output import stages
from polyglance.errors import PolyglanceError
from polyglance.models.checkpoint import save_model
from polyglance.training.curves import try_plot_losses

SMALL = Settings(
    vocabulary=6_000,
    photo_captions=200,
    scene_lessons=100,
    words=120,
    scenes=100,
    few=6,
    text_steps=4,
    texts=32,
    picture_steps=3,
    shape_steps=2,
    pictures=(8, 6, 4),
    joint_steps=3,
    task_steps=2,
    answer_steps=2,
    counts=Counts(captions=12, emoji=6, clip_art=4, lessons=8, questions=12, unknown=3),
    measured=(20, 4),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="[default: runs/polyglance-mini, with --small another]")
    parser.add_argument("--small", action="store_true", help="a few steps of each stage, to see that it runs")
    arguments = parser.parse_args()
    folder = arguments.output or Path(f"runs/polyglance-mini{'-small' if arguments.small else ''}")
    settings = SMALL if arguments.small else Settings()
    try:
        open_folder(folder, settings)
        with stages() as report:
            model = train(settings, folder, report)
        save_model(model, folder / "model", packed=FOUR_BITS)
        if reason := try_plot_losses(folder, STAGES):
            print(f"warning: {reason}", file=sys.stderr)
    except PolyglanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {folder / 'model'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
