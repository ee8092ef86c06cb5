"""What there is to know about a model."""

from typing import Annotated

import typer

from polyglance.cli.options import Json
from polyglance.cli.output import console, one_line, print_json, table

app = typer.Typer(help="What there is to know about a model.", no_args_is_help=True)


@app.callback()
def models() -> None: ...


@app.command()
def info(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A bundled model's name or a model's folder.")] = (
        "scenes-mini"
    ),
    as_json: Json = False,
) -> None:
    """Show a model's fingerprint, languages, sizes and answers.

    \b
    Example:
      polyglance model info scenes-mini
    """
    from polyglance.models import load_model

    model = load_model(name)
    facts = {
        "name": model.name,
        "fingerprint": model.fingerprint,
        "languages": list(model.languages),
        "embedding_dim": model.embedding_dim,
        "answers": list(model.answers),
    }
    if as_json:
        print_json(facts)
        return
    shown = table("", "")
    for fact, value in facts.items():
        shown.add_row(fact, one_line(", ".join(value) if isinstance(value, list) else str(value)))
    shown.show_header = False
    console().print(shown)
