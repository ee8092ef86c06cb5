"""The form in which every experiment and benchmark leaves its figures."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

RESULTS = Path(__file__).parent.parent / "docs" / "results"

Row = dict[str, object]


def write_results(name: str, rows: list[Row], seed: int, started: float, folder: Path = RESULTS) -> Path:
    """Writes `folder/NAME.json`. started: `time.time()` when the work began."""
    module = getattr(sys.modules["__main__"].__spec__, "name", name)
    document = {
        "name": name,
        "command": " ".join(["python", "-m", module, *sys.argv[1:]]),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "seed": seed,
        "machine": machine(),
        "seconds": round(time.time() - started, 1),
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def machine() -> Row:
    """What the figures were measured on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": _processor(), "cores": os.cpu_count(), "gpu": gpu}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
