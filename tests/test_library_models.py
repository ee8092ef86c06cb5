"""A library and the model that reads it: what it remembers of the model, and what it reads anew."""

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from polyglance.errors import ConfigurationError, LibraryMismatch, PictureError
from polyglance.library import Library
from polyglance.models import BUNDLED, load_model
from polyglance.models.added_language import Language, LanguageFacts, save_language
from polyglance.models.protocol import ImageInput, Picture
from polyglance.nn.states import TokenStates
from polyglance.query import Query
from polyglance.types import Text, TextResult
from tests.fakes import COLOURS, ColourModel, TimedModel
from tests.journeys.tiny import save_tiny_model


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 8), colour).save(tmp_path / "pictures" / f"{name}.png")
    return tmp_path / "pictures"


# --- what a library remembers of its model


def test_a_library_made_with_a_loaded_model_opens_again_from_elsewhere(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny_model(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    Library.create("library", model=load_model("folder")).add(pictures)
    monkeypatch.chdir(pictures)
    again = Library.open(tmp_path / "library")
    assert again.model.source == str(tmp_path / "folder")
    assert len(again.search("a red star").results) == len(COLOURS)


def test_a_library_of_a_model_with_an_added_language_opens_again(tmp_path: Path, pictures: Path) -> None:
    model = load_model(save_tiny_model(tmp_path / "folder"))
    language = Language("fr", 16, model.tokenizer, None)
    save_language(language, tmp_path / "fr", LanguageFacts(str(tmp_path / "folder"), model.fingerprint, {}))
    Library.create(tmp_path / "library", model=load_model(tmp_path / "fr")).add(pictures)
    again = Library.open(tmp_path / "library")
    assert again.model.name == "tiny+fr"
    assert "fr" in again.model.languages


def test_a_folder_named_as_the_bundled_model_never_stands_for_half_of_it(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny_model(tmp_path / BUNDLED)
    monkeypatch.chdir(tmp_path)
    Library.create("bundled", model=BUNDLED).add(pictures)
    Library.create("own", model=Path(BUNDLED)).add(pictures)
    monkeypatch.chdir(pictures)
    assert Library.open(tmp_path / "bundled").model.name == BUNDLED
    assert Library.open(tmp_path / "own").model.name == "tiny"


@pytest.mark.parametrize("name", ["polyglance-mini", "scenes-mini"])
def test_a_library_of_an_earlier_edition_is_refused_with_the_command_that_reads_it_anew(
    name: str, tmp_path: Path, pictures: Path
) -> None:
    former = ColourModel(name=name, source=name, fingerprint="e" * 16)
    Library.create(tmp_path / "library", model=former).add(pictures)
    with pytest.raises(LibraryMismatch, match="made with an earlier edition of the bundled model") as told:
        Library.open(tmp_path / "library")
    assert "\n" not in str(told.value)
    assert f"{name!r} (eeeeeeeeeeee), which {BUNDLED!r} ({load_model().fingerprint[:12]}) replaces" in str(told.value)
    remove, index = str(told.value).split("to read the pictures again: ")[1].split(" && ")
    assert shlex.split(remove) == ["rm", "-r", str(tmp_path / "library")]
    assert shlex.split(index) == [
        *["polyglance", "index", str(pictures)],
        *["--library", str(tmp_path / "library"), "--model", BUNDLED],
    ]
    with pytest.raises(LibraryMismatch, match=f"was read by {name!r}"):
        Library.open(tmp_path / "library", model=save_tiny_model(tmp_path / "other"))


def test_a_library_of_a_model_in_memory_wants_the_model_again(tmp_path: Path, pictures: Path) -> None:
    Library.create(tmp_path / "library", model=ColourModel()).add(pictures)
    with pytest.raises(
        ConfigurationError, match=r"'colours', a model that was built in memory.*name the model"
    ) as told:
        Library.open(tmp_path / "library")
    assert "\n" not in str(told.value)
    assert len(Library.open(tmp_path / "library", model=ColourModel())) == len(COLOURS)
    with pytest.raises(LibraryMismatch, match="open it with that model"):
        Library.open(tmp_path / "library", model=ColourModel(fingerprint="colours-2"))


def test_a_model_that_is_added_to_in_memory_is_not_taken_for_what_it_was_loaded_from(tmp_path: Path) -> None:
    model = load_model(save_tiny_model(tmp_path / "folder"))
    assert model.source
    model.add_language(Language("fr", 16, None, None))
    assert model.source is None


# --- what is read anew


@dataclass
class LearningModel(ColourModel):
    """Reads Russian words once it has learned Russian: `learned` holds the fingerprint of what it learned."""

    learned: dict[str, str] = field(default_factory=dict)

    @property
    def added_languages(self) -> dict[str, str]:
        return self.learned

    def read(self, inputs: Sequence[Text] | Sequence[Picture]) -> TokenStates:
        words = {code: {"красный": "red", "синий": "blue"} for code in self.learned}
        known = [Text(words.get(one.language, {}).get(one.text, one.text)) for one in inputs if isinstance(one, Text)]
        return super().read(known or inputs)


def best_text(library: Library, picture: Path) -> TextResult:
    return library.search_texts(Query.picture(picture), k=1, rerank=False).results[0]


def test_a_caption_whose_language_is_corrected_is_read_anew(tmp_path: Path, pictures: Path) -> None:
    library = Library.create(tmp_path / "library", model=LearningModel(learned={"ru": "1"}))
    captions, cosines = tmp_path / "captions.jsonl", []
    for language in ("en", "ru"):
        row = {"image": "pictures/blue.png", "caption": "синий", "language": language}
        captions.write_text(json.dumps(row), encoding="utf-8")
        library.add_texts(captions)
        cosines.append(best_text(library, pictures / "blue.png").retrieval_score)
    assert cosines == [pytest.approx(0.5, abs=0.01), pytest.approx(1, abs=0.01)]


def test_texts_are_read_anew_when_their_language_was_added_or_learned_again(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "texts.txt").write_text("красный\nwhite", encoding="utf-8")
    before = Library.create(tmp_path / "library", model=LearningModel())
    assert before.add_texts(tmp_path / "texts.txt").added == 2
    for learned in ("1", "2"):
        after = Library.open(tmp_path / "library", model=LearningModel(learned={"ru": learned}))
        report = after.add_texts(tmp_path / "texts.txt")
        assert (report.added, report.unchanged) == (1, 1)
        assert best_text(after, pictures / "red.png").text == "красный"
        assert after.add_texts(tmp_path / "texts.txt").added == 0


@dataclass
class BesideModel(TimedModel):
    """Sees in a picture what the file beside it says, and never a pixel."""

    side_files = (".txt",)

    def open(self, image: ImageInput) -> Picture:
        if not isinstance(image, str | os.PathLike):
            raise PictureError("expected a path")
        return super().open(Image.new("RGB", (8, 8), Path(image).with_suffix(".txt").read_text()))

    def empty_picture(self) -> Picture:
        return super().open(Image.new("RGB", (8, 8), "white"))


@pytest.fixture
def beside(tmp_path: Path, pictures: Path) -> Library:
    for name in COLOURS:
        (pictures / f"{name}.txt").write_text(name)
    library = Library.create(tmp_path / "library", model=BesideModel())
    assert library.add(pictures).added == len(COLOURS)
    return library


def test_a_side_file_that_changes_is_read_anew(beside: Library, pictures: Path) -> None:
    assert beside.search("green", k=1).results[0].path == str(pictures / "green.png")
    assert beside.add(pictures).unchanged == len(COLOURS)
    (pictures / "white.txt").write_text("green")
    (pictures / "green.txt").write_text("white")
    assert beside.ask("which?", image=pictures / "white.png").answers[0].answer == "green"
    beside.add(pictures)
    assert beside.search("green", k=1).results[0].path == str(pictures / "white.png")


def test_a_budget_of_time_works_for_a_model_that_reads_no_pixels(beside: Library) -> None:
    response = beside.search("green", budget_ms=1_000)
    assert response.picked.candidates > 0
    assert response.results[0].path.endswith("green.png")
