"""The commands on the scene world: make pictures of it, train the bundled model on it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from polyglance.cli.options import Json, Seed
from polyglance.cli.output import one_line, print_json, progress, stages
from polyglance.languages import DEMO_LANGUAGES
from polyglance.models import BUNDLED

app = typer.Typer(help="Make pictures of the scene world, or train on it.", no_args_is_help=True)


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder; created if missing.")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="Number of pictures.")] = 100,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, metavar="S", help="The same seed gives the same pictures anywhere.")
    ] = 0,
    languages: Annotated[str, typer.Option(metavar="CODES", help="Languages of the text, with commas between.")] = (
        ",".join(DEMO_LANGUAGES)
    ),
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="The seed range to draw from.")] = "train",
    unique: Annotated[bool, typer.Option("--unique", help="Only captions that exactly one picture satisfies.")] = False,
    as_json: Json = False,
) -> None:
    """Make pictures with captions.jsonl, questions.jsonl and scene_graphs.json (GQA's form).

    \b
    Example:
      polyglance scenes make my-scenes --count 500 --seed 7 --languages en,ko
    """
    from polyglance.scenes.make import make_scenes
    from polyglance.scenes.sampling import FIRST_SEED, split_of

    first = FIRST_SEED[split] + seed
    if split_of(first) != split:
        raise typer.BadParameter(f"--seed {seed} is beyond the seeds of the split {split}: choose a smaller one")

    codes = [code.strip() for code in languages.split(",")]
    with progress("Drawing scenes") as tick:
        made = make_scenes(folder, count, first, codes, unique, tick)
    if as_json:
        print_json({"folder": str(folder), **made})
    else:
        counts = ", ".join(f"{number} {what}" for what, number in made.items())
        print(f"{counts} in {one_line(str(folder))}")


@app.command()
def train(
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the run; the model is written to DIR/model.")
    ] = Path("runs", BUNDLED),
    seed: Seed = 0,
    start: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Go on from this model instead of from nothing.")
    ] = None,
    tasks_alone: Annotated[
        bool, typer.Option("--tasks-alone", help="With --from: train the tasks' adapters in it, and nothing else.")
    ] = False,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Device to compute on.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Train the bundled model from scratch. Run the same command again to resume a stopped run.

    The losses of every step are written to DIR, as one file of JSON lines for each stage.

    \b
    Example:
      polyglance scenes train --device cuda
    """
    from polyglance.models import load_single_stream
    from polyglance.pretraining.recipe import ScenesMiniSettings, train_scenes_mini

    with stages() as report:
        train_scenes_mini(
            ScenesMiniSettings(seed=seed, device=device),
            output,
            report,
            load_single_stream(start) if start else None,
            tasks_alone,
        )
    if as_json:
        print_json({"folder": str(output / "model")})
    else:
        print(f"the model is in {one_line(str(output / 'model'))}")
