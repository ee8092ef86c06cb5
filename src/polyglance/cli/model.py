"""Models: what there is to know about one, published checkpoints made into models of our own, and faster ones."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyglance.cli.options import Json, codes
from polyglance.cli.output import console, one_line, print_json, progress, stages, table
from polyglance.models import BUNDLED

if TYPE_CHECKING:
    from polyglance.evaluation.exported import ExportReport
    from polyglance.models.families.dual_tower import DualTowerModel
    from polyglance.types import StageProgress

app = typer.Typer(help="Look at a model, import a published checkpoint, or make one faster.", no_args_is_help=True)


@app.callback()
def models() -> None: ...


def _show(facts: dict[str, Any]) -> None:
    """Prints one line for each fact that has a value."""
    shown = table("", "")
    shown.show_header = False
    for fact, value in facts.items():
        if value not in ((), "", None):
            told = ", ".join(value) if isinstance(value, list | tuple) else str(value)
            shown.add_row(fact.replace("_", " "), one_line(told))
    console().print(shown)


@app.command()
def info(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A model's name or folder.")] = BUNDLED,
    as_json: Json = False,
) -> None:
    """Show a model's fingerprint, tasks, languages, sizes and answers, and the dtype and instructions it uses here.

    \b
    Example:
      polyglance model info google/siglip2-base-patch16-256
    """
    from polyglance.kernels.processor import instruction_set, native_dtype
    from polyglance.models import load_model
    from polyglance.models.protocol import Answerer, Embedder

    model = load_model(name)
    facts = {
        "name": model.name,
        "fingerprint": model.fingerprint,
        "tasks": list(model.tasks),
        "languages": list(model.languages),
        "embedding_dim": model.embedding_dim if isinstance(model, Embedder) else 0,
        "answers": list(model.answers) if isinstance(model, Answerer) else [],
        "dtype": str(native_dtype()).removeprefix("torch."),
        "instruction_set": instruction_set(),
    }
    if as_json:
        print_json(facts)
        return
    _show(facts)


@app.command("import")
def import_model(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="A folder in the hub's layout, or a name on the hub.")
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the model is put: a new or an empty folder.")],
    first_joint_layer: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Number of layers that read texts and pictures separately; 0: as in the original. [default: half]",
        ),
    ] = None,
    kept_grid: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Keep N x N image tokens of a picture, by a compression that is still untrained; 0: keep all. "
            "[default: 0; 4 for a text body]",
        ),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            callback=codes,
            help="A language that the model reads; repeatable. "
            "[default: en; the demo's for XLM-R and for more than 100,000 subwords]",
        ),
    ] = None,
    allow_mismatch: Annotated[
        bool,
        typer.Option("--allow-mismatch", help="Draw missing weights at random and ignore weights that are left over."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Convert a published BERT, RoBERTa, XLM-R, VisualBERT, OSCAR, VinVL or ViLT to a model.

    The lower layers of the original become the layers of texts and of pictures, and its upper layers become the joint
    layers. Train what the original cannot do with `train retrieval` and `train vqa`. Weights are only read from
    safetensors. Towers and BLIP need no import; --allow-mismatch rewrites them if their weights do not fit.

    \b
    Example:
      polyglance model import dandelin/vilt-b32-finetuned-vqa --output my-vilt --first-joint-layer 0
    """
    from polyglance.models.importing.conversion import import_checkpoint

    report = import_checkpoint(checkpoint, output, first_joint_layer, kept_grid, language or (), allow_mismatch)
    if as_json:
        print_json(asdict(report))
        return
    _show(asdict(report))


@app.command()
def compose(
    images: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A ViT, DINOv2, ConvNeXt or Swin of transformers, or a network of timm: a folder, or its hub name.",
        ),
    ],
    texts: Annotated[
        str,
        typer.Option(metavar="NAME", help="A BERT, RoBERTa or XLM-R, such as one of sentence-transformers, likewise."),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the model is put: a new or an empty folder.")],
    joint_layers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Number of joint layers. [default: half of the text encoder's layers, at most 4]"
        ),
    ] = None,
    kept_grid: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Keep N x N image tokens of a picture. [default: 4]"),
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            callback=codes,
            help="A language that the text encoder reads; repeatable. [default: en; all for a large vocabulary]",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a model of an image network and a text encoder that were trained apart.

    The joint layers begin as the upper layers of the text encoder, which makes a multilingual model of a multilingual
    one. If the image network has a classifier, the names of its classes let the model search at once; without one,
    train it first. Train projections and joint layers with `train retrieval`; the networks stay as they are, or get
    adapters. Networks of timm need `pip install 'polyglance[timm]'`.

    \b
    Example:
      polyglance model compose --images timm/tf_efficientnet_lite2.in1k \\
        --texts sentence-transformers/all-MiniLM-L6-v2 --output composed
    """
    from polyglance.models.importing.composing import compose as composed

    with progress("reading the classes' names") as told:
        report = composed(images, texts, output, joint_layers, kept_grid, tuple(language or ()), told)
    if as_json:
        print_json(asdict(report))
        return
    _show(asdict(report))


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model of two towers: a folder, or a checkpoint's name on the hub.")
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where the model is put: a new or an empty folder.")],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Pictures such as will be indexed: the export is fitted to some of them and compared on others.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make indexing faster with a model whose image tower computes in 8-bit integers, by OpenVINO.

    The command compares the model with the original on pictures and captions that it makes, and keeps it only if its
    vectors are near the original's and its searches find as much. A library of one model cannot be used with the other.
    Needs `pip install 'polyglance[openvino]'`.

    \b
    Example:
      polyglance model export google/siglip2-base-patch16-256 --output fast --images ~/Pictures
    """
    from polyglance.errors import CheckpointError

    with stages() as report:
        done = export_compared(model, output, images, report=report)
    if as_json:
        print_json({**asdict(done), "refusal": done.refusal})
    if done.refusal:
        raise CheckpointError(done.refusal)
    if not as_json:
        _show(asdict(done))


def export_compared(
    name: str,
    output: Path,
    images: Path | None = None,
    scenes: int | None = None,
    report: "StageProgress | None" = None,
) -> "ExportReport":
    """Writes the model in 8-bit integers to `output`, unless the returned report says why it is refused.

    images: a folder of pictures for calibration and comparison, in addition to scenes. scenes: the number of scenes for
    the comparison.
    """
    from polyglance.evaluation.exported import SCENES, calibration_pictures, compare, parted
    from polyglance.models import load_model
    from polyglance.models.importing.conversion import require_empty
    from polyglance.models.openvino.export import export_int8, exportable

    require_empty(output)
    original = exportable(load_model(name))
    calibrating, held_out = parted(images) if images else ([], [])
    compared: list[ExportReport] = []

    def accepted(export: "DualTowerModel") -> bool:
        compared.append(compare(original, export, scenes or SCENES, held_out, report))
        return not compared[0].refusal

    told = (lambda done, total: report("calibration", done, total, {})) if report else None
    export_int8(original, output, calibration_pictures(calibrating), accepted, told)
    return compared[0]
