"""Converts published checkpoints to single-stream models, which can be searched, asked and trained like any other.

The lower layers of the original become the layers of each modality, and its upper layers become the joint layers. With
`first_joint_layer` 0 and all image tokens kept, no layer reads one modality alone, and the model computes what the
original computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from polyglance.data.tokenization import Tokenizer
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.languages import DEMO_LANGUAGES, MANY_SUBWORDS
from polyglance.models import load_model
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.single_stream import SingleStreamConfig, SingleStreamModel
from polyglance.models.huggingface.download import DESCRIPTION, checkpoint_folder, read_json, read_weights
from polyglance.models.importing.layouts import Original, read_original
from polyglance.models.importing.repair import MENDED, write_what_fits
from polyglance.models.protocol import Answerer
from polyglance.types import Task

EMBEDDING_DIM: Final = 256
_TOKENIZERS: Final = {"roberta": "RobertaTokenizer", "xlm-roberta": "XLMRobertaTokenizer"}


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    kind: the kind of the original. tasks, languages: of the model. answers: the number of answers. missing, left_over:
    the weights of the body that did not fit, which `allow_mismatch` permitted. The other fields describe a
    single-stream model. sight: the form in which pictures come in. layers: the number of all layers. first_joint_layer:
    the first layer that reads both modalities. fresh: the parts that the original does not have; they are drawn at
    random. left_aside: the weights of heads that are not used.
    """

    name: str
    fingerprint: str
    kind: str
    tasks: tuple[Task, ...]
    languages: tuple[str, ...]
    answers: int
    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    sight: str = ""
    layers: int | None = None
    first_joint_layer: int | None = None
    fresh: tuple[str, ...] = ()
    left_aside: tuple[str, ...] = ()


def import_checkpoint(
    checkpoint: str,
    output: Path,
    first_joint_layer: int | None = None,
    kept_grid: int | None = None,
    languages: Sequence[str] = (),
    allow_mismatch: bool = False,
) -> ImportReport:
    """Converts a checkpoint to a model in a folder.

    Checkpoints of towers and of BLIP are used as they are published. They are only rewritten if their weights do not
    fit and `allow_mismatch` is set.

    Args:
        checkpoint: a folder or a name on the hub.
        output: the folder to write, which must be empty or missing.
        first_joint_layer: the first layer that reads both modalities; None means half of the layers.
        kept_grid: the number of image tokens per side that the compression at the cut keeps. The compression is still
            untrained. 0 keeps all tokens; None means 4 for a text body, else 0.
        languages: the codes of the languages that the model reads. If empty, these are the project's eight for XLM-R
            and for a vocabulary of more than 100,000 subwords, else English.
        allow_mismatch: whether to draw missing weights of the body at random and to ignore weights that are left over.

    Raises:
        ConfigurationError: there is no such checkpoint, the output is not empty, a number does not fit, or the
            checkpoint is used as it is published.
        CheckpointError: the kind of the checkpoint is unknown, its files are missing or torn, its weights do not fit
            its description, or its tokenizer does not fit its weights.
    """
    require_empty(output)
    folder = checkpoint_folder(checkpoint)
    if (kind := read_json(folder, DESCRIPTION).get("model_type")) in MENDED:
        if not allow_mismatch or first_joint_layer is not None or kept_grid is not None or languages:
            raise ConfigurationError(
                f"{checkpoint} is a {kind}, which is used as it is published: name it as --model; "
                "--allow-mismatch alone writes it anew with the weights that fit"
            )
        return _mended(kind, folder, output)
    report = _convert(checkpoint, output, first_joint_layer, kept_grid, tuple(languages), allow_mismatch)
    return replace(report, fingerprint=load_folder(output).fingerprint)


def _mended(kind: str, folder: Path, output: Path) -> ImportReport:
    wrong = write_what_fits(folder, output)
    model = load_model(str(output))
    return ImportReport(
        name=model.name,
        fingerprint=model.fingerprint,
        kind=kind,
        tasks=model.tasks,
        languages=model.languages,
        answers=len(model.answers) if isinstance(model, Answerer) else 0,
        missing=(*wrong["missing"], *wrong["of another shape"]),
        left_over=tuple(wrong["left over"]),
    )


def require_empty(folder: Path) -> None:
    """Raises ConfigurationError if the folder exists and is not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"expected a new or an empty folder to write to, {folder} is neither")


def _convert(
    checkpoint: str,
    output: Path,
    first_joint_layer: int | None,
    kept_grid: int | None,
    languages: tuple[str, ...],
    allow_mismatch: bool,
) -> ImportReport:
    folder = checkpoint_folder(checkpoint)
    settings, weights = read_json(folder, DESCRIPTION), read_weights(folder)
    try:
        original = read_original(settings, _preprocessing(folder), weights, first_joint_layer)
    except ConfigurationError as error:
        raise CheckpointError(f"{checkpoint} cannot be imported: {error}") from error
    lost = sorted(original.names - weights.keys())
    spare, heads = original.left_over(weights.keys())
    if (lost or spare) and not allow_mismatch:
        raise CheckpointError(
            f"the weights of {checkpoint} do not fit its config.json: missing {_list(lost)}; left over {_list(spare)}; "
            "get the files again, or allow a mismatch to draw what is missing and pass over what is left"
        )
    tokenizer = _tokenizer(folder, original.kind)
    if tokenizer.vocabulary > original.fields["vocabulary"]:
        raise CheckpointError(
            f"the tokenizer of {checkpoint} does not fit its weights: its ids go up to {tokenizer.vocabulary - 1}, and "
            f"there are {original.fields['vocabulary']} embeddings; take the tokenizer that it was trained with"
        )
    config = _config(original, kept_grid, languages or _languages(original))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SingleStreamModel(config, tokenizer, output.resolve().name)
    found = _made(checkpoint, model, original, weights)
    model.load_state_dict(found, strict=False)
    settled = _settle(model)
    dtypes = {weights[name].dtype for name in original.names & weights.keys()}
    save_model(model, output, dtypes.pop() if len(dtypes) == 1 else torch.float32)
    fresh = {name.split(".")[0] for name, value in model.named_parameters() if name not in found and value.numel()}
    return ImportReport(
        name=model.name,
        fingerprint="",
        kind=original.kind,
        sight=config.sight,
        layers=config.layers,
        first_joint_layer=config.first_joint_layer,
        tasks=config.tasks,
        languages=config.languages,
        answers=len(config.answers) if "answer" in config.tasks else 0,
        fresh=tuple(sorted(fresh - settled)),
        left_aside=tuple(heads),
        missing=tuple(lost),
        left_over=tuple(spare),
    )


def _languages(original: Original) -> tuple[str, ...]:
    many = original.kind == "xlm-roberta" or original.fields["vocabulary"] > MANY_SUBWORDS
    return DEMO_LANGUAGES if many else ("en",)


def _config(original: Original, kept_grid: int | None, languages: tuple[str, ...]) -> SingleStreamConfig:
    width, of_pixels = original.fields["width"], original.fields["sight"] == "convolutions"
    kept = (4 if of_pixels else 0) if kept_grid is None else kept_grid
    compressed = {"compression": "merge" if of_pixels else "queries", "kept_grid": kept, "state_width": 2 * width // 3}
    whole = {"compression": "none", "kept_grid": 0, "state_width": width}
    return SingleStreamConfig(
        languages=languages,
        embedding_dim=min(width, EMBEDDING_DIM),
        **(compressed if kept else whole),
        **original.fields,
    )


def _made(checkpoint: str, model: nn.Module, original: Original, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights that the original provides. Raises CheckpointError if one has another shape."""
    shapes, found = {name: value.shape for name, value in model.state_dict().items()}, {}
    for name, source in original.sources.items():
        if not all(published in weights for published in source.names):
            continue
        there = [weights[published].float() for published in source.names]
        try:
            found[name] = source.combine(*there)
        except (RuntimeError, IndexError):
            found[name] = torch.empty(0)
        if found[name].shape != shapes[name]:
            given = ", ".join(f"{published} {list(weights[published].shape)}" for published in source.names)
            raise CheckpointError(
                f"the weights of {checkpoint} do not fit its config.json: expected {list(shapes[name])} of {given}"
            )
    return found


@torch.no_grad()
def _settle(model: SingleStreamModel) -> set[str]:
    """Initialises the new parts so that they change nothing, and returns their names.

    States pass the cut unchanged, and the token of a task is the first token of a text.
    """
    nn.init.eye_(model.expand_text.weight)
    front = torch.from_numpy(model.tokenizer.encode([""], 2)[0][0, :1])
    model.task_token.weight.copy_(model.text_norm(model.token_embedding(front) + model.text_position.weight[:1]))
    if model.config.compression != "none":
        return {"task_token", "expand_text"}
    nn.init.eye_(model.expand_image.weight)
    return {"task_token", "expand_text", "expand_image", "kept_position"}


def _preprocessing(folder: Path) -> dict[str, Any]:
    """Returns the settings of the preprocessor; empty if the folder has none."""
    if (folder / "preprocessor_config.json").exists():
        return read_json(folder, "preprocessor_config.json")
    if (folder / "processor_config.json").exists():
        found = read_json(folder, "processor_config.json").get("image_processor")
        return found if isinstance(found, dict) else {}
    return {}


def _tokenizer(folder: Path, kind: str) -> Tokenizer:
    """Loads the tokenizer. Raises CheckpointError if there is no usable one."""
    if (folder / "tokenizer.json").exists():
        return Tokenizer.load(folder / "tokenizer.json")
    import transformers

    name = _TOKENIZERS.get(kind, "BertTokenizer")
    files = getattr(transformers, name).vocab_files_names.values()
    if not any((folder / file).exists() for file in files):
        raise CheckpointError(
            f"{folder} holds no tokenizer: expected {' or '.join(files)} in it; put that of the text model there with "
            "which the checkpoint began, such as bert-base-uncased"
        )
    try:
        read = getattr(transformers, name).from_pretrained(folder, local_files_only=True)
        return Tokenizer(read.backend_tokenizer)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise CheckpointError(f"the tokenizer in {folder} cannot be read: {error}") from error


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5]) or "nothing"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
