"""BERT, RoBERTa and XLM-R give what `transformers` gives, to 1e-5."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polyglance.models.families.text_encoder import load_text_encoder


@pytest.mark.parametrize("name", ["bert-body", "bert", "roberta", "xlm-roberta"])
def test_states_and_logits_are_equal(peers: Path, name: str) -> None:
    case = load_file(peers / name / "case.safetensors")
    model = load_text_encoder(peers / name, torch.float32)
    mask = case["mask"]
    states = model(case["ids"], mask, case["token_types"])
    torch.testing.assert_close(states[mask], case["states"][mask], atol=1e-5, rtol=1e-5)
    assert model.config.predicts_tokens == ("logits" in case)
    if model.config.predicts_tokens:
        logits = model.predict_tokens(states)
        torch.testing.assert_close(logits[mask], case["logits"][mask], atol=1e-5, rtol=1e-5)
