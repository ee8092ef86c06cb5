"""What users call of a model, whatever its family: texts and images in, arrays and answers out."""

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyglance.errors import ConfigurationError, DataError
from polyglance.nn.states import TokenStates
from polyglance.types import Answer, Text
from tests.fakes import COLOURS, ColourModel

SIZE = (8, 8)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, colour in COLOURS.items():
        Image.new("RGB", SIZE, colour).save(tmp_path / f"{name}.png")
    return [tmp_path / f"{name}.png" for name in COLOURS]


@dataclass
class ListeningModel(ColourModel):
    """Keeps what it is given to read."""

    texts: list[Text] = field(default_factory=list)

    def read(self, inputs: list) -> TokenStates:
        self.texts += [one for one in inputs if isinstance(one, Text)]
        return super().read(inputs)


def test_vectors_of_texts_come_in_batches_in_their_order() -> None:
    model, told = ListeningModel(), []
    words = ["red", "green", "blue", "white", "rot"]
    vectors = model.encode_texts(words, batch_size=2, progress=lambda *done: told.append(done))
    assert vectors.shape == (5, model.embedding_dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[4], vectors[0], atol=1e-6)
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert model.encode_texts("red").shape == (1, 4)
    assert model.encode_texts([]).shape == (0, 4)


def test_languages_are_said_for_all_or_for_each_or_told_from_the_words() -> None:
    model = ListeningModel()
    model.encode_texts(["rot", "red"], languages="de")
    model.encode_texts(["rot", "red"], languages=["de", "en"])
    model.encode_texts(["красный", "8"])
    assert [one.language for one in model.texts] == ["de", "de", "de", "en", "ru", "auto"]
    with pytest.raises(ConfigurationError, match="got 1 for 2 texts"):
        model.encode_texts(["rot", "red"], languages=["de"])
    with pytest.raises(ConfigurationError, match="expected a language that colours knows"):
        model.encode_texts(["rot"], languages="fr")


def test_an_image_is_a_file_its_bytes_a_pil_image_or_an_array(files: list[Path]) -> None:
    model, red = ColourModel(), np.full((*SIZE, 3), (255, 0, 0), np.uint8)
    transparent = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    given = [files[0], str(files[0]), files[0].read_bytes(), Image.open(files[0]), red, transparent]
    told: list[tuple[int, int]] = []
    vectors = model.encode_images(given, batch_size=4, progress=lambda *done: told.append(done))
    np.testing.assert_allclose(vectors[:5], model.encode_texts(["red"] * 5), atol=0.01)
    np.testing.assert_allclose(vectors[5:], model.encode_texts("white"), atol=0.01)
    assert told == [(4, 6), (6, 6)]
    assert model.batches_read == [4, 2]
    np.testing.assert_array_equal(model.encode_images(red), vectors[:1])
    np.testing.assert_array_equal(model.encode_images(np.stack([red, red])), vectors[[0, 0]])
    assert model.encode_images([]).shape == (0, 4)


def test_all_images_that_cannot_be_read_are_named(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(files[0].read_bytes()[:40])
    torn = Image.open(BytesIO(files[1].read_bytes()[:-30]))
    given = [files[0], tmp_path / "torn.png", np.zeros((8, 8, 5), np.uint8), files[2], tmp_path / "nowhere.png", torn]
    with pytest.raises(DataError, match=r"4 of the pictures cannot be read") as told:
        ColourModel().encode_images(given, batch_size=2)
    for name in ("torn.png", "picture 2: expected an array", "(8, 8, 5)", "nowhere.png", "picture 5: "):
        assert name in str(told.value)
    assert "\n" not in str(told.value)


def test_similarity_is_the_cosine_of_each_with_each(files: list[Path]) -> None:
    model = ColourModel()
    cosines = model.similarity(3 * model.encode_texts(["blue", "red"]), model.encode_images(files))
    np.testing.assert_allclose(cosines, [[0, 0, 1, 0], [1, 0, 0, 0]], atol=0.01)
    assert cosines.dtype == np.float32


def test_scores_are_probabilities_of_pairs(files: list[Path]) -> None:
    model = ColourModel(calibration=(2.0, 1.0))
    expected = 1 / (1 + np.exp(-(2.0 * np.array([4, -4, -4, -4]) + 1.0)))
    np.testing.assert_allclose(model.score("red", files, batch_size=3), expected, rtol=1e-5)
    np.testing.assert_allclose(model.score(["red", "green"], files[0]), expected[:2], rtol=1e-5)
    np.testing.assert_allclose(model.score(["red", "red"], files[:2]), expected[:2], rtol=1e-5)
    assert model.score([], []).shape == (0,)
    with pytest.raises(ConfigurationError, match="as many texts as images, got 2 and 4"):
        model.score(["red", "green"], files)


def test_answers_are_the_most_probable_first(files: list[Path]) -> None:
    model = ColourModel()
    answers = model.answer(["what colour?", "which one?"], [files[2], files[1]], top=2)
    assert [[answer.answer for answer in row][:1] for row in answers] == [["blue"], ["green"]]
    assert all(len(row) == 2 and row[0].probability > row[1].probability for row in answers)
    ((only,),) = model.answer("what colour?", files[0], top=1)
    assert only == Answer("red", only.probability, "red")
    assert len(model.answer("what colour?", files, batch_size=3)) == 4


def test_a_picture_in_several_pairs_is_read_once(files: list[Path]) -> None:
    model = ColourModel()
    model.score(["red", "green", "red"], [files[0], files[0], files[1]])
    assert model.pictures_read == 2


@pytest.mark.parametrize("size", [0, -1])
def test_an_empty_batch_is_refused(files: list[Path], size: int) -> None:
    """Of a negative size there are no batches, and no vectors."""
    model = ColourModel()
    for call in (
        lambda: model.encode_texts(["red"], batch_size=size),
        lambda: model.encode_images(files, batch_size=size),
        lambda: model.score("red", files, batch_size=size),
        lambda: model.answer("which colour?", files, batch_size=size),
    ):
        with pytest.raises(ConfigurationError, match=f"expected batch_size of at least 1, got {size}"):
            call()
    with pytest.raises(ConfigurationError, match=f"expected top of at least 1, got {size}"):
        model.answer("which colour?", files, top=size)
