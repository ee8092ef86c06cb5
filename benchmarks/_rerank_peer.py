"""The other side of `benchmarks.rerank`: models of transformers with random weights, in an environment of their own.

Reads one JSON command per line and answers with one JSON line: {"make": NAME, ...} makes a model and runs it;
{"times": N} times it over N runs.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    BlipConfig,
    BlipForImageTextRetrieval,
    PreTrainedModel,
    ViltConfig,
    ViltForImageAndTextRetrieval,
    logging,
)

SMALL = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}

Case = Callable[[], torch.Tensor]


def make(name: str, pixels: torch.Tensor, ids: torch.Tensor, small: bool) -> Case:
    """Returns a function that scores all pictures. name: blip, blip_joint (from the outputs of its image tower) or
    vilt."""
    torch.manual_seed(0)
    size, dtype = pixels.shape[-1], pixels.dtype
    shape = SMALL if small else {}
    mask = torch.ones_like(ids)
    if name == "vilt":
        vilt = _ready(ViltForImageAndTextRetrieval(ViltConfig(image_size=size, **shape)), dtype)
        return lambda: vilt(input_ids=ids, attention_mask=mask, pixel_values=pixels).logits
    text = {**shape, "encoder_hidden_size": SMALL["hidden_size"]} if small else {}
    config = BlipConfig(text_config=text, vision_config={**shape, "image_size": size})
    blip = _ready(BlipForImageTextRetrieval(config), dtype)
    if name == "blip":
        return lambda: blip(input_ids=ids, attention_mask=mask, pixel_values=pixels).itm_score
    images = blip.vision_model(pixel_values=pixels).last_hidden_state
    seen = torch.ones(images.shape[:2], dtype=torch.long)

    def joint() -> torch.Tensor:
        states = blip.text_encoder(
            input_ids=ids, attention_mask=mask, encoder_hidden_states=images, encoder_attention_mask=seen
        )
        return blip.itm_head(states.last_hidden_state[:, 0])

    return joint


def _ready(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    return model.to(dtype).eval()


@torch.inference_mode()
def main() -> None:
    logging.set_verbosity_error()
    answers, sys.stdout = sys.stdout, sys.stderr
    work: Case
    for line in sys.stdin:
        answer = None
        match json.loads(line):
            case {"make": name, "inputs": inputs, "small": small, "dtype": dtype, "threads": threads}:
                torch.set_num_threads(threads)
                tensors = load_file(Path(inputs))
                pixels = (tensors["pixels"].float() / 127.5 - 1).to(getattr(torch, dtype))
                work = make(name, pixels, tensors["ids"].expand(len(pixels), -1), small)
                assert len(work()) == len(pixels)
            case {"times": times}:
                started = time.perf_counter()
                for _ in range(times):
                    work()
                answer = 1000 * (time.perf_counter() - started) / times
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
