import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from polyglance.adapters.config import AdapterConfig
from polyglance.data.images import decode
from polyglance.errors import CheckpointError, ConfigurationError
from polyglance.languages import KNOWN
from polyglance.models import load_model, load_single_stream
from polyglance.models.checkpoint import load_folder, save_model
from polyglance.models.families.dual_tower import DualTowerModel
from polyglance.models.families.joint_layers import over_towers
from polyglance.models.protocol import ImageBatch
from polyglance.nn.states import TokenStates
from tests.checkpoints import DUAL_TOWERS, pictures, tiny_clip

TEXTS = ["a red star", "", "two green cars beside a tree on a white plate", "Star"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("towers")
    return {name: write(parent / name) for name, write in DUAL_TOWERS.items()}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    return [decode(path) for path in pictures(tmp_path_factory.mktemp("pictures"))]


def seen(model: DualTowerModel, images: list[Image.Image]) -> TokenStates:
    return model.read_images(ImageBatch(torch.from_numpy(np.stack([model.preprocess(image) for image in images]))))


@pytest.mark.parametrize("name", DUAL_TOWERS)
def test_a_row_does_not_depend_on_its_neighbours(
    folders: dict[str, Path], images: list[Image.Image], name: str
) -> None:
    model = load_folder(folders[name], torch.float32)
    texts, pixels = model.read_text(model.tokenize(TEXTS)), seen(model, images)
    together = model.match(texts, pixels)
    for row, (text, image) in enumerate(zip(TEXTS, images, strict=True)):
        of_text, of_image = model.read_text(model.tokenize([text])), seen(model, [image])
        torch.testing.assert_close(model.embed(of_text)[0], model.embed(texts)[row], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.embed(of_image)[0], model.embed(pixels)[row], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.match(of_text, of_image)[0], together[row], atol=1e-5, rtol=1e-5)
    norms = torch.cat([model.embed(texts), model.embed(pixels)]).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(8), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2-naflex"])
def test_a_saved_model_is_complete_and_the_same(
    folders: dict[str, Path], images: list[Image.Image], tmp_path: Path, name: str
) -> None:
    model = load_folder(folders[name], torch.float32)
    model.config = replace(model.config, tasks=("embed", "match"))
    save_model(model, tmp_path / "saved", torch.float32)
    again = load_folder(tmp_path / "saved", torch.float32)
    for states in (model.read_text(model.tokenize(TEXTS)), seen(model, images)):
        same = again.read_text(again.tokenize(TEXTS)) if states.modality == "text" else seen(again, images)
        assert torch.equal(again.embed(same), model.embed(states))
        assert torch.equal(same.hidden, states.hidden)
    assert torch.equal(again.match(*both(again, images)), model.match(*both(model, images)))
    assert (again.tasks, again.name) == (("embed", "match"), name)
    save_model(again, tmp_path / "saved", torch.float32)  # over itself
    assert load_folder(tmp_path / "saved").fingerprint == again.fingerprint
    assert not any(key.startswith("tower.") for key in load_file(tmp_path / "saved" / "model.safetensors"))


def both(model: DualTowerModel, images: list[Image.Image]) -> tuple[TokenStates, TokenStates]:
    return model.read_text(model.tokenize(TEXTS)), seen(model, images)


def test_stored_states_keep_their_vectors(folders: dict[str, Path], images: list[Image.Image]) -> None:
    model = load_folder(folders["clip"], torch.float32)
    states = seen(model, images)
    loaded = TokenStates.load(states.store(), "image", "cpu")
    assert torch.equal(model.embed(loaded), model.embed(states))
    with pytest.raises(ConfigurationError, match="states with a vector"):
        model.embed(replace(states, vector=None))


def test_the_fingerprint_is_of_all_that_a_model_makes(folders: dict[str, Path], tmp_path: Path) -> None:
    first = load_folder(folders["clip"], torch.float32)
    assert first.fingerprint == load_folder(folders["clip"], torch.bfloat16).fingerprint
    copied = tiny_clip(tmp_path / "clip")
    assert load_folder(copied).fingerprint == first.fingerprint
    weights = load_file(copied / "model.safetensors")
    weights["visual_projection.weight"][0, 0] += 1
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    other = load_folder(copied)
    assert other.fingerprint != first.fingerprint
    save_model(first, tmp_path / "one")
    save_model(other, tmp_path / "two")
    assert load_folder(tmp_path / "one").fingerprint != load_folder(tmp_path / "two").fingerprint


def test_a_name_is_the_folders_or_the_hubs(folders: dict[str, Path]) -> None:
    assert load_model(str(folders["clip"])).name == "clip"
    assert load_folder(folders["clip"], name="owner/model").name == "owner/model"
    with pytest.raises(ConfigurationError, match="single-stream"):
        load_single_stream(str(folders["clip"]))


def test_a_new_model_can_do_what_its_towers_can(folders: dict[str, Path]) -> None:
    models = {name: load_folder(folder) for name, folder in folders.items()}
    assert {model.tasks for model in models.values()} == {("embed",)}
    assert {model.answers for model in models.values()} == {()}
    languages = {name: model.languages for name, model in models.items()}
    assert languages["clip"] == languages["siglip"] == ("en",)
    assert languages["siglip2"] == languages["siglip2-naflex"] == languages["metaclip2"] == KNOWN
    assert languages["chinese-clip"] == ("zh",)
    assert {"en", "zh"} < set(languages["altclip"])


def test_long_texts_are_cut_and_counted_whole(folders: dict[str, Path]) -> None:
    model = load_folder(folders["clip"], torch.float32)
    long = "a red star " * 20
    assert model.tokenizer.lengths([long, ""])[0] > model.config.max_text_tokens == 24
    assert model.tokenizer.lengths([long, ""])[1] == 2
    assert model.tokenize([long]).ids.shape == (1, 24)


def test_a_tokenizer_may_be_a_list_of_words(folders: dict[str, Path], tmp_path: Path) -> None:
    """As Chinese-CLIP is published."""
    for path in folders["chinese-clip"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    known = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"]
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(known, key=known.get)) + "\n")
    texts = [*TEXTS, "白色盘子上的红星"]
    expected = load_folder(folders["chinese-clip"]).tokenize(texts)
    found = load_folder(tmp_path).tokenize(texts)
    assert torch.equal(found.ids, expected.ids)
    assert torch.equal(found.mask, expected.mask)


@pytest.mark.parametrize("name", ["siglip2", "siglip2-naflex"])
def test_siglip_reads_small_letters(folders: dict[str, Path], name: str) -> None:
    model = load_folder(folders[name], torch.float32)
    large, small = (model.embed(model.read_text(model.tokenize([text]))) for text in ("A RED Star", "a red star"))
    assert torch.equal(large, small)


def test_a_long_strip_is_cut_before_it_is_scaled(folders: dict[str, Path]) -> None:
    model = load_folder(folders["clip"])
    strip = Image.new("RGB", (60_000, 3), "white")
    strip.paste("red", (0, 0, 29_000, 3))
    pixels = model.preprocess(strip)
    assert pixels.shape == (3, 32, 32)
    assert (pixels == 255).all()


@pytest.mark.parametrize("name", ["siglip", "siglip2-naflex"])
def test_adapters_in_the_towers_begin_small_learn_and_are_kept(
    folders: dict[str, Path], images: list[Image.Image], tmp_path: Path, name: str
) -> None:
    bare = load_folder(folders[name], torch.float32)
    torch.manual_seed(0)
    adapted = bare.in_shape(tower_adapters=AdapterConfig(reduction_factor=4))
    adapted.load_state_dict(bare.state_dict(), strict=False)
    assert adapted.tower is bare.tower
    before = bare.embed(seen(bare, images))
    changed = adapted.eval().embed(seen(adapted, images))
    assert 0 < (changed - before).abs().max() < 0.1
    assert torch.equal(bare.embed(seen(bare, images)), before), "adapters act in their own model alone"

    adapted.train()
    texts = adapted.read_text(adapted.tokenize(TEXTS))
    (adapted.embed(texts) * adapted.embed(seen(adapted, images))).sum().backward()
    gradients = {name: weight.grad for name, weight in adapted.named_parameters() if name.startswith("tower_adapters")}
    assert {name.split(".")[1] for name in gradients} == {"text", "image"}
    assert all(gradient is not None and gradient.any() for gradient in gradients.values())
    assert not any(weight.requires_grad for weight in adapted.tower.network.parameters())

    save_model(adapted.eval(), tmp_path / "saved", torch.float32)
    again = load_folder(tmp_path / "saved", torch.float32)
    assert torch.equal(again.embed(seen(again, images)), changed)


def test_adapters_leave_the_lowest_layers_out(folders: dict[str, Path]) -> None:
    model = load_folder(folders["clip"], torch.float32)
    deep = model.in_shape(tower_adapters=AdapterConfig(depth=1))
    assert deep.tower_adapters["text"].down.shape[0] == 1
    with pytest.raises(ConfigurationError, match="depth of 0 to 1"):
        model.in_shape(tower_adapters=AdapterConfig(depth=2))
    with pytest.raises(ConfigurationError, match="pfeiffer"):
        model.in_shape(tower_adapters=AdapterConfig("houlsby"))


def test_joint_layers_may_begin_as_those_of_a_text_encoder(
    folders: dict[str, Path], images: list[Image.Image], tmp_path: Path
) -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    encoder = BertModel(
        BertConfig(vocab_size=50, hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48)
    )
    encoder.save_pretrained(tmp_path / "bert")
    model = over_towers(folders["clip"], tmp_path / "bert", layers=2, dtype=torch.float32)
    x, mask = torch.randn(2, 5, 24), torch.ones(2, 5, dtype=torch.bool)
    expected = x
    for layer in encoder.eval().encoder.layer[1:]:
        expected = layer(expected)
    with torch.no_grad():
        torch.testing.assert_close(model.joint_layers(x, mask), expected, atol=1e-5, rtol=1e-5)
    assert model.match(*both(model, images)).shape == (4,)
    again = over_towers(folders["clip"], tmp_path / "bert", layers=2, dtype=torch.bfloat16)
    assert again.fingerprint == model.fingerprint != load_folder(folders["clip"]).fingerprint
    with pytest.raises(ConfigurationError, match="1 to 3 layers"):
        over_towers(folders["clip"], tmp_path / "bert", layers=4)


def rewritten(path: Path, **changed: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def with_one_more(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "text_model.novel.weight": torch.ones(2)}, folder / "model.safetensors", {"format": "pt"})


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_fewer_embeddings(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] -= 1
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    table = "text_model.embeddings.token_embedding.weight"
    save_file({**weights, table: weights[table][:-1].clone()}, folder / "model.safetensors", {"format": "pt"})


def of_another_size(folder: Path) -> None:
    rewritten(folder / "preprocessor_config.json", crop_size={"height": 16, "width": 16})


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: rewritten(folder / "config.json", model_type="novel"), "'novel'; known are clip, .*bert"),
        (without_a_weight, "1 missing .visual_projection.weight"),
        (with_one_more, "1 left over .text_model.novel.weight"),
        (pickled, "pickle"),
        (with_fewer_embeddings, "subwords"),
        (of_another_size, "32 x 32 pixels.*16 x 16"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"torn"), "cannot be used"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_refused_in_one_line(
    folders: dict[str, Path], tmp_path: Path, break_it: Callable[[Path], object], message: str
) -> None:
    for path in folders["clip"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    break_it(tmp_path)
    with pytest.raises(CheckpointError, match=message) as raised:
        load_model(str(tmp_path))
    assert "\n" not in str(raised.value)


def test_numbers_of_positions_in_older_files_are_no_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    """As in openai/clip-vit-base-patch32."""
    for path in folders["clip"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    numbers = {"text_model.embeddings.position_ids": 24, "vision_model.embeddings.position_ids": 17}
    weights |= {name: torch.arange(count)[None] for name, count in numbers.items()}
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    assert load_folder(tmp_path).tasks == ("embed",)


def test_a_saved_model_without_its_towers_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    save_model(load_folder(folders["clip"]), tmp_path)
    (tmp_path / "tower" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="tower"):
        load_folder(tmp_path)
