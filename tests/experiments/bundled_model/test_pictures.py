"""The variants of training pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.bundled_model.pictures import Variant, drawn_variants, seen_in, varied
from experiments.pictures.folders import ARTISTS, TRAINING_ARTISTS
from polyglance.data.gallery import gallery
from polyglance.nn.class_mixture import ClassifierEyes


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photograph.jpg"
    Image.effect_noise((700, 500), 60).convert("RGB").save(path)
    return path


def test_the_first_variant_of_a_drawing_is_the_drawing_on_white_and_others_differ() -> None:
    path = gallery()[0].path
    plain, *others = (varied(Variant(path, "noto", 0, seed)) for seed in range(5))
    with Image.open(path) as emoji:
        white = Image.new("RGBA", emoji.size, "white")
        white.alpha_composite(emoji.convert("RGBA"))
    expected = white.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)
    assert np.abs(plain.astype(int) - np.asarray(expected).transpose(2, 0, 1)).mean() < 2
    assert all(one.shape == (3, 256, 256) and one.dtype == np.uint8 for one in (plain, *others))
    assert len({one.tobytes() for one in (plain, *others)}) == 5
    assert varied(Variant(path, "noto", 0, 3)).tobytes() == others[2].tobytes()


def test_variants_of_a_photograph_are_cuts(photograph: Path) -> None:
    cuts = [varied(Variant(photograph, "photographs", -1, seed)) for seed in range(3)]
    assert len({cut.tobytes() for cut in cuts}) == 3
    assert all(cut.shape == (3, 256, 256) for cut in cuts)


def test_artists_that_are_measured_are_not_drawn_from() -> None:
    assert not set(ARTISTS) & set(TRAINING_ARTISTS)


def test_variants_and_what_is_seen_in_them_are_made_once(tmp_path: Path, photograph: Path) -> None:
    variants = [Variant(photograph, "photographs", -1, 0), Variant(gallery()[5].path, "noto", 5, 0)]
    told: list[tuple[int, int]] = []
    pixels = drawn_variants(variants, tmp_path / "variants.npy", lambda *done: told.append(done))
    assert told == [(2, 2)]
    eyes = ClassifierEyes("tf_efficientnet_lite0", 8).eval()
    torch.nn.init.normal_(eyes.class_vectors)
    seen = seen_in(pixels, eyes, tmp_path / "variants", lambda *done: told.append(done))
    grid, whole = eyes(pixels)
    torch.testing.assert_close(seen.grid.float(), grid, atol=0.01, rtol=0.01)
    torch.testing.assert_close(seen.whole.float(), whole, atol=0.01, rtol=0.01)
    again = drawn_variants(variants, tmp_path / "variants.npy", lambda *done: told.append(done))
    seen_in(again, eyes, tmp_path / "variants", lambda *done: told.append(done))
    assert len(told) == 2
    assert torch.equal(again, pixels)
