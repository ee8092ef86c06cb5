"""The commands on the scene world."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from polyglance.cli.options import Json
from polyglance.cli.output import one_line, print_json, progress
from polyglance.languages import DEMO_LANGUAGES

app = typer.Typer(help="Make pictures of the scene world.", no_args_is_help=True)


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
