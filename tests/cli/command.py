"""The real command in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    status: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """The one document on standard output; nothing may stand beside it."""
        return json.loads(self.output)


def polyglance(*arguments: str | bytes | Path, cwd: Path | None = None, **environment: str) -> Ended:
    done = subprocess.run(
        [sys.executable, "-m", "polyglance", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "COLUMNS": "120", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        timeout=240,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))
