"""The command that teaches a model a language."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyglance.cli.options import Json, Seed
from polyglance.cli.output import console, one_line, print_json, stages, warn, warn_skipped
from polyglance.languages import language_code
from polyglance.models import BUNDLED

if TYPE_CHECKING:
    from polyglance.training.languages.trainer import LanguageReport


def language(
    language: Annotated[
        str, typer.Option(metavar="CODE", callback=language_code, help="The language to learn: its ISO 639-1 code.")
    ],
    corpus: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Sentences in the language: a text with one per line, or captions as .jsonl."
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Output folder of the language; created if missing.")],
    translations: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='JSON Lines such as {"en": "A dog.", "fr": "Un chien."}, some hundred.'),
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Any pictures; a translation learns to match them as its original does."),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model to teach: a name or a folder.")] = BUNDLED,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Number of passes over the sentences.")] = 3,
    steps: Annotated[int, typer.Option(min=1, metavar="N", help="Batches of translations.")] = 600,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Teach a model a language without changing the model.

    Sentences alone teach which words go together. Translations into a language that the model knows teach what they
    mean; a few hundred are enough. The output folder is a model with one more language: use it with --model. Run the
    same command again to resume a stopped run.

    \b
    Example:
      polyglance train language --language fr --corpus french.txt --translations pairs.jsonl --output french
      polyglance search "une étoile rouge" --model french
    """
    from polyglance.data.corpora import read_corpus, read_translations
    from polyglance.data.images import find_pictures
    from polyglance.models import load_single_stream
    from polyglance.models.reading import read_readable
    from polyglance.training.curves import try_plot_losses
    from polyglance.training.languages.trainer import LanguageSettings, train_language

    settings = LanguageSettings(epochs=epochs, steps=steps, seed=seed)
    sentences = read_corpus(corpus, language)
    loaded = load_single_stream(model)
    pairs = read_translations(translations, language, loaded.languages) if translations else []
    with stages() as report:
        found = [Path(path) for path in find_pictures(images).paths] if images else []
        progress = (lambda done, total: report("reading pictures", done, total, {})) if report else None
        pictures, skipped = read_readable(loaded, found, progress) if found else (None, {})
        source = loaded.source or model
        done = train_language(loaded, source, language, sentences, output, settings, pairs, pictures, report)
    if reason := try_plot_losses(output / "training", done.stages):
        warn(reason)
    warn_skipped({str(path): reason for path, reason in skipped.items()})
    show(done, output, as_json)


def show(done: "LanguageReport", folder: Path, as_json: bool) -> None:
    before, after = done.perplexity
    if after >= before:
        warn(
            "the training learned nothing that shows: the perplexity of a hidden subword was "
            f"{before:,.1f} before it and is {after:,.1f}"
        )
    if as_json:
        print_json({"folder": str(folder), **asdict(done)})
        return
    output = console()
    output.print(
        f"{done.code}: {done.sentences:,} sentences, {done.translations:,} translations, {done.subwords:,} subwords, "
        f"{done.minutes:.1f} minutes; perplexity of a hidden subword {before:,.1f} before, {after:,.1f} after; "
        f"{done.bytes / 1e6:.1f} MB in {one_line(str(folder))}",
        soft_wrap=True,
    )
    if not done.translations:
        output.print(
            "without translations its words have no meaning that is held to what the model knows: "
            "name some hundred with --translations",
            style="yellow",
            soft_wrap=True,
        )
