"""The texts of the licences that weights come under."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

APACHE: Final = (Path(__file__).parents[2] / "LICENSE").read_text(encoding="utf-8")
"""This project's own licence, which is the Apache License 2.0."""
MIT: Final = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def write_licence(folder: Path, notices: Sequence[str], text: str) -> None:
    """Writes a file LICENSE. notices: what the packages say of their own rights."""
    parts = [*(notice.strip() for notice in notices), text.strip("\n")]
    (folder / "LICENSE").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
