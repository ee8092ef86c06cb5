"""Draw the README's picture again, with the bundled model: `python -m docs.demo`.

It is the contact sheet of `polyglance demo`, in 256 colours. The fonts of this machine need the letters of all of the
demo's languages: Debian's `fonts-noto-core` and `fonts-noto-cjk` have them.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from polyglance.cli.contact_sheet import font_for
from polyglance.cli.demo import WORDS, run_demo

PICTURE = Path(__file__).with_name("images") / "demo.png"


def main() -> None:
    undrawn = [language for language, (query, _) in WORDS.items() if font_for(query, 15) is None]
    if undrawn:
        raise SystemExit(f"expected fonts with the letters of all languages, found none for {', '.join(undrawn)}")
    with TemporaryDirectory() as folder:
        report = run_demo(Path(folder) / "polyglance-demo")
        with Image.open(report.contact_sheet) as sheet:
            few_colours = sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3)
    few_colours.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
