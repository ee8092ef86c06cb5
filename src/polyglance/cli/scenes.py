"""The commands on the scene world: make pictures of it, train the bundled model on it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from polyglance.cli.options import Json
from polyglance.cli.output import one_line, print_json, progress
from polyglance.languages import DEMO_LANGUAGES

app = typer.Typer(help="Make pictures of the scene world, or train on it.", no_args_is_help=True)


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made when it is missing.")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many pictures.")] = 100,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="The same seed gives the same pictures anywhere.")] = 0,
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

    codes = [code.strip() for code in languages.split(",")]
    with progress("Drawing", "scenes") as tick:
        make_scenes(folder, count, seed=seed, split=split, languages=codes, unique=unique, progress=tick)
    if as_json:
        print_json({"folder": str(folder), "pictures": count})
    else:
        print(f"{count} pictures in {one_line(str(folder))}")
