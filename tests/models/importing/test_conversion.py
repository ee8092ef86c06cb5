import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from polyglance.data.regions import Regions
from polyglance.errors import CheckpointError, ConfigurationError, PictureError
from polyglance.models.checkpoint import load_folder
from polyglance.models.importing.conversion import import_checkpoint
from polyglance.models.pair_scorers import MatcherScorer
from polyglance.models.protocol import ImageBatch, Picture
from polyglance.nn.states import TokenStates
from tests.single_stream_checkpoints import (
    ANSWERS,
    LAYERS,
    TEXTS,
    WIDTH,
    bert,
    oscar,
    roberta,
    vilt,
    visual_bert,
    xlm_roberta,
)


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def change_settings(folder: Path, **changed: object) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changed))


def squares(colours: list[str], size: tuple[int, int] = (40, 30)) -> list[Image.Image]:
    return [Image.new("RGB", size, colour) for colour in colours]


# -- what comes out ----------------------------------------------------------------------------------------------------


def test_the_report_says_what_came_over_and_what_is_new(tmp_path: Path) -> None:
    vilt(tmp_path / "theirs", "answers")
    report = import_checkpoint(str(tmp_path / "theirs"), tmp_path / "ours")
    assert (report.kind, report.sight, report.layers, report.first_joint_layer) == ("vilt", "patches", LAYERS, 1)
    assert (report.tasks, report.answers, report.languages) == (("answer",), len(ANSWERS), ("en",))
    assert report.fresh == ("embed_head", "match_head")
    assert report.fingerprint == load_folder(tmp_path / "ours").fingerprint
    bert(tmp_path / "text")
    report = import_checkpoint(str(tmp_path / "text"), tmp_path / "seeing", languages=("de", "fr"))
    assert {"stem", "image_position", "compressor"} <= set(report.fresh)
    assert (report.tasks, report.answers, report.languages) == ((), 0, ("de", "fr"))
    assert report.missing == report.left_over == ()


def test_weights_keep_their_precision_and_the_same_comes_out_twice(tmp_path: Path) -> None:
    xlm_roberta(tmp_path / "theirs")
    one = import_checkpoint(str(tmp_path / "theirs"), tmp_path / "one" / "model")
    two = import_checkpoint(str(tmp_path / "theirs"), tmp_path / "two" / "model")
    assert one.fingerprint == two.fingerprint
    assert {value.dtype for value in load_file(tmp_path / "one" / "model" / "model.safetensors").values()} == {
        torch.float32
    }
    assert len(one.languages) == 8
    change_weights(tmp_path / "theirs", lambda weights: weights.update({k: v.bfloat16() for k, v in weights.items()}))
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "half")
    assert {value.dtype for value in load_file(tmp_path / "half" / "model.safetensors").values()} == {torch.bfloat16}


def test_a_text_body_sees_pictures_once_it_is_imported(tmp_path: Path) -> None:
    roberta(tmp_path / "theirs")
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "ours", kept_grid=2)
    model = load_folder(tmp_path / "ours", torch.float32)
    pixels = torch.from_numpy(np.stack([model.preprocess(picture) for picture in squares(["red", "blue"])]))
    images, texts = model.read_images(ImageBatch(pixels)), model.read_text(model.tokenize(TEXTS[:2]))
    assert images.hidden.shape == (2, 4, 2 * WIDTH // 3)
    assert model.embed(images).shape == model.embed(texts).shape == (2, WIDTH)
    assert model.match(texts, images).shape == (2,)


def test_patches_can_be_compressed_whatever_their_number(tmp_path: Path) -> None:
    vilt(tmp_path / "theirs")
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "ours", kept_grid=2)
    model = load_folder(tmp_path / "ours", torch.float32)
    square, wide = squares(["red"])[0], squares(["blue"], (90, 20))[0]
    canvases = torch.from_numpy(np.stack([model.preprocess(picture) for picture in (square, wide)]))
    together = model.read_images(ImageBatch(canvases))
    assert together.hidden.shape == (2, 4, 2 * WIDTH // 3)
    for row in range(2):
        alone = model.read_images(ImageBatch(canvases[row : row + 1]))
        torch.testing.assert_close(together.hidden[row], alone.hidden[0], atol=1e-5, rtol=1e-5)


def test_what_older_files_say_of_vilts_head_for_words_does_not_matter(tmp_path: Path) -> None:
    vilt(tmp_path / "theirs")
    change_settings(tmp_path / "theirs", tie_word_embeddings=False)
    assert import_checkpoint(str(tmp_path / "theirs"), tmp_path / "ours").kind == "vilt"


def test_how_pictures_are_prepared_is_read_from_newer_and_older_files(tmp_path: Path) -> None:
    vilt(tmp_path / "theirs", size={"shortest_edge": 20})
    path = tmp_path / "theirs" / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    sides = []
    for number, written in enumerate((settings, settings | {"size": 20}, {})):
        path.write_text(json.dumps(written))
        import_checkpoint(str(tmp_path / "theirs"), tmp_path / str(number))
        sides.append(load_folder(tmp_path / str(number)).config.shorter_side)
    path.unlink()
    (path.parent / "processor_config.json").write_text(json.dumps({"image_processor": settings}))
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "new")
    assert [*sides, load_folder(tmp_path / "new").config.shorter_side] == [20, 20, 24, 20]
    path.write_text(json.dumps(settings | {"size_divisor": 32}))
    with pytest.raises(CheckpointError, match="size_divisor to be patch_size 4, got 32"):
        import_checkpoint(str(tmp_path / "theirs"), tmp_path / "never")


@pytest.mark.parametrize("cut", [0, 1])
def test_what_is_stored_of_pictures_of_different_sizes_gives_nearly_the_same(cut: int, tmp_path: Path) -> None:
    vilt(tmp_path / "theirs", "retrieval")
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "ours", first_joint_layer=cut)
    model = load_folder(tmp_path / "ours", torch.float32)
    pictures = [squares(["red"])[0], squares(["blue"], (90, 20))[0]]
    images = model.read_images(ImageBatch(torch.from_numpy(np.stack([model.preprocess(one) for one in pictures]))))
    texts = model.read_text(model.tokenize(TEXTS[:2]))
    stored = images.store()
    assert len(stored[0].scales) == 1 + 6 * 8
    assert len(stored[1].scales) == 1 + 2 * 9
    assert sorted(len(row.scales) for row in stored) == sorted(images.mask.sum(dim=1).tolist())
    again = TokenStates.load(stored, "image", "cpu")
    torch.testing.assert_close(model.match(texts, again), model.match(texts, images), atol=0.05, rtol=0.05)
    alone = model.match(texts[[1]], images[[1]])
    torch.testing.assert_close(model.match(texts, images)[[1]], alone, atol=1e-5, rtol=1e-5)


def test_regions_get_the_places_of_their_boxes_where_the_model_wants_them(tmp_path: Path) -> None:
    oscar(tmp_path / "theirs")
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "ours")
    model = load_folder(tmp_path / "ours", torch.float32)
    generator = np.random.default_rng(0)

    def seen(count: int, width: int) -> Regions:
        boxes = np.tile(np.array([[0, 0, 50, 40]], np.float32), (count, 1))
        return Regions(generator.normal(size=(count, width)).astype(np.float32), boxes, (100.0, 80.0))

    batch = ImageBatch.of([Picture(one.size, model.preprocess_regions(one)) for one in (seen(3, 2048), seen(1, 2054))])
    assert batch.pixels.shape == (2, 3, 2054)
    torch.testing.assert_close(batch.pixels[0, 0, 2048:], torch.tensor([0, 0, 0.5, 0.5, 0.5, 0.5]))
    images, texts = model.read_images(batch), model.read_text(model.tokenize(TEXTS[:2]))
    assert images.mask.tolist() == [[True] * 3, [True, False, False]]
    assert model.match(texts, images).isfinite().all()
    with pytest.raises(ConfigurationError, match="regions of 2054 values, got regions of 100"):
        model.preprocess_regions(seen(1, 100))
    with pytest.raises(ConfigurationError, match="reads regions, got pictures as pixels"):
        model.read_images(ImageBatch(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)))
    with pytest.raises(ConfigurationError, match="no pixels"):
        model.preprocess(squares(["red"])[0])
    for pixels in (squares(["red"])[0], b"PNG"):
        with pytest.raises(PictureError, match="expected the picture's path"):
            model.open(pixels)
    assert model.identity.side_files == (".npz",)
    assert model.read([model.empty_picture()]).hidden.shape[:2] == (1, 1)
    model.config = replace(model.config, tasks=("match",))
    with pytest.raises(ConfigurationError, match="reads what a detector saw"):
        MatcherScorer(model)


# -- tokenizers --------------------------------------------------------------------------------------------------------


def test_a_vocabulary_alone_is_enough(tmp_path: Path) -> None:
    bert(tmp_path / "theirs")
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "one")
    known = json.loads((tmp_path / "theirs" / "tokenizer.json").read_text())["model"]["vocab"]
    (tmp_path / "theirs" / "tokenizer.json").unlink()
    (tmp_path / "theirs" / "tokenizer_config.json").unlink()
    (tmp_path / "theirs" / "vocab.txt").write_text("\n".join(sorted(known, key=known.__getitem__)) + "\n")
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "two")
    one, two = load_folder(tmp_path / "one"), load_folder(tmp_path / "two")
    assert torch.equal(one.tokenize(TEXTS).ids, two.tokenize(TEXTS).ids)


def test_a_text_that_is_cut_keeps_the_token_behind_it(tmp_path: Path) -> None:
    bert(tmp_path / "theirs")
    import_checkpoint(str(tmp_path / "theirs"), tmp_path / "ours")
    model = load_folder(tmp_path / "ours")
    ids = model.tokenize(["star " * 100, ""]).ids
    assert ids.shape == (2, 22)
    assert (ids[0, 0], ids[0, -1]) == (2, 3)
    assert ids[1, :3].tolist() == [2, 3, 0]
    assert model.tokenizer.lengths(["star star"]) == [4]
    assert model.tokenizer.spell(["star star"]) == [[7, 7]]


def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    bert(tmp_path)
    change_settings(tmp_path, vocab_size=10)

    def cut(weights: dict[str, torch.Tensor]) -> None:
        weights["bert.embeddings.word_embeddings.weight"] = weights["bert.embeddings.word_embeddings.weight"][:10]
        weights["cls.predictions.bias"] = weights["cls.predictions.bias"][:10]

    change_weights(tmp_path, cut)
    with pytest.raises(CheckpointError, match="ids go up to 13, and there are 10 embeddings"):
        import_checkpoint(str(tmp_path), tmp_path / "ours")
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"holds no tokenizer: expected vocab\.txt or tokenizer\.json"):
        import_checkpoint(str(tmp_path), tmp_path / "ours")


# -- what cannot be imported -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"model_type": "t5"}, "expected a model_type of bert, roberta, xlm-roberta, visual_bert, vilt, or bert with"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"is_decoder": True}, "is_decoder"),
        ({"vocab_size": None}, "a whole number for vocab_size"),
    ],
)
def test_another_kind_is_refused(tmp_path: Path, settings: dict[str, object], reason: str) -> None:
    bert(tmp_path)
    change_settings(tmp_path, **settings)
    with pytest.raises(CheckpointError, match=reason):
        import_checkpoint(str(tmp_path), tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("write", "settings", "reason"),
    [
        (visual_bert, {"bypass_transformer": True}, "bypass_transformer"),
        (vilt, {"max_image_length": 100}, "max_image_length"),
        (vilt, {"image_size": [24, 30]}, "image_size"),
        (oscar, {"img_feature_type": "dis_code_t"}, "img_feature_type 'dis_code_t'"),
    ],
)
def test_a_setting_that_has_no_equal_is_refused(tmp_path: Path, write, settings, reason: str) -> None:
    write(tmp_path)
    change_settings(tmp_path, **settings)
    with pytest.raises(CheckpointError, match=reason):
        import_checkpoint(str(tmp_path), tmp_path / "ours")


def test_weights_that_are_missing_or_left_over_are_listed(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    visual_bert(folder)
    lost = "visual_bert.encoder.layer.1.output.dense.bias"

    def change(weights: dict[str, torch.Tensor]) -> None:
        del weights[lost]
        weights["visual_bert.additional.weight"] = torch.zeros(1)
        weights["visual_bert.embeddings.position_ids"] = torch.arange(22)[None]

    change_weights(folder, change)
    with pytest.raises(CheckpointError, match=rf"missing {lost}; left over visual_bert\.additional\.weight; get"):
        import_checkpoint(str(folder), tmp_path / "ours")
    report = import_checkpoint(str(folder), tmp_path / "ours", allow_mismatch=True)
    assert (report.missing, report.left_over) == ((lost,), ("visual_bert.additional.weight",))
    assert report.left_aside == ("cls.seq_relationship.bias", "cls.seq_relationship.weight")
    assert "text_layers" not in report.fresh
    assert "joint_layers" in report.fresh


@pytest.mark.parametrize("name", ["bert.embeddings.position_embeddings.weight", "bert.pooler.dense.weight"])
def test_weights_of_another_shape_are_refused(tmp_path: Path, name: str) -> None:
    oscar(tmp_path)
    change_weights(tmp_path, lambda weights: weights.update({name: torch.zeros(5, 7)}))
    with pytest.raises(CheckpointError, match=rf"do not fit its config\.json: expected .* of {name} \[5, 7\]"):
        import_checkpoint(str(tmp_path), tmp_path / "ours", allow_mismatch=True)


def test_numbers_and_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    vilt(folder)
    with pytest.raises(CheckpointError, match=f"a first joint layer of 0 to {LAYERS - 1}, got {LAYERS}"):
        import_checkpoint(str(folder), tmp_path / "ours", first_joint_layer=LAYERS)
    with pytest.raises(ConfigurationError, match="a new or an empty folder"):
        import_checkpoint(str(folder), folder)
    bert(tmp_path / "text")
    with pytest.raises(ConfigurationError, match="kept_grid to divide"):
        import_checkpoint(str(tmp_path / "text"), tmp_path / "ours", kept_grid=3)
    assert not (tmp_path / "ours").exists()
