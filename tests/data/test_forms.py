"""What a search pays for the checking of files that it does not read: nothing."""

import os
import subprocess
import sys

from tests.cli.command import SOURCE


def test_a_library_is_opened_without_the_models_of_files() -> None:
    program = "import sys, polyglance.library; sys.exit('polyglance.data.forms' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(SOURCE)}, check=False)
    assert done.returncode == 0
