"""Tiny random checkpoints of dual towers as they lie on the hub, written by transformers itself: weights, tokenizer and
image processor. Each differs from the others as the published ones do."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

WORDS = (
    "a red star on a white plate",
    "two green cars beside a tree",
    "ein roter Stern",
    "白色盘子上的红星",
    "красная звезда",
)
"""What their tokenizers were trained on."""
IMAGE_SIZE, PATCH, WIDTH, LAYERS, MAX_TOKENS = 32, 8, 32, 2, 24


def tiny_clip(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    begin, end = "<|startoftext|>", "<|endoftext|>"
    fast = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        special_tokens=[f"{letter}</w>" for letter in letters],
        show_progress=False,
    )
    fast.train_from_iterator(WORDS, trainer)
    learned = json.loads(fast.to_str())["model"]
    vocabulary = {**learned["vocab"], begin: len(learned["vocab"]), end: len(learned["vocab"]) + 1}
    tokenizer = CLIPTokenizer(
        vocab=vocabulary, merges=[tuple(merge) for merge in learned["merges"]], model_max_length=MAX_TOKENS
    )
    ids = {"bos_token_id": vocabulary[begin], "eos_token_id": vocabulary[end], "pad_token_id": 1}
    config = CLIPConfig(text_config=_text(len(vocabulary), **ids), vision_config=_vision(), projection_dim=24)
    return _written(folder, CLIPModel(_seeded(config)), tokenizer, _cropped("clip"))


def tiny_siglip(folder: Path) -> Path:
    """Its vocabulary is English; texts are padded to the full length and all of it is attended to."""
    from transformers import SiglipImageProcessorPil, SiglipModel

    processor = SiglipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    return _of_siglip(folder, SiglipModel, "SiglipTokenizer", "</s>", 0, processor)


def tiny_siglip2(folder: Path) -> Path:
    """Of one resolution, which the hub calls siglip: a large vocabulary of all languages is what differs."""
    from transformers import SiglipImageProcessorPil, SiglipModel

    processor = SiglipImageProcessorPil(size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, resample=2)
    return _of_siglip(folder, SiglipModel, "GemmaTokenizer", "<pad>", 100_001, processor)


def tiny_naflex(folder: Path) -> Path:
    """SigLIP 2 whose pictures keep their shape, of 16 patches at most."""
    from transformers import Siglip2ImageProcessorPil, Siglip2Model

    processor = Siglip2ImageProcessorPil(patch_size=PATCH, max_num_patches=(IMAGE_SIZE // PATCH) ** 2)
    return _of_siglip(folder, Siglip2Model, "GemmaTokenizer", "<pad>", 100_001, processor)


def tiny_metaclip2(folder: Path) -> Path:
    from transformers import MetaClip2Config, MetaClip2Model

    tokenizer = _sentencepiece()
    ids = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    config = MetaClip2Config(text_config=_text(len(tokenizer), **ids), vision_config=_vision(), projection_dim=24)
    return _written(folder, MetaClip2Model(_seeded(config)), tokenizer, _cropped("clip"))


def tiny_chinese_clip(folder: Path) -> Path:
    from transformers import BertTokenizer, ChineseCLIPConfig, ChineseCLIPModel

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += sorted({letter for text in WORDS for letter in text if letter != " "})
    pieces += sorted({word for text in WORDS for word in text.lower().split() if len(word) > 1})
    tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=MAX_TOKENS)
    text = _text(len(tokenizer), pad_token_id=0, hidden_dropout_prob=0.1)
    config = ChineseCLIPConfig(text_config=text, vision_config=_vision(), projection_dim=24)
    return _written(folder, ChineseCLIPModel(_seeded(config)), tokenizer, _cropped("chinese_clip"))


def tiny_altclip(folder: Path) -> Path:
    from transformers import AltCLIPConfig, AltCLIPModel

    tokenizer = _sentencepiece()
    text = _text(len(tokenizer), pad_token_id=1, bos_token_id=0, eos_token_id=2, project_dim=28)
    text["max_position_embeddings"] += 2  # positions are numbered from behind the padding's id
    config = AltCLIPConfig(text_config=text, vision_config=_vision(), projection_dim=24)
    return _written(folder, AltCLIPModel(_seeded(config)), tokenizer, _cropped("clip"))


DUAL_TOWERS: dict[str, Callable[[Path], Path]] = {
    "clip": tiny_clip,
    "siglip": tiny_siglip,
    "siglip2": tiny_siglip2,
    "siglip2-naflex": tiny_naflex,
    "metaclip2": tiny_metaclip2,
    "chinese-clip": tiny_chinese_clip,
    "altclip": tiny_altclip,
}


def _text(vocabulary: int, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "max_position_embeddings": MAX_TOKENS,
        **more,
    }


def _vision() -> dict[str, Any]:
    return {
        "hidden_size": WIDTH + 16,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
    }


def _cropped(kind: str) -> Any:
    from transformers import ChineseCLIPImageProcessorPil, CLIPImageProcessorPil

    made = CLIPImageProcessorPil if kind == "clip" else ChineseCLIPImageProcessorPil
    return made(size={"shortest_edge": IMAGE_SIZE}, crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})


def _of_siglip(
    folder: Path,
    network: Any,
    tokenizer_class: str,
    padding: str,
    rows: int,
    image_processor: Any,
) -> Path:
    """rows: of the embedding, if more than the tokenizer has."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = list(dict.fromkeys([padding, "</s>", "<unk>"]))
    fast = Tokenizer(models.Unigram(_pieces(special), unk_id=special.index("<unk>")))
    fast.normalizer = normalizers.Lowercase()
    fast.pre_tokenizer = pre_tokenizers.Metaspace()
    fast.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", fast.token_to_id("</s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast,
        eos_token="</s>",
        pad_token=padding,
        unk_token="<unk>",
        model_max_length=MAX_TOKENS,
        padding_side="right",
        model_input_names=["input_ids"],
    )
    # Both towers give a vector of one length without a projection
    text = _text(max(rows, len(tokenizer)), projection_size=WIDTH + 16, bos_token_id=1, eos_token_id=1)
    config = network.config_class(text_config=text, vision_config=_vision())
    _written(folder, network(_seeded(config)), tokenizer, image_processor)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": tokenizer_class}))
    return folder


def _sentencepiece() -> Any:
    """XLM-R's tokenizer, of few pieces."""
    from transformers import XLMRobertaTokenizer

    pieces = _pieces(["<s>", "<pad>", "</s>", "<unk>"])
    return XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)], model_max_length=MAX_TOKENS)


def _pieces(special: Sequence[str]) -> list[tuple[str, float]]:
    """Words and letters with their log-probabilities: what a trainer finds differs from run to run."""
    words = sorted({f"▁{word}" for text in WORDS for word in text.lower().split()})
    letters = sorted({letter for text in WORDS for letter in f"▁{text.lower()}" if letter != " "} - {*words})
    return [(name, 0.0) for name in special] + [(word, -3.0) for word in words] + [(one, -6.0) for one in letters]


def _seeded(config: Any) -> Any:
    """Weights that are drawn after this are the same each time."""
    torch.manual_seed(0)
    return config


def _written(folder: Path, model: nn.Module, tokenizer: Any, image_processor: Any) -> Path:
    """Weights are drawn wider than transformers draws them: what comes out then differs from input to input."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.15)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
    model.logit_scale.data.fill_(1.5)
    for part in (model, tokenizer, image_processor):
        part.save_pretrained(folder)
    return folder


def exported(folder: Path, write: Callable[[Path], Path] = tiny_clip) -> Path:
    """A checkpoint, in `original`, with its image tower in 8-bit integers, in `export`."""
    import numpy as np

    from polyglance.data.images import decode
    from polyglance.models.checkpoint import load_folder
    from polyglance.models.families.dual_tower import DualTowerModel
    from polyglance.models.openvino.export import save_int8

    original = load_folder(write(folder / "original"), torch.float32)
    assert isinstance(original, DualTowerModel)
    images = [original.preprocess(decode(path)) for path in pictures(folder / "calibration", [(48, 40)] * 16)]
    save_int8(original, torch.from_numpy(np.stack(images)), folder / "export")
    return folder / "export"


def pictures(folder: Path, sizes: Sequence[tuple[int, int]] = ((48, 40), (33, 61), (32, 32), (7, 90))) -> list[Path]:
    """Files of pictures of random colours, in odd sizes."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    generator, paths = torch.Generator().manual_seed(1), []
    for number, (width, height) in enumerate(sizes):
        coarse = torch.randint(0, 256, (4, 4, 3), generator=generator, dtype=torch.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(coarse.numpy()).resize((width, height), Image.Resampling.BICUBIC).save(paths[-1])
    return paths
