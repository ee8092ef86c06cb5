"""`polyglance demo`: makes, indexes, searches and asks about a gallery in eight languages, and draws the results."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from polyglance.cli.contact_sheet import PER_ROW, SheetBlock, SheetRow, draw_contact_sheet, is_likely
from polyglance.cli.library import library_to_fill
from polyglance.cli.output import console, one_line, progress, table
from polyglance.data.gallery import gallery
from polyglance.data.samples import samples_folder
from polyglance.errors import ConfigurationError
from polyglance.languages import DEMO_LANGUAGES, NAMES
from polyglance.models import BUNDLED
from polyglance.scenes.sampling import FIRST_SEED
from polyglance.types import IndexReport, SearchResponse, SearchResult

if TYPE_CHECKING:
    from polyglance.library import Library

SCENES: Final = 200
SEED: Final = FIRST_SEED["test"] + 500_000
"""The first seed of scenes that no training has seen."""
EMOJI_STEP: Final = 7
"""Every seventh emoji of the gallery is in the demo, so that photographs and clip art are not lost among emoji."""
WORDS: Final = {
    "en": ("something to eat", "something to eat"),
    "de": ("ein Musikinstrument", "a musical instrument"),
    "pt": ("um animal que vive na água", "an animal that lives in the water"),
    "ru": ("зима", "winter"),
    "id": ("alat transportasi", "means of transport"),
    "bn": ("বাগানের ফুল", "garden flowers"),
    "ko": ("우주 여행", "space travel"),
    "zh": ("悲伤", "sadness"),
}
"""Language -> a query that is neither the name nor a keyword of an emoji, and its meaning in English."""
CANDIDATES: Final = 20
QUESTIONS: Final = 2
MARKER: Final = "polyglance-demo.txt"

Line = dict[str, Any]
"""A line of captions.jsonl or questions.jsonl."""


@dataclass(frozen=True)
class DemoSearch:
    """A search of the demo. Ranks count from 1 and are None if the picture is not among the candidates."""

    language: str
    query: str
    expected: str
    retrieved_rank: int | None
    reranked_rank: int | None
    milliseconds: dict[str, float]


@dataclass(frozen=True)
class DemoWords:
    """A search for whatever fits some words.

    meaning: the query in English. results: the best pictures. Their scores say which of them fit.
    """

    language: str
    query: str
    meaning: str
    results: list[SearchResult]
    milliseconds: dict[str, float]


@dataclass(frozen=True)
class DemoAnswer:
    """A question about the best hit.

    expected: the answer from the scene graph.
    """

    language: str
    question: str
    answer: str
    probability: float
    expected: str
    milliseconds: dict[str, float]


@dataclass(frozen=True)
class DemoReport:
    folder: str
    pictures: int
    index: IndexReport
    searches: list[DemoSearch]
    words: list[DemoWords]
    picture: str
    """The picture of the questions: the best hit, or the scene of the search if the best hit is no scene."""
    answers: list[DemoAnswer]
    contact_sheet: str


@dataclass(frozen=True)
class DemoTarget:
    """A picture to search for, with queries of the same meaning in every language."""

    queries: dict[str, str]
    expected: Path


def run_demo(folder: Path, model: str = BUNDLED) -> DemoReport:
    """Makes, indexes, searches, asks and draws. The folder of an earlier run is used again."""
    make_pictures(folder)
    library = library_to_fill(folder / "library", model)
    with progress("Reading pictures") as tick:
        index = library.add([folder / name for name in ("gallery", "samples", "scenes")], progress=tick)

    target = scene_target(folder)
    library.search(target.queries["en"], k=1)  # warms up, so that the times below are a running program's
    found = [
        library.search(target.queries[language], k=CANDIDATES, candidates=CANDIDATES, language=language)
        for language in DEMO_LANGUAGES
    ]
    words = [search_words(library, language) for language in DEMO_LANGUAGES]
    best = Path(found[0].results[0].path)
    picture = best if questions_about(folder, best) else target.expected
    sheet = folder / "contact_sheet.png"
    draw_contact_sheet(sheet, [scene_block(target, found), words_block(words)])
    return DemoReport(
        folder=str(folder),
        pictures=len(library),
        index=index,
        searches=[outcome(target, response) for response in found],
        words=words,
        picture=str(picture),
        answers=[ask(library, picture, line) for line in questions_about(folder, picture)],
        contact_sheet=str(sheet),
    )


def make_pictures(folder: Path) -> None:
    """Writes emoji of the gallery, the sample pictures and fresh scenes as picture files, unless they exist."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARKER).exists())):
        raise ConfigurationError(
            f"the demo wants an empty folder or its own; {folder} holds other files: name another with --folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("Made by `polyglance demo`; it can be deleted.\n", encoding="utf-8")
    (folder / "gallery").mkdir(exist_ok=True)
    for entry in gallery()[::EMOJI_STEP]:
        shutil.copy(entry.path, folder / "gallery")
    shutil.copytree(samples_folder(), folder / "samples", dirs_exist_ok=True)
    if not (folder / "scenes" / "questions.jsonl").exists():
        from polyglance.scenes.make import make_scenes

        with progress("Drawing scenes") as tick:
            make_scenes(folder / "scenes", SCENES, SEED, DEMO_LANGUAGES, unique=True, progress=tick)


def scene_target(folder: Path) -> DemoTarget:
    """Returns the scene whose English caption is nearest to 50 characters, with its captions in all languages."""
    spoken = said_in_every_language(folder / "scenes" / "captions.jsonl")
    lines = min(spoken, key=lambda lines: abs(len(lines["en"]["caption"]) - 50))
    queries = {language: line["caption"] for language, line in lines.items()}
    return DemoTarget(queries, folder / "scenes" / lines["en"]["image"])


def said_in_every_language(file: Path) -> list[dict[str, Line]]:
    """Returns the lines of the file for each meaning, by language."""
    meanings: dict[str, dict[str, Line]] = {}
    for text in file.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        meanings.setdefault(line["id"], {})[line["language"]] = line
    return [{language: lines[language] for language in DEMO_LANGUAGES} for lines in meanings.values()]


def search_words(library: "Library", language: str) -> DemoWords:
    query, meaning = WORDS[language]
    response = library.search(query, k=PER_ROW, candidates=CANDIDATES, language=language)
    return DemoWords(language, query, meaning, response.results, response.milliseconds)


def outcome(target: DemoTarget, response: SearchResponse[SearchResult]) -> DemoSearch:
    def rank(paths: Sequence[str]) -> int | None:
        return next((rank for rank, path in enumerate(paths, start=1) if same(path, target.expected)), None)

    retrieved = sorted(response.results, key=lambda result: (-result.retrieval_score, result.path))
    return DemoSearch(
        response.language,
        response.query,
        str(target.expected),
        rank([result.path for result in retrieved]),
        rank([result.path for result in response.results]),
        response.milliseconds,
    )


def same(path: str, expected: Path) -> bool:
    return Path(path).resolve() == expected.resolve()


def questions_about(folder: Path, picture: Path) -> list[Line]:
    """Returns questions of different types about a scene, each in all languages; none for any other picture."""
    chosen: dict[str, dict[str, Line]] = {}
    for lines in said_in_every_language(folder / "scenes" / "questions.jsonl"):
        if same(str(folder / "scenes" / lines["en"]["image"]), picture):
            chosen.setdefault(lines["en"]["types"]["structural"], lines)
    return [line for lines in list(chosen.values())[:QUESTIONS] for line in lines.values()]


def ask(library: "Library", picture: Path, line: Line) -> DemoAnswer:
    response = library.ask(line["question"], image=picture, language=line["language"])
    best = response.answers[0]
    return DemoAnswer(
        line["language"], line["question"], best.answer, best.probability, line["answer"], response.milliseconds
    )


def scene_block(target: DemoTarget, responses: Sequence[SearchResponse[SearchResult]]) -> SheetBlock:
    rows = [
        SheetRow(
            NAMES[response.language],
            response.query,
            target.queries["en"],
            scored(response.results),
            next((Path(one.path) for one in response.results if same(one.path, target.expected)), None),
        )
        for response in responses
    ]
    return SheetBlock("A scene, described in eight languages", rows)


def words_block(words: Sequence[DemoWords]) -> SheetBlock:
    rows = [SheetRow(NAMES[one.language], one.query, one.meaning, scored(one.results)) for one in words]
    return SheetBlock("In a few words, one search in each language", rows, translated=True)


def scored(results: Sequence[SearchResult]) -> list[tuple[Path, float | None]]:
    return [(Path(result.path), result.score) for result in results]


def called(path: str) -> str:
    """Returns the name of an emoji of the gallery, or that of the file."""
    name = Path(path).stem
    return next((entry.names["en"] for entry in gallery() if entry.id == name), name)


def show_demo(report: DemoReport) -> None:
    output = console()
    new = f"{report.index.added} read in {report.index.seconds:.1f} s, {report.index.pictures_per_second:.0f} a second"
    output.print(f"{report.pictures} pictures in {one_line(report.folder)}: {new}\n")
    numbers = ["retrieved", "reranked", "ms"]
    found = table(
        "language", "query", *numbers, numbers=numbers, title="A scene, described: the rank of the right picture"
    )
    for search in report.searches:
        ranks = (str(rank or "-") for rank in (search.retrieved_rank, search.reranked_rank))
        found.add_row(NAMES[search.language], one_line(search.query), *ranks, f"{search.milliseconds['total']:.1f}")
    output.print(found)
    fits = table("language", "query", "in English", "fits", title=f"In a few words: which of the best {PER_ROW} fit")
    for words in report.words:
        named = ", ".join(called(one.path) for one in words.results if is_likely(one.score))
        fits.add_row(NAMES[words.language], words.query, words.meaning, one_line(named) or "nothing")
    output.print(fits)
    if report.answers:
        title = f"Questions about {Path(report.picture).name}"
        said = table("language", "question", "answer", "right", "sure", "ms", numbers=["sure", "ms"], title=title)
        for answer in report.answers:
            said.add_row(
                NAMES[answer.language],
                one_line(answer.question),
                answer.answer,
                "yes" if answer.answer == answer.expected else f"no: {answer.expected}",
                f"{answer.probability:.2f}",
                f"{answer.milliseconds['total']:.1f}",
            )
        output.print(said)
    output.print(f"The results as one picture: {one_line(report.contact_sheet)}", soft_wrap=True)
    library = Path(report.folder) / "library"
    output.print(f'Now yours: polyglance search "a dog at night" --library {one_line(str(library))}', soft_wrap=True)
