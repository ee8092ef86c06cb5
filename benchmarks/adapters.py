"""Compares adapters on a BERT of base size with the `adapters` library and PEFT on the same weights.

    make bench-adapters
    python -m benchmarks.adapters [--repeats 7] [--dtypes float32] [--only TEXT]

Both sides load the same random body and adapters and give the same outputs or gradients, which is checked before the
timing. They are timed in turns (ours, theirs, ours, ...) in one run, with the same dtype and threads. ratio: theirs /
ours, of medians. Rows of the bare body show the body's share of a ratio. If the sides differ in the drop depth or in
the pruning of a fusion, another row has them equal.

This measures with AVX2 alone on a processor that has more:

    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 make bench-adapters

With a GPU the benchmark runs there, counts the kernels of a forward pass, and writes a file of its own. Each row is
written as soon as it is measured and replaces an older one of its case, dtype and instruction set.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from polyglance.adapters.composition import Composition, Fuse, Parallel
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters
from polyglance.kernels.processor import instruction_set, native_dtype
from polyglance.models.families.text_encoder import load_text_encoder

ROOT = Path(__file__).parents[1]
NAMES = [f"task{i}" for i in range(8)]
LATE = [f"{name}-late" for name in NAMES]
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.25}
"""The largest difference allowed between outputs, which are of size 1; bfloat16 keeps three digits in each of twelve
layers."""

BLOCK_MS = 300
"""The milliseconds for which a short case runs at a time on each side, so that the other's memory leaves the caches."""
CASE_SECONDS = 40
"""The seconds after which a case takes no more turns, if it has had three."""


class Peer:
    """The process of the other side. script: its file in this folder. python: the interpreter."""

    def __init__(
        self, script: str = "_adapters_peer.py", python: Path = ROOT / ".venv-peers" / "bin" / "python"
    ) -> None:
        require_one_state(os.environ)
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


_LIMITS = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")


def require_one_state(settings: Mapping[str, str]) -> None:
    """Raises RuntimeError for settings that restrict oneDNN, torch and MKL to different instruction sets, which would
    slow one side more than the other."""
    values = {settings.get(name, "").upper() for name in _LIMITS}
    if len(values) > 1:
        raise RuntimeError(f"expected {', '.join(_LIMITS)} to name one instruction set, or none of them to be set")


@dataclass(frozen=True)
class Comparison:
    """A row of the table. peers: the cases of the other side; the fastest one counts. required: the lowest ratio by
    dtype, and with AVX2 alone ("AVX2"); without an entry there is no limit. equal: whether both sides compute the same,
    which is then checked."""

    title: str
    peers: tuple[str, ...]
    required: Mapping[str, float] = field(default_factory=dict)
    equal: bool = True


@dataclass(frozen=True)
class Case:
    """What our side runs on token ids of a shape, and what it is compared with in the same turns."""

    shape: str
    ours: str
    comparisons: tuple[Comparison, ...]


def bare(shape: str) -> Case:
    """Returns the case of the body alone on both sides, which shows how much of a ratio the adapters add."""
    return Case(shape, "bare", (Comparison(f"bare body, {shape.replace('x', ' x ')}", ("bare",)),))


CASES = (
    Case("1x32", "parallel", (
        Comparison("8 tasks at once, 1 x 32, n=5 on both sides", ("parallel",),
                   {"float32": 1.8, "bfloat16": 1.5, "AVX2": 1.3}),
    )),
    bare("8x32"),
    Case("8x16", "mixed", (
        Comparison("mixed batch, 8 adapters, 8 x 16", ("batch_split", "lora"),
                   {"float32": 1.8, "bfloat16": 1.5, "AVX2": 1.5}),
    )),
    bare("8x16"),
    Case("32x64", "mixed", (
        Comparison("mixed batch, 8 adapters, 32 x 64", ("batch_split", "lora"), {"float32": 1.7, "bfloat16": 1.15}),
    )),
    bare("32x64"),
    Case("16x128", "parallel", (
        Comparison("8 tasks at once, 16 x 128, n=5 on both sides", ("parallel",), {"float32": 1.7, "bfloat16": 1.15}),
        Comparison("8 tasks at once, 16 x 128, our n=5, their n=0", ("parallel_all",),
                   {"float32": 2.7, "bfloat16": 1.8}, equal=False),
    )),
    Case("16x128", "fuse", (
        Comparison("AdapterFusion of 8, 16 x 128", ("fuse",), {"float32": 2.5, "bfloat16": 1.7, "AVX2": 2.5}),
    )),
    Case("16x128", "pruned", (
        Comparison("AdapterFusion of 8 pruned to 2 on both sides, 16 x 128", ("pruned",)),
        Comparison("AdapterFusion of 8, ours pruned to 2, 16 x 128", ("fuse",), {"float32": 3.0, "bfloat16": 2.0},
                   equal=False),
    )),
    bare("16x128"),
    *(
        Case("16x128", f"train{depth}", (
            Comparison(f"training after the first epoch, n={depth} on both sides, 16 x 128", (f"train{depth}",)),
            Comparison(f"training after the first epoch, our n={depth}, their n=0, 16 x 128", ("train0",), required,
                       equal=False),
        ))
        for depth, required in ((5, {"float32": 2.5, "bfloat16": 1.6, "AVX2": 1.8}),
                                (8, {"float32": 4.0, "bfloat16": 2.8}))
    ),
    Case("16x128", "bare_train", (Comparison("bare body, forward and backward, 16 x 128", ("bare_train",)),)),
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

    def case(self, name: str, ids: Tensor, rows: Sequence[int]) -> tuple[Callable[[], object], Callable[[], Tensor]]:
        """Returns the function that is timed, and one whose output must equal the other side's. rows: the adapter of
        each row."""
        mask = torch.ones_like(ids, dtype=torch.bool)
        if name.startswith("train"):
            return self._training(ids, mask, int(name.removeprefix("train")))
        if name == "bare_train":
            return self._backward(ids, mask)
        compositions: dict[str, list[Composition]] = {
            "bare": [],
            "parallel": [Parallel(*LATE)] * len(ids),
            "mixed": [NAMES[row] for row in rows],
            "fuse": [Fuse(*NAMES)] * len(ids),
            "pruned": [Fuse(*NAMES)] * len(ids),
        }
        bank, acting = self.banks[name == "pruned"], compositions[name]

        def run() -> Tensor:
            with torch.inference_mode():
                return self.model(ids, mask, adaptation=Adaptation(bank, acting) if acting else None)

        def output() -> Tensor:
            """Groups the rows by task, as the library does; ours are grouped by input."""
            return run().unflatten(0, (len(ids), -1)).transpose(0, 1).flatten(0, 1)

        return run, output

    def _training(self, ids: Tensor, mask: Tensor, depth: int) -> tuple[Callable[[], object], Callable[[], Tensor]]:
        """Returns a step of an epoch after the first: the states before layer `depth` are kept, and the loss is that of
        the first token, as in `training/tasks`."""
        adapter = read_adapter(self.folder / f"train{depth}")[1].to(self.device, self.dtype)
        encoder = self.model.encoder
        with torch.no_grad():
            kept = encoder(self.model.embed(ids, mask), mask, layers=range(depth))
        source = TrainableAdapters({"task": adapter})
        optimizer = torch.optim.AdamW(source.parameters(), lr=1e-5)
        adaptation = Adaptation(source, ["task"] * len(ids))

        def backward() -> None:
            first, _ = encoder.first(kept, mask, adaptation, depth)
            first.float().pow(3).mean().backward()

        def run() -> None:
            backward()
            optimizer.step()
            optimizer.zero_grad()

        def output() -> Tensor:
            backward()
            found = largest_is_one(adapter.down.grad[:, 0])
            optimizer.zero_grad()
            return found

        return run, output

    def _backward(self, ids: Tensor, mask: Tensor) -> tuple[Callable[[], object], Callable[[], Tensor]]:
        """Returns a forward and backward pass through all layers, with the gradients of the first layer's inputs."""
        with torch.no_grad():
            embedded = self.model.embed(ids, mask)

        def run() -> Tensor:
            x = embedded.detach().requires_grad_()
            first, _ = self.model.encoder.first(x, mask)
            first.float().pow(3).mean().backward()
            return x.grad

        return run, lambda: largest_is_one(run())


def largest_is_one(gradient: Tensor) -> Tensor:
    return gradient / gradient.abs().max()


def measure(case: Case, ours: Ours, peer: Peer, ids: Tensor, repeats: int) -> Iterator[Row]:
    """Yields the rows of a case, timed in `repeats` turns, or in fewer (at least three) after `CASE_SECONDS`."""
    dtype = str(ours.dtype).removeprefix("torch.")
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0)).tolist()
    rows = [row % len(NAMES) for row in order]
    names = list(dict.fromkeys(name for one in case.comparisons for name in one.peers))
    for name in names:
        peer(case=name, shape=case.shape, rows=rows)
    run, output = ours.case(case.ours, ids.to(ours.device), rows)
    differences = {one.title: difference(one, ours.folder, output(), TOLERANCE[dtype]) for one in case.comparisons}
    times: list[float] = []
    peers: dict[str, list[float]] = {name: [] for name in names}
    block = max(1, round(BLOCK_MS / milliseconds(run, ours.device, 1)))
    began = time.perf_counter()
    while len(times) < repeats and (len(times) < 3 or time.perf_counter() - began < CASE_SECONDS):
        times.append(milliseconds(run, ours.device, block))
        for name in names:
            peers[name].append(peer(time=name, times=block))
    for name in names:
        peer(forget=name)
    own_ms = statistics.median(times)
    for one in case.comparisons:
        best = min(one.peers, key=lambda name: statistics.median(peers[name]))
        ratios = sorted(theirs / own for theirs, own in zip(peers[best], times, strict=True))
        peer_ms = statistics.median(peers[best])
        yield {
            "case": one.title,
            "dtype": dtype,
            "ours_ms": round(own_ms, 1),
            "peer": best,
            "peer_ms": round(peer_ms, 1),
            "ratio": round(peer_ms / own_ms, 2),
            "required": one.required.get("AVX2" if instruction_set().startswith("AVX2") else dtype),
            "spread": [round(ratios[0], 2), round(ratios[-1], 2)],
            "max_abs_diff": differences[one.title],
            **({"kernels": kernels(run)} if ours.device.type == "cuda" else {}),
        }


def difference(comparison: Comparison, folder: Path, ours: Tensor, most: float) -> float | None:
    """Returns the largest difference of the outputs, or None if they need not be equal. Raises RuntimeError above
    `most`."""
    if not comparison.equal:
        return None
    found = max(
        (ours.float().cpu() - load_file(folder / f"{name}.safetensors")["output"]).abs().max().item()
        for name in comparison.peers
        if name != "lora"  # other weights
    )
    if not found <= most:
        raise RuntimeError(f"{comparison.title}: outputs differ by {found:.2g}")
    return found


def milliseconds(work: Callable[[], object], device: torch.device, times: int) -> float:
    """Returns the time per run over some runs."""
    started = time.perf_counter()
    for _ in range(times):
        work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - started) / times


def kernels(work: Callable[[], object]) -> int:
    """Returns the number of GPU kernels that `work` launches."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work()
    return sum(event.count for event in profile.key_averages())


def loading(ours: Ours, repeats: int) -> Row:
    """Measures the loading of one adapter from its folder into a model in use."""
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
                if any(arguments.only in one.title for one in case.comparisons):
                    for row in measure(case, ours, peer, ids[case.shape], arguments.repeats):
                        rows.add(row)
            rows.add(loading(ours, 20))


if __name__ == "__main__":
    main()
