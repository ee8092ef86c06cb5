"""Real data of public projects, which is not part of the repository."""

import os
from pathlib import Path


def shared_data() -> Path:
    """Its folder. Tests that need it and find none fail."""
    folder = Path(os.environ.get("POLYGLANCE_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    assert folder.is_dir(), (
        f"expected real data in {folder}: read it from ../shared/data beside the checkout, or name the place with the "
        "environment variable POLYGLANCE_SHARED_DATA"
    )
    return folder
