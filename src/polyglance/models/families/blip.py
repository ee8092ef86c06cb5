"""BLIP and BLIP-2, through transformers' own classes: cross-encoders and answerers over the states of whole pictures.

The text layers of these models attend to the picture's tokens from the first layer on, so that a text cannot be read
before its picture is known. The states of a text are its embeddings, and the states of a picture are the whole output
of the vision tower.
"""

import json
import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.models.families.cut_model import read_off
from polyglance.models.huggingface.components import Pixels, PublishedTokenizer, fingerprint, load_network, vector_of
from polyglance.models.huggingface.download import DESCRIPTION, checkpoint_folder, read_json
from polyglance.models.model import Model
from polyglance.models.protocol import ImageBatch, Picture, TextBatch
from polyglance.nn.encoder import unit
from polyglance.nn.states import TokenStates
from polyglance.types import Task, Text

MODEL_TYPES: Final = ("blip", "blip-2")
"""The values of model_type of these checkpoints in config.json."""
ANSWERS_FILE: Final = "answers.json"
SHORTLIST: Final = 128
"""The number of answers whose full likelihood is computed, as in the authors' evaluation (arXiv:2201.12086)."""
_WRITTEN_TOKENS: Final = 10


class _Blip(Model):
    """The base of all BLIP models. Their only depth is 0, because they have no adapters to drop."""

    network_class: ClassVar[str]
    tasks: tuple[Task, ...]
    languages: tuple[str, ...] = ("en",)

    def __init__(self, network: Any, folder: Path, name: str) -> None:
        self.network, self.name, self.fingerprint = network, name, fingerprint(folder)
        text = self._text_config()
        self._tokenizer = PublishedTokenizer(folder, text.vocab_size, text.max_position_embeddings)
        self._pixels = Pixels(folder)

    def _text_config(self) -> Any:
        return self.network.config.text_config

    @property
    def device(self) -> torch.device:
        device: torch.device = self.network.device
        return device

    def tokenize(self, texts: Sequence[str], languages: Sequence[str] = ()) -> TextBatch:
        return self._tokenizer.read(texts, self.device)

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        return self._pixels.fit(image)

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        texts = [one.text for one in inputs if isinstance(one, Text)]
        if texts:
            return self._read_texts(self.tokenize(texts))
        return self._read_images(ImageBatch.of([one for one in inputs if isinstance(one, Picture)]))

    @torch.no_grad()
    def _read_images(self, batch: ImageBatch) -> TokenStates:
        """Returns all tokens of the vision tower, with the one for the whole picture first."""
        pixels = self._pixels.normalised(batch.pixels.to(self.device), self.network.dtype)
        hidden = self.network.vision_model(pixels).last_hidden_state
        mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
        return TokenStates(hidden, mask, "image", self._image_vector(hidden))

    def _image_vector(self, hidden: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch dim"] | None:
        return None

    @abstractmethod
    def _read_texts(self, batch: TextBatch) -> TokenStates: ...


class _BlipMatching(_Blip):
    """The base of the models that match."""

    calibration: tuple[float, float] = (1.0, 0.0)
    cosine_weight = 0.0
    recall_by_depth: tuple[float, ...] = ()

    @torch.no_grad()
    def match(self, text: TokenStates, images: TokenStates, depth: int = 0) -> Float[Tensor, " pairs"]:
        if depth:
            raise ConfigurationError(f"expected a depth of 0 for a model without task adapters, got {depth}")
        return self._matched(text, images)

    @abstractmethod
    def _matched(self, text: TokenStates, images: TokenStates) -> Float[Tensor, " pairs"]: ...


class BlipMatcher(_BlipMatching):
    """BLIP for retrieval: its contrastive heads (ITC) give vectors, and its matching head (ITM) matches."""

    network_class = "BlipForImageTextRetrieval"
    tasks = ("embed", "match")

    def __init__(self, network: Any, folder: Path, name: str) -> None:
        super().__init__(network, folder, name)
        self.embedding_dim = network.config.image_text_hidden_size

    def _image_vector(self, hidden: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch dim"]:
        return unit(self.network.vision_proj(hidden[:, 0]))

    @torch.no_grad()
    def _read_texts(self, batch: TextBatch) -> TokenStates:
        hidden = self.network.text_encoder.embeddings(batch.ids)
        alone = self.network.text_encoder(encoder_embeds=hidden, attention_mask=batch.mask.long()).last_hidden_state
        return TokenStates(hidden, batch.mask, "text", unit(self.network.text_proj(alone[:, 0])))

    def embed(self, states: TokenStates) -> Float[Tensor, "batch embedding_dim"]:
        return vector_of(states, self.name)

    def _matched(self, text: TokenStates, images: TokenStates) -> Float[Tensor, " pairs"]:
        joint = _cross_encoded(self.network.text_encoder, text, images)
        return _log_odds(read_off(self.network.itm_head, joint[:, 0]))


class Blip2Matcher(_BlipMatching):
    """BLIP-2 for retrieval. It matches with its matching head and does not embed.

    Its contrastive head compares 32 vectors of a picture with one vector of a text, so that there is no single vector
    to search by.
    """

    network_class = "Blip2ForImageTextRetrieval"
    tasks = ("match",)

    def _text_config(self) -> Any:
        return self.network.config.qformer_config

    @torch.no_grad()
    def _read_texts(self, batch: TextBatch) -> TokenStates:
        return TokenStates(self.network.embeddings(input_ids=batch.ids), batch.mask, "text")

    def _matched(self, text: TokenStates, images: TokenStates) -> Float[Tensor, " pairs"]:
        queries = self.network.query_tokens.expand(len(text), -1, -1)
        count = queries.shape[1]
        joint = self.network.qformer(
            query_embeds=torch.cat([queries, text.hidden.to(queries.dtype)], dim=1),
            query_length=count,
            attention_mask=torch.cat([torch.ones_like(text.mask[:, :1]).expand(-1, count), text.mask], dim=1).long(),
            encoder_hidden_states=images.hidden.to(queries.dtype),
            encoder_attention_mask=images.mask.long(),
        ).last_hidden_state
        votes = read_off(self.network.itm_head, joint[:, :count].flatten(0, 1)).view(len(text), count, 2)
        return _log_odds(votes.mean(dim=1))


class _BlipForQuestions(_Blip):
    """BLIP for questions: a decoder that attends to the encoder's states of a question and its picture."""

    network_class = "BlipForQuestionAnswering"
    tasks = ("answer",)

    @torch.no_grad()
    def _read_texts(self, batch: TextBatch) -> TokenStates:
        return TokenStates(self.network.text_encoder.embeddings(batch.ids), batch.mask, "text")

    def _asked(self, text: TokenStates, images: TokenStates) -> list[Float[Tensor, "1 question width"]]:
        """Encodes each question with its picture, without padding, because the decoder would attend to padding."""
        asked = _cross_encoded(self.network.text_encoder, text, images)
        return [states[mask].unsqueeze(0) for states, mask in zip(asked, text.mask, strict=True)]


class BlipAnswerer(_BlipForQuestions):
    """BLIP with a list of answers, which it ranks by likelihood as its authors do (arXiv:2201.12086)."""

    def __init__(self, network: Any, folder: Path, name: str, answers: Sequence[str]) -> None:
        super().__init__(network, folder, name)
        self.answers = tuple(answers)
        coded = self._tokenizer.read(self.answers, self.device)
        self._answer_ids, self._answer_mask = coded.ids, coded.mask
        self._answer_ids[:, 0] = network.decoder_start_token_id

    @torch.no_grad()
    def answer_logits(self, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs answers"]:
        """Returns log-likelihoods of the `SHORTLIST` answers with the most likely first tokens; -inf for all others."""
        logits = torch.full((len(text), len(self.answers)), -torch.inf, device=self.device)
        for row, asked in enumerate(self._asked(text, images)):
            begun = self._log_probabilities(self._answer_ids[:1, :1], asked)[0, 0]
            chosen = begun[self._answer_ids[:, 1]].topk(min(SHORTLIST, len(self.answers))).indices
            ids, there = self._answer_ids[chosen], self._answer_mask[chosen]
            told = self._log_probabilities(ids[:, :-1], asked).gather(2, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
            logits[row, chosen] = (told * there[:, 1:]).sum(dim=1)
        return logits

    def _log_probabilities(
        self, ids: Int[Tensor, "rows tokens"], asked: Float[Tensor, "1 question width"]
    ) -> Float[Tensor, "rows tokens vocabulary"]:
        """Returns the logits of the token that follows each token."""
        states = asked.expand(len(ids), -1, -1)
        told = self.network.text_decoder(input_ids=ids, encoder_hidden_states=states, use_cache=False)
        return torch.log_softmax(told.logits.float(), dim=-1)


class BlipAnswerWriter(_BlipForQuestions):
    """BLIP without a list of answers. It generates answers word by word."""

    @torch.no_grad()
    def write(self, text: TokenStates, images: TokenStates, top: int) -> list[list[tuple[str, float]]]:
        config = self.network.config.text_config
        answers = []
        for asked in self._asked(text, images):
            written = self.network.text_decoder.generate(
                input_ids=torch.full((1, 1), self.network.decoder_start_token_id, device=self.device),
                encoder_hidden_states=asked,
                eos_token_id=config.sep_token_id,
                pad_token_id=config.pad_token_id,
                num_beams=max(2, top),
                num_return_sequences=top,
                length_penalty=0.0,
                max_new_tokens=_WRITTEN_TOKENS,
                do_sample=False,
                return_dict_in_generate=True,
                output_scores=True,
            )
            said = [self._tokenizer.decode(ids) for ids in written.sequences.tolist()]
            answers.append(list(zip(said, written.sequences_scores.exp().tolist(), strict=True)))
        return answers


def _cross_encoded(encoder: Any, text: TokenStates, images: TokenStates) -> Float[Tensor, "pairs tokens width"]:
    """Returns the states of the text's tokens after all layers, which attend to the picture's tokens."""
    states: Tensor = encoder(
        encoder_embeds=text.hidden.to(encoder.dtype),
        attention_mask=text.mask.long(),
        encoder_hidden_states=images.hidden.to(encoder.dtype),
        encoder_attention_mask=images.mask.long(),
    ).last_hidden_state
    return states


def _log_odds(logits: Float[Tensor, "pairs 2"]) -> Float[Tensor, " pairs"]:
    """Returns the log-odds of a match from the logits of "no match" and "match"."""
    return logits[:, 1] - logits[:, 0]


_NETWORKS: Final = [kind.network_class for kind in (BlipMatcher, Blip2Matcher, BlipAnswerer)]


def is_blip(folder: Path) -> bool:
    """Returns whether a folder holds a checkpoint of BLIP or BLIP-2."""
    return (folder / "config.json").exists() and read_json(folder, DESCRIPTION).get("model_type") in MODEL_TYPES


def network_of(folder: Path) -> str:
    """Returns the name of the class in transformers. Raises CheckpointError if it is not supported."""
    wanted: str = (read_json(folder, DESCRIPTION).get("architectures") or ["none"])[0]
    if wanted not in _NETWORKS:
        raise CheckpointError(f"{folder} holds a {wanted}: expected one of {', '.join(_NETWORKS)}")
    return wanted


def load_blip(
    folder: Path, name: str, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> BlipMatcher | Blip2Matcher | BlipAnswerer | BlipAnswerWriter:
    """Loads the model in a checkpoint's folder, ready to use.

    dtype: the dtype of weights and products.

    Raises:
        CheckpointError: the checkpoint is of another kind, or files are missing, torn, or do not fit each other.
    """
    import transformers

    wanted = network_of(checkpoint_folder(str(folder)))
    network = load_network(getattr(transformers, wanted), folder, dtype).to(device)
    answers = _answers(folder / ANSWERS_FILE) if wanted == BlipAnswerer.network_class else []
    model: BlipMatcher | Blip2Matcher | BlipAnswerer | BlipAnswerWriter
    if answers:
        model = BlipAnswerer(network, folder, name, answers)
    else:
        kinds = {one.network_class: one for one in (BlipMatcher, Blip2Matcher, BlipAnswerWriter)}
        model = kinds[wanted](network, folder, name)
    model.source = os.path.abspath(folder)
    return model


def _answers(path: Path) -> list[str]:
    """Reads the list of answers. Raises CheckpointError if the file is not a list of texts."""
    if not path.exists():
        return []
    try:
        answers = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(answers, list) or not answers or not all(isinstance(one, str) and one for one in answers):
        raise CheckpointError(f'{path}: expected a list of answers, such as ["yes", "no", "2"]')
    return list(dict.fromkeys(answers))
