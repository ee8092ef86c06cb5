"""Adapters give what the `adapters` library gives, to 1e-5: its own that were read here, and ours that it has read."""

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polyglance.adapters.adapterhub import read_adapter, read_fusion
from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.checkpoint import load_adapter, load_fusion
from polyglance.adapters.composition import Composition, Fuse, Parallel, Stack
from polyglance.adapters.routing import Adaptation
from polyglance.models.families.text_encoder import load_text_encoder
from tests.parity.conftest import LAYERS, OUR_FUSIONS, OURS, WIDTH

MODELS = ["bert-body", "bert", "roberta"]
COMPOSITIONS: dict[str, list[Composition]] = {
    **{name: [name] * 3 for name in OURS},
    "stack": [Stack("seq-inv", "seq")] * 3,
    "fuse": [Fuse("seq", "seq-two")] * 3,
    "fuse-twice": [Fuse("twice", "twice-two")] * 3,
    "stack-fuse": [Stack("seq-inv", Fuse("seq", "seq-two"))] * 3,
}
WITHOUT_HEAD: dict[str, list[Composition]] = {
    "parallel": [Parallel("seq", "seq-two")] * 3,
    "rows": ["seq", "seq", "seq-two"],
}


def bank_of(peers: Path, model: str, source: str) -> AdapterBank:
    """Adapters of the library, or those that were made here."""
    bank = AdapterBank(WIDTH, LAYERS)
    for name in OURS:
        theirs = source == "theirs"
        adapter = (
            read_adapter(peers / model / source / name)[1] if theirs else load_adapter(peers / "ours" / name).adapter
        )
        bank.add(name, adapter)
    for name in OUR_FUSIONS:
        fusion = read_fusion(peers / model / source / name) if theirs else load_fusion(peers / "ours" / name).fusion
        bank.add_fusion(fusion)
    return bank


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("source", ["theirs", "converted"])
@torch.inference_mode()
def test_states_and_logits_are_equal(peers: Path, name: str, source: str) -> None:
    case, expected = load_file(peers / name / "case.safetensors"), load_file(peers / name / f"{source}.safetensors")
    model, bank = load_text_encoder(peers / name, torch.float32), bank_of(peers, name, source)
    compositions = COMPOSITIONS if model.config.predicts_tokens else COMPOSITIONS | WITHOUT_HEAD
    computed = set()
    for label, rows in compositions.items():
        adaptation = Adaptation(bank, rows)
        found = {"states": model(case["ids"], case["mask"], case["token_types"], adaptation)}
        if model.config.predicts_tokens:
            found["logits"] = model.predict_tokens(found["states"], adaptation.uncouple)
        for what, value in found.items():
            # A row's results stand side by side here, the rows of one result there
            value = value.unflatten(0, (len(rows), -1)).transpose(0, 1)[:, case["mask"]]
            wanted = expected[f"{label} {what}"].unflatten(0, (-1, len(rows)))[:, case["mask"]]
            torch.testing.assert_close(value, wanted, atol=1e-5, rtol=1e-5, msg=partial("{}: {}".format, label))
            assert not torch.allclose(wanted, case[what][case["mask"]], atol=1e-2), f"{label} has no effect"
            computed.add(f"{label} {what}")
    assert computed == expected.keys()
