"""Adapters on a BERT of base size, against the `adapters` library and PEFT on the same weights.

    make bench-adapters
    python -m benchmarks.adapters [--repeats 7] [--dtypes float32] [--only TEXT]

Both sides load one random body and the same adapters, give the same outputs (checked before anything is timed) and are
timed in turns: ours, theirs, ours, ... in one run, with the same dtype and threads. ratio: theirs / ours, of medians.
On a GPU, where there is one, with the kernels that a forward launches, into a file of its own. Each row is
written as soon as it is there, in place of an older one of its case and dtype.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from experiments.results import RESULTS, Measurements, Row
from polyglance.adapters.adapterhub import read_adapter, read_fusion
from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.checkpoint import save_adapter
from polyglance.adapters.composition import Composition, Drop, Fuse, Parallel
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.kernels.processor import native_dtype
from polyglance.models.families.text_encoder import load_text_encoder

ROOT = Path(__file__).parents[1]
NAMES = [f"task{i}" for i in range(8)]
LATE = [f"{name}-late" for name in NAMES]
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.25}
"""Largest difference of the outputs, which are of size 1; bfloat16 keeps three digits in each of twelve layers."""

BLOCK_MS = 300
"""Short cases are run so long at a time on each side, so that the other side's memory is out of the caches."""


class Peer:
    """The process of the other side. script: its file here. python: what runs it."""

    def __init__(
        self, script: str = "_adapters_peer.py", python: Path = ROOT / ".venv-peers" / "bin" / "python"
    ) -> None:
        self.process = subprocess.Popen(
            [python, "-P", Path(__file__).with_name(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            text=True,
        )

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __call__(self, **command: Any) -> Any:
        print(json.dumps(command), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the peer's process ended at {command}")
        return json.loads(answer)


@dataclass(frozen=True)
class Case:
    """One row of the table. peers: cases of the other side, the fastest of which counts."""

    title: str
    shape: str
    peers: tuple[str, ...]
    ours: str
    required: dict[str, float]
    equal_to: str | None
    """The case of the other side whose output ours must equal; None where the other side computes something else."""


CASES = (
    Case("8 tasks at once, 1 x 32, n=5 on both sides", "1x32", ("parallel",), "parallel",
         {"float32": 1.8, "bfloat16": 1.5}, "parallel"),
    Case("8 tasks at once, 16 x 128, n=5 on both sides", "16x128", ("parallel",), "parallel",
         {"float32": 1.7, "bfloat16": 1.15}, "parallel"),
    Case("8 tasks at once, 16 x 128, our n=5, their n=0", "16x128", ("parallel_all",), "parallel",
         {"float32": 2.7, "bfloat16": 1.8}, None),
    Case("mixed batch, 8 adapters, 32 x 64", "32x64", ("batch_split", "lora"), "mixed",
         {"float32": 1.7, "bfloat16": 1.15}, "batch_split"),
    Case("mixed batch, 8 adapters, 8 x 16", "8x16", ("batch_split", "lora"), "mixed",
         {"float32": 1.8, "bfloat16": 1.5}, "batch_split"),
    Case("AdapterFusion of 8, 16 x 128", "16x128", ("fuse",), "fuse", {"float32": 2.5, "bfloat16": 1.7}, "fuse"),
    Case("AdapterFusion of 8 pruned to 2, 16 x 128", "16x128", ("fuse",), "pruned",
         {"float32": 3.0, "bfloat16": 2.0}, None),
    Case("training after the first epoch, n=5, 16 x 128", "16x128", ("train",), "train5",
         {"float32": 2.5, "bfloat16": 1.6}, None),
    Case("training after the first epoch, n=8, 16 x 128", "16x128", ("train",), "train8",
         {"float32": 4.0, "bfloat16": 2.8}, None),
)  # fmt: skip


class Ours:
    """Our side of each case."""

    def __init__(self, folder: Path, dtype: torch.dtype, device: torch.device) -> None:
        self.folder, self.dtype, self.device = folder, dtype, device
        self.model = load_text_encoder(folder / "body", dtype).to(device).requires_grad_(False)
        layers, width = len(self.model.encoder.layers), self.model.config.width
        self.banks = [AdapterBank(width, layers, dtype=dtype, device=device) for _ in range(2)]
        for bank in self.banks:
            for name in [*NAMES, *LATE]:
                bank.add(name, read_adapter(folder / name)[1])
        whole, pruned = read_fusion(folder / "fusion"), read_fusion(folder / "fusion")
        pruned.keep([(NAMES[layer % 8], NAMES[(layer + 3) % 8]) for layer in range(layers)])
        for bank, fusion in zip(self.banks, (whole, pruned), strict=True):
            bank.add_fusion(fusion)

    def case(self, name: str, ids: Tensor, rows: Sequence[int]) -> Callable[[], Tensor]:
        if name.startswith("train"):
            return self._training(ids, int(name.removeprefix("train")))
        compositions: dict[str, list[Composition]] = {
            "parallel": [Parallel(*LATE)] * len(ids),
            "mixed": [NAMES[row] for row in rows],
            "fuse": [Fuse(*NAMES)] * len(ids),
            "pruned": [Fuse(*NAMES)] * len(ids),
        }
        bank = self.banks[name == "pruned"]
        mask = torch.ones_like(ids, dtype=torch.bool)

        def run() -> Tensor:
            with torch.inference_mode():
                return self.model(ids, mask, adaptation=Adaptation(bank, compositions[name]))

        return run

    def _training(self, ids: Tensor, depth: int) -> Callable[[], Tensor]:
        """A step of an epoch after the first: the states before layer `depth` are there."""
        adapter = read_adapter(self.folder / NAMES[0])[1].to(self.device, self.dtype)
        source = TrainableAdapters({"task": adapter})
        mask = torch.ones_like(ids, dtype=torch.bool)
        encoder = self.model.encoder
        with torch.no_grad():
            kept = encoder(self.model.embed(ids, mask), mask, layers=range(depth))
        optimizer = torch.optim.AdamW(source.parameters(), lr=1e-5)
        adaptation = Adaptation(source, [Drop("task", depth)] * len(ids))

        def run() -> Tensor:
            states = encoder(kept, mask, adaptation, range(depth, len(encoder.layers)))
            loss = states[:, 0].float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss.detach()

        return run


def in_order(output: Tensor, case: str, rows: int) -> Tensor:
    """Ours gives a row's tasks below each other, the library a task's rows."""
    return output.unflatten(0, (rows, -1)).transpose(0, 1).flatten(0, 1) if case == "parallel" else output


def measure(case: Case, ours: Ours, peer: Peer, ids: Tensor, repeats: int) -> Row:
    dtype = str(ours.dtype).removeprefix("torch.")
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0)).tolist()
    rows = [row % len(NAMES) for row in order]
    for name in case.peers:
        peer(case=name, shape=case.shape, rows=rows)
    run = ours.case(case.ours, ids.to(ours.device), rows)
    difference = None
    if case.equal_to:
        theirs = load_file(ours.folder / f"{case.equal_to}.safetensors")["output"]
        difference = (in_order(run(), case.ours, len(ids)).float().cpu() - theirs).abs().max().item()
        if difference > TOLERANCE[dtype]:
            raise RuntimeError(f"{case.title}, {dtype}: outputs differ by {difference:.2g}")
    times: list[float] = []
    peers: dict[str, list[float]] = {name: [] for name in case.peers}
    block = 1
    for turn in range(repeats + 1):
        taken = milliseconds(run, ours.device, block)
        theirs_taken = {name: peer(time=name, times=block) for name in case.peers}
        if turn == 0:
            block = max(1, round(BLOCK_MS / taken))
        else:
            times.append(taken)
            for name, theirs_ms in theirs_taken.items():
                peers[name].append(theirs_ms)
    for name in case.peers:
        peer(forget=name)
    best = min(peers, key=lambda name: statistics.median(peers[name]))
    ratios = sorted(theirs / own for theirs, own in zip(peers[best], times, strict=True))
    own_ms, peer_ms = statistics.median(times), statistics.median(peers[best])
    return {
        "case": case.title,
        "dtype": dtype,
        "ours_ms": round(own_ms, 1),
        "peer": best,
        "peer_ms": round(peer_ms, 1),
        "ratio": round(peer_ms / own_ms, 2),
        "required": case.required[dtype],
        "spread": [round(ratios[0], 2), round(ratios[-1], 2)],
        "max_abs_diff": difference,
        **({"kernels": kernels(run)} if ours.device.type == "cuda" else {}),
    }


def milliseconds(work: Callable[[], object], device: torch.device, times: int) -> float:
    """A run, over some runs."""
    started = time.perf_counter()
    for _ in range(times):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - started) / times


def kernels(work: Callable[[], object]) -> int:
    """How many kernels it launches."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work()
    return sum(event.count for event in profile.key_averages())


def loading(ours: Ours, repeats: int) -> Row:
    """One adapter from its folder into a model that is in use, ready to act."""
    folder = ours.folder / "saved"
    save_adapter(read_adapter(ours.folder / NAMES[0])[1], folder, "new")
    bank, times = ours.banks[0], []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        bank.add("new", folder)
        bank.slots(["new"])
        times.append(1000 * (time.perf_counter() - started))
    bank.remove("new")
    return {
        "case": "loading one adapter into a live model, ms",
        "dtype": str(ours.dtype).removeprefix("torch."),
        "ours_ms": round(statistics.median(times[1:]), 2),
        "required": 10,
        "spread": [round(min(times[1:]), 2), round(max(times[1:]), 2)],
    }


def name_of(device: torch.device) -> str:
    return "bench_adapters" if device.type == "cpu" else f"bench_adapters_{device.type}"


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    native = str(native_dtype(device)).removeprefix("torch.")
    parser.add_argument("--dtypes", default=",".join(dict.fromkeys((native, "float32"))))
    parser.add_argument("--only", default="", help="cases whose title holds this")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = Measurements(name_of(device), 0, arguments.output)
    with tempfile.TemporaryDirectory() as name, Peer() as peer:
        folder = Path(name)
        peer(make=str(folder), threads=torch.get_num_threads(), device=device.type)
        ids = load_file(folder / "ids.safetensors")
        for dtype in arguments.dtypes.split(","):
            peer(dtype=dtype)
            ours = Ours(folder, getattr(torch, dtype), device)
            for case in CASES:
                if arguments.only in case.title:
                    rows.add(measure(case, ours, peer, ids[case.shape], arguments.repeats))
            rows.add(loading(ours, 20))


if __name__ == "__main__":
    main()
