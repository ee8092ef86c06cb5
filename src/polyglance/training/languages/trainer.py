"""Adds a language to a trained model, from sentences and a few translations.

There are two stages, and the model itself does not change:

1. `tokens`: masked-language modelling on sentences of the language (embeddings alone: Artetxe et al., arXiv:1910.11856;
   with adapters: MAD-X, arXiv:2005.00052).
2. `meanings`: distillation from the translations, as by Reimers and Gurevych (arXiv:2004.09813): for a sentence in the
   new language the model learns to give the vector, the states for the joint layers, and the results of the joint
   layers on any picture that it gives for the translation into a language it knows. Subwords are trained through shared
   parts.
"""

import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.modules import Adapter
from polyglance.data.corpora import Translation
from polyglance.data.tokenization import Tokenizer
from polyglance.errors import ConfigurationError
from polyglance.kernels.processor import native_autocast
from polyglance.models.added_language import Language, LanguageFacts, save_language
from polyglance.models.families.single_stream import SingleStreamModel
from polyglance.models.protocol import TextBatch
from polyglance.nn.states import TokenStates
from polyglance.training.languages.subword_parts import through_parts
from polyglance.training.loop import Losses, Schedule, fit
from polyglance.training.seeds import check_seed, generator_of
from polyglance.training.starting_point import check_beginning
from polyglance.types import StageProgress, Task

_Item = TypeVar("_Item")

ADAPTER: Final = AdapterConfig(reduction_factor=2, invertible=True)
TOKENS, MEANINGS = "tokens", "meanings"
MASKED: Final = 0.15
HELD_OUT: Final = 500
"""The number of sentences on which perplexity is measured; at most a tenth of all."""
KEPT: Final = 2000
"""The most sentences in known languages whose outputs are kept for the second stage: with 64 tokens and a width of 384,
they take 200 MB."""
FIRST_STAGE: Final = ("tokenizer.json", "tokens-settings.json", "tokens.jsonl", "tokens.safetensors")
"""The files of the first stage in the folder of a training. Another training that begins with the same stage goes on
from a copy of the finished ones, and refuses those of another stage."""
_JOINED: Final[tuple[Task, ...]] = ("match", "answer")
"""The tasks whose results of the joint layers are learned."""
_LATER: Final = ("steps", "parts", "meaning_rate", "translations", "pictures")
"""The settings of the second stage alone."""


@dataclass(frozen=True)
class LanguageSettings:
    """The settings of learning a language.

    vocabulary: the most subwords of its own; 0 uses the model's. adapter: its configuration; None trains embeddings
    alone. epochs: over the sentences, in the first stage. steps: of the second stage. parts: the number of parts that
    subwords are trained through in the second stage (`through_parts`); 0 trains each subword alone. batch: sentences or
    translations per step. token_rate, meaning_rate: the learning rates of the two stages. seed: of all draws.

    Raises ConfigurationError if there is nothing to train.
    """

    vocabulary: int = 2000
    adapter: AdapterConfig | None = ADAPTER
    epochs: int = 3
    steps: int = 600
    parts: int = 500
    batch: int = 64
    token_rate: float = 2e-3
    meaning_rate: float = 8e-3
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if not self.vocabulary and self.adapter is None:
            raise ConfigurationError(
                "expected a vocabulary of its own, or an adapter, or both: nothing is to be trained"
            )


@dataclass(frozen=True)
class LanguageReport:
    """The result of learning a language.

    code: of the language. sentences, translations: their numbers. subwords: the language's own. perplexity: of masked
    subwords in held-out sentences, before and after the first stage. stages: the stages that were trained. minutes: the
    duration. bytes: the size of the language's files.
    """

    code: str
    sentences: int
    translations: int
    subwords: int
    perplexity: tuple[float, float]
    stages: tuple[str, ...]
    minutes: float
    bytes: int


def train_language(
    model: SingleStreamModel,
    source: str,
    code: str,
    corpus: Sequence[str],
    output: Path,
    settings: LanguageSettings,
    translations: Sequence[Translation] = (),
    pictures: TokenStates | None = None,
    report: StageProgress | None = None,
) -> LanguageReport:
    """Trains a language, adds it to the model and writes it to `output`.

    Logs and checkpoints are written to `output/training`; a killed run resumes from there.

    model: the model, which does not change otherwise. source: the name or path that loads the model. code: of the
    language. corpus: different sentences. output: the folder to write. translations: into languages of the model; the
    second stage is skipped if there are none. pictures: states of any pictures for the joint layers; without them these
    read texts alone. report: called with the progress.

    Raises:
        ConfigurationError: the model was built with this language, has no layers that read texts alone, the folder
            holds another training, or the model's own subwords are to be used and it has no head that predicts them.
        TrainingError: a loss is not finite; the last checkpoint is kept.
    """
    if code in model.config.languages:
        raise ConfigurationError(f"{model.name} began with the language {code!r}: there is nothing to add")
    if not model.config.first_joint_layer and settings.adapter:
        raise ConfigurationError(
            f"expected layers that read texts alone, in which a language's adapter acts, but {model.name} is cut below "
            "its first: import it anew with --first-joint-layer 1 or more"
        )
    started = time.monotonic()
    folder = output / "training"
    beginning = {
        **asdict(settings),
        "model": model.fingerprint,
        "corpus": _hash(corpus),
        "translations": _hash(translations),
        "pictures": len(pictures) if pictures else 0,
    }
    check_beginning(folder / "settings.json", beginning)
    first = {name: value for name, value in beginning.items() if name not in _LATER}
    check_beginning(folder / "tokens-settings.json", first)
    held_out = min(HELD_OUT, len(corpus) // 10)
    with frozen(model):
        language = new_language(model, code, corpus[held_out:], folder / "tokenizer.json", settings)
        tokens = TokenLosses(model, language, corpus[held_out:], settings)
        before = tokens.perplexity(corpus[:held_out])
        tokens.fit(folder, report)
        perplexity = (before, tokens.perplexity(corpus[:held_out]))
        if translations:
            with sharing(language, corpus[held_out:], settings.parts):
                MeaningLosses(model, language, translations, pictures, settings).fit(folder, report)
    scores = {"sentences": len(corpus), "translations": len(translations), "perplexity": perplexity}
    save_language(language, output, LanguageFacts(source, model.fingerprint, scores))
    model.add_language(language)
    return LanguageReport(
        code,
        len(corpus),
        len(translations),
        language.tokenizer.vocabulary if language.tokenizer else 0,
        perplexity,
        (TOKENS, MEANINGS) if translations else (TOKENS,),
        (time.monotonic() - started) / 60,
        sum(path.stat().st_size for path in output.iterdir() if path.is_file()),
    )


def sharing(language: Language, corpus: Sequence[str], parts: int) -> AbstractContextManager[None]:
    """A context in which subwords are trained through a number of parts; 0 changes nothing."""
    return through_parts(language, Tokenizer.train(corpus, parts)) if parts else nullcontext()


def new_language(
    model: SingleStreamModel, code: str, corpus: Sequence[str], tokenizer: Path, settings: LanguageSettings
) -> Language:
    """Makes an untrained language and adds it to the model.

    An embedding is initialised with the mean of the model's subwords that spell the same text, so that a shared subword
    keeps its embedding. If the model's tokenizer puts special tokens around each text, such as [CLS] and [SEP], the
    language's does the same, and their embeddings are copied. The head is copied from the model's if it has one.

    tokenizer: the file with the language's subwords, trained on the corpus and written if it does not exist.
    """
    own = None
    if settings.vocabulary:
        if not tokenizer.exists():
            tokenizer.parent.mkdir(parents=True, exist_ok=True)
            Tokenizer.train(corpus, settings.vocabulary, model.tokenizer.frame).save(tokenizer)
        own = Tokenizer.load(tokenizer)
    shape = settings.adapter
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        adapter = Adapter(shape, model.config.width, model.config.first_joint_layer) if shape else None
        language = Language(code, model.config.width, own, adapter)
        if own and language.embedding:
            with torch.no_grad():
                language.embedding.weight.copy_(_spelled(model, own))
    if model.token_head and language.head:
        for name in ("dense", "norm"):
            getattr(language.head, name).load_state_dict(getattr(model.token_head, name).state_dict())
            getattr(language.head, name).requires_grad_(False)
    model.add_language(language)
    return language


def _spelled(model: SingleStreamModel, own: Tokenizer) -> Float[Tensor, "vocabulary width"]:
    known = model.token_embedding.weight.float()
    spelled = torch.randn(own.vocabulary, known.shape[1], device=known.device) * known.std(dim=0) + known.mean(dim=0)
    texts = own.subwords()
    for index, ids in enumerate(model.tokenizer.spell(texts)):
        if ids and "\N{REPLACEMENT CHARACTER}" not in texts[index]:
            spelled[index] = known[ids].mean(dim=0)
    framing = model.tokenizer.frame_ids
    for name, index in own.frame_ids.items():
        spelled[index] = known[framing[name]]
    return spelled


@contextmanager
def frozen(model: SingleStreamModel) -> Iterator[None]:
    """A context in which gradients pass through the model, in float32, without training it; it is restored afterwards.

    A language to be trained must be added inside.
    """
    dtype = model.kept_position.dtype
    wanted = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    model.float().train().requires_grad_(False)
    try:
        yield
    finally:
        model.to(dtype).eval()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(wanted[name])


class TokenLosses:
    """Masked-language modelling (BERT, arXiv:1810.04805): 8 of 10 predicted tokens are masked, one is replaced by a
    random token and one is unchanged."""

    def __init__(
        self, model: SingleStreamModel, language: Language, corpus: Sequence[str], settings: LanguageSettings
    ) -> None:
        self.model, self.language, self.corpus, self.settings = model, language, corpus, settings

    def fit(self, folder: Path, report: StageProgress | None) -> None:
        steps = self.settings.epochs * max(1, len(self.corpus) // self.settings.batch)
        schedule = Schedule(steps, self.settings.token_rate, min(100, steps // 10))
        fit(TOKENS, self.language, self, schedule, folder, report)

    def __call__(self, step: int) -> Losses:
        sentences = _drawn(self.corpus, self.settings, f"tokens {step}")
        return {"tokens": self._loss(sentences, generator_of(self.settings.seed, step))}

    def perplexity(self, sentences: Sequence[str]) -> float:
        """Returns the perplexity of masked subwords; the same sentences are always masked in the same places."""
        with torch.no_grad():
            parts = [sentences[i : i + 100] for i in range(0, len(sentences), 100)]
            losses = [self._loss(part, torch.Generator().manual_seed(number)) for number, part in enumerate(parts)]
        return math.exp(min(100.0, torch.stack(losses).mean().item()))

    def _loss(self, sentences: Sequence[str], generator: torch.Generator) -> Float[Tensor, ""]:
        code = self.language.code
        batch = self.model.tokenize(sentences, [code] * len(sentences))
        tokenizer = self.language.tokenizer or self.model.tokenizer
        masked, places = mask_tokens(batch, tokenizer, generator)
        with native_autocast(self.model.device):
            logits = self.model.predict_tokens(masked, places)[code]
        return F.cross_entropy(logits.float(), batch.ids[places])


def mask_tokens(
    batch: TextBatch, tokenizer: Tokenizer, generator: torch.Generator
) -> tuple[TextBatch, Bool[Tensor, "batch tokens"]]:
    """Returns the masked batch and the places of the tokens to predict; there is at least one. The special tokens
    around each text are never predicted."""
    drawn = torch.rand(batch.ids.shape, generator=generator).to(batch.ids.device)
    framing = torch.tensor([*tokenizer.frame_ids.values()], dtype=torch.long, device=batch.ids.device)
    drawn = drawn.masked_fill(~batch.mask | torch.isin(batch.ids, framing), 1.0)
    places = drawn < max(MASKED, drawn.min().item() + 1e-6)
    others = torch.randint(tokenizer.vocabulary, batch.ids.shape, generator=generator).to(batch.ids.device)
    ids = torch.where(drawn < 0.8 * MASKED, tokenizer.mask_id, batch.ids)
    ids = torch.where((drawn >= 0.8 * MASKED) & (drawn < 0.9 * MASKED), others, ids)
    return replace(batch, ids=ids), places


@dataclass(frozen=True)
class _Taught:
    """The model's outputs for sentences in languages that it knows.

    results: the results of the joint layers without a picture, by task.
    """

    states: TokenStates
    vectors: Float[Tensor, "sentences embedding_dim"]
    results: Mapping[Task, Float[Tensor, "sentences read"]]

    def __getitem__(self, rows: Tensor) -> "_Taught":
        results = {task: result[rows] for task, result in self.results.items()}
        return _Taught(self.states[rows].trimmed(), self.vectors[rows], results)


class MeaningLosses:
    """The losses of distillation: the model's outputs for a sentence should equal those for its translation.

    The model does not change, so that its outputs for the translations are computed once, unless they are more than
    `kept`.
    """

    def __init__(
        self,
        model: SingleStreamModel,
        language: Language,
        translations: Sequence[Translation],
        pictures: TokenStates | None,
        settings: LanguageSettings,
        kept: int = KEPT,
    ) -> None:
        self.model, self.language, self.translations = model, language, translations
        self.pictures, self.settings = pictures, settings
        known = dict.fromkeys((pair.language, pair.known) for pair in translations)
        self._rows = {text: row for row, text in enumerate(known)} if len(known) <= kept else {}

    def fit(self, folder: Path, report: StageProgress | None) -> None:
        schedule = Schedule(self.settings.steps, self.settings.meaning_rate, min(50, self.settings.steps // 10))
        fit(MEANINGS, self.language, self, schedule, folder, report)

    def __call__(self, step: int) -> Losses:
        pairs = _drawn(self.translations, self.settings, f"meanings {step}")
        model, codes = self.model, [self.language.code] * len(pairs)
        with native_autocast(model.device):
            known = self._of([(pair.language, pair.known) for pair in pairs])
            read = model.read_text(model.tokenize([pair.sentence for pair in pairs], codes))
            return {
                "vector": 5 * (1 - (model.embed(read) * known.vectors).sum(dim=1)).mean(),
                "states": _apart(read, known.states) + _apart(known.states, read),
                **self._asked(read, known, step),
            }

    def _of(self, known: Sequence[tuple[str, str]]) -> _Taught:
        """Returns the outputs for sentences, each with its language."""
        return self._kept[torch.tensor([self._rows[one] for one in known])] if self._rows else self._taught(known)

    @cached_property
    def _kept(self) -> _Taught:
        # Always in the same batches: a training that was stopped comes to the same end
        texts, size = [*self._rows], self.settings.batch
        parts = [self._taught(texts[first : first + size]) for first in range(0, len(texts), size)]
        results = {task: torch.cat([part.results[task] for part in parts]) for task in parts[0].results}
        states = TokenStates.joined([part.states for part in parts])
        return _Taught(states, torch.cat([part.vectors for part in parts]), results)

    @torch.no_grad()
    def _taught(self, known: Sequence[tuple[str, str]]) -> _Taught:
        model = self.model
        states = model.read_text(model.tokenize([text for _, text in known], [language for language, _ in known]))
        results = {} if self.pictures is not None else {task: model.joint(task, states)[0] for task in _JOINED}
        return _Taught(states, model.embed(states), results)

    def _asked(self, read: TokenStates, known: _Taught, step: int) -> Losses:
        """The losses of the joint layers' results on random pictures, and of the answers."""
        model, terms = self.model, Losses()
        about: tuple[TokenStates, ...] = ()
        if self.pictures is not None:
            generator = generator_of(self.settings.seed, step)
            about = (self.pictures[torch.randint(len(self.pictures), (len(read),), generator=generator)],)
        for task in _JOINED:
            result, _ = model.joint(task, read, *about)
            with torch.no_grad():
                wanted = model.joint(task, known.states, *about)[0] if about else known.results[task]
            terms[task] = F.mse_loss(result.float(), wanted.float())
            if task == "answer" and about:
                head = model.answer_head.float()
                wanted_answers = head(wanted.float()).float().softmax(dim=1)
                terms["answers"] = F.kl_div(
                    head(result.float()).float().log_softmax(dim=1), wanted_answers, reduction="batchmean"
                )
        return terms


def _apart(states: TokenStates, others: TokenStates) -> Float[Tensor, ""]:
    """Returns the mean cosine distance of each state from what it attends to in the states of the other text."""
    own, theirs = F.normalize(states.hidden.float(), dim=-1), F.normalize(others.hidden.float(), dim=-1)
    likeness = 20 * own @ theirs.transpose(1, 2)
    attention = likeness.masked_fill(~others.mask[:, None], -torch.inf).softmax(dim=-1)
    attended = F.normalize(attention @ others.hidden.float(), dim=-1)
    return 1 - ((attended * own).sum(dim=-1) * states.mask).sum() / states.mask.sum()


def _drawn(items: Sequence[_Item], settings: LanguageSettings, name: str) -> list[_Item]:
    rng = random.Random(f"{name} {settings.seed}")
    return rng.sample(items, min(settings.batch, len(items)))


def _hash(items: Sequence[object]) -> str:
    return sha256("\n".join(map(repr, items)).encode(errors="surrogateescape")).hexdigest()[:16]
