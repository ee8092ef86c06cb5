"""Models: what there is to know about one, and published checkpoints made into models of our own."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from polyglance.cli.options import Json
from polyglance.cli.output import console, one_line, print_json, table

app = typer.Typer(help="Look at a model, or import a published checkpoint.", no_args_is_help=True)


@app.callback()
def models() -> None: ...


@app.command()
def info(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A bundled model's name or a model's folder.")] = (
        "scenes-mini"
    ),
    as_json: Json = False,
) -> None:
    """Show a model's fingerprint, tasks, languages, sizes and answers.

    \b
    Example:
      polyglance model info scenes-mini
    """
    from polyglance.models import load_model

    model = load_model(name)
    facts = {
        "name": model.name,
        "fingerprint": model.fingerprint,
        "tasks": list(model.tasks),
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


@app.command("import")
def import_model(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A folder as the hub keeps it, or a name on the hub.")
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the model is put: a new or an empty folder.")],
    first_joint_layer: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Layers that read texts and pictures apart; 0: the original as it is. [default: half of them]",
        ),
    ] = None,
    kept_grid: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Keep N x N image tokens of a picture, by a compression still to be trained; 0 keeps all as they are. "
            "[default: 0; 4 for a text body]",
        ),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE", help="A language that it reads; may be repeated. [default: en; XLM-R: the demo's]"
        ),
    ] = None,
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="Draw weights that are missing, pass over those that are left.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a model of a published BERT, RoBERTa, XLM-R, VisualBERT, OSCAR, VinVL or ViLT.

    The lower layers of the original become those of texts and those of pictures, its upper layers the joint layers.
    What the original cannot do yet is then trained: train retrieval, train vqa. Weights are read from safetensors
    alone.

    \b
    Example:
      polyglance model import dandelin/vilt-b32-finetuned-vqa --output my-vilt --first-joint-layer 0
    """
    from polyglance.models.conversion import import_checkpoint

    report = import_checkpoint(checkpoint, output, first_joint_layer, kept_grid, language or (), allow_mismatch)
    if as_json:
        print_json(asdict(report))
        return
    shown = table("", "")
    shown.show_header = False
    for fact, value in asdict(report).items():
        if value not in ((), ""):
            shown.add_row(
                fact.replace("_", " "), one_line(", ".join(value) if isinstance(value, tuple) else str(value))
            )
    console().print(shown)
