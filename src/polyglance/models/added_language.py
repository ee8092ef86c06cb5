"""Languages that are added to a finished model, with their own subwords, embeddings and text adapters.

A language is a folder:

    language.json         format, code, model, fingerprint, vocabulary (null: the model's own subwords), scores
    language.safetensors  its embeddings and the head that predicts them, bfloat16
    tokenizer.json        its own subwords, if it has any
    adapter.*             its adapter in the text layers and at the embeddings, if it has one

An added language does not change how pictures are read. A library stays valid when its model learns a language.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from polyglance.adapters.checkpoint import load_adapter, require_finite, save_adapter
from polyglance.adapters.modules import Adapter
from polyglance.atomic import whole_files
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import CheckpointError
from polyglance.nn.token_head import TokenHead
from polyglance.one_save import require_one_save, save_weights

if TYPE_CHECKING:
    from polyglance.models.descriptions import LanguageDescription

FORMAT: Final = 1
FILE: Final = "language.json"


class Language(nn.Module):
    """The weights of one added language.

    code: the language's code. width: the width of the model. tokenizer: the language's own subwords, with which it gets
    an embedding (vocabulary, width) and a head; None if it uses the model's subwords. adapter: the adapter in the text
    layers, with an invertible adapter at the embeddings if its configuration says so (MAD-X, arXiv:2005.00052).
    """

    def __init__(self, code: str, width: int, tokenizer: Tokenizer | None, adapter: Adapter | None) -> None:
        super().__init__()
        self.code, self.tokenizer, self.adapter = code, tokenizer, adapter
        self.embedding = nn.Embedding(tokenizer.vocabulary, width) if tokenizer else None
        self.head = TokenHead(width, tokenizer.vocabulary) if tokenizer else None
        if self.embedding:
            nn.init.normal_(self.embedding.weight, std=0.02)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the subwords and weights at first access, 16 hexadecimal digits."""
        found = sha256((self.tokenizer.to_json() if self.tokenizer else "").encode())
        for name, value in sorted(self.state_dict().items()):
            found.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class LanguageFacts:
    """The facts that are stored with a language's weights.

    model: the name or folder that loads the model that the language was added to. fingerprint: the fingerprint of that
    model. scores: the scores of the training.
    """

    model: str
    fingerprint: str
    scores: Mapping[str, Any]


def save_language(language: Language, folder: Path, facts: LanguageFacts) -> None:
    """Writes the files of a language. Raises CheckpointError if a weight is not finite."""
    weights = {
        name: value.detach().to("cpu", torch.float32)
        for name, value in language.state_dict().items()
        if not name.startswith("adapter.")
    }
    require_finite(folder / "language.safetensors", weights)
    description = {
        "format": FORMAT,
        "code": language.code,
        "model": facts.model,
        "fingerprint": facts.fingerprint,
        "vocabulary": language.tokenizer.vocabulary if language.tokenizer else None,
        "scores": facts.scores,
    }
    with whole_files(folder) as draft:
        if language.adapter:
            save_adapter(language.adapter, draft, language.code)
        if language.tokenizer:
            language.tokenizer.save(draft / "tokenizer.json")
        (draft / FILE).write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        halved = {name: value.to(torch.bfloat16) for name, value in weights.items()}
        save_weights(halved, draft / "language.safetensors")


def load_facts(folder: Path) -> tuple[str, LanguageFacts]:
    """Returns the code and the facts of a language that `save_language` wrote.

    Raises:
        CheckpointError: the folder holds no language.
    """
    description = _description(folder)
    return description.code, LanguageFacts(description.model, description.fingerprint, description.scores)


def load_language(folder: Path, width: int, layers: int) -> Language:
    """Loads a language that `save_language` wrote.

    width: the width of the model. layers: the number of its text layers.

    Raises:
        CheckpointError: files are missing, torn, or do not fit each other or the model.
    """
    description = _description(folder)
    own = description.vocabulary is not None
    tokenizer = Tokenizer.load(folder / "tokenizer.json") if own else None
    if tokenizer and tokenizer.vocabulary != description.vocabulary:
        raise CheckpointError(
            f"{folder / 'tokenizer.json'}: expected {description.vocabulary} subwords, got {tokenizer.vocabulary}; "
            "copy the language's folder again"
        )
    adapter = load_adapter(folder, width, layers).adapter if (folder / "adapter.json").exists() else None
    language = Language(description.code, width, tokenizer, None)
    path = folder / "language.safetensors"
    try:
        require_one_save(path)
        weights = {name: value.float() for name, value in load_file(path).items()}
        language.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} cannot be used: {reason}; copy the language's folder again") from error
    require_finite(path, weights)
    language.adapter = adapter
    language.fingerprint = fingerprint_of(folder)
    return language


def fingerprint_of(folder: Path) -> str:
    """Returns a hash of the files that a language reads texts with, 16 hexadecimal digits."""
    found = sha256()
    for name in ("language.safetensors", "tokenizer.json", "adapter.json", "adapter.safetensors"):
        if (path := folder / name).exists():
            found.update(name.encode() + path.read_bytes())
    return found.hexdigest()[:16]


def _description(folder: Path) -> "LanguageDescription":
    # Searches import this module, and few of them load an added language
    from polyglance.data.forms import described
    from polyglance.models.descriptions import LanguageDescription

    path = folder / FILE
    try:
        return described(LanguageDescription, path.read_text(encoding="utf-8"), FORMAT)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"{folder} holds no language: expected a file {FILE} in it") from error
    except ValueError as error:
        raise CheckpointError(f"{path} does not describe a language: {error}") from error
