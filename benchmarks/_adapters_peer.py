"""The other side of `benchmarks.adapters`: the `adapters` library and PEFT, in an environment of their own.

Reads one JSON command per line and answers with one JSON line: {"make": FOLDER, ...} writes a body, its adapters and
inputs; {"dtype": NAME} sets the dtype; {"case": NAME, ...} prepares a case and runs it; {"time": NAME, ...} times it;
{"forget": NAME} frees its memory.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import adapters
import torch
from adapters import AdapterFusionConfig, SeqBnConfig
from adapters.composition import BatchSplit, Fuse, Parallel
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, logging

TASKS = 8
NAMES = [f"task{i}" for i in range(TASKS)]
DROPPED = 5
TRAINED = {f"train{depth}": depth for depth in (0, 5, 8)}
"""The adapters that are trained, each with the layer below which it is left out."""
KEPT = ["kept0", "kept1"]
"""The two adapters of the pruned fusion: in each layer, adapters layer % 8 and (layer + 3) % 8."""
LORA_RANK = 24
"""The rank for query and value, which gives as many weights as a Pfeiffer adapter with a bottleneck of 48."""

Case = Callable[[], object]


class Peer:
    def __init__(self) -> None:
        self.folder = Path()
        self.dtype = torch.float32
        self.device = torch.device("cpu")
        self.cases: dict[str, Case] = {}

    def make(self, folder: str) -> None:
        """Writes a random BERT of base size, adapters in all layers and in those from `DROPPED` on, a fusion, and token
        ids."""
        self.folder = Path(folder)
        torch.manual_seed(0)
        body = BertModel(BertConfig(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
        body.save_pretrained(self.folder / "body")
        model = self._adapted(random=True)
        for name in self._left_out():
            model.save_adapter(str(self.folder / name), name, use_safetensors=True)
        model.save_adapter_fusion(str(self.folder / "fusion"), NAMES, use_safetensors=True)
        ids = {
            f"{rows}x{tokens}": torch.randint(0, body.config.vocab_size, (rows, tokens))
            for rows, tokens in ((1, 32), (8, 32), (16, 128), (32, 64), (8, 16))
        }
        save_file(ids, self.folder / "ids.safetensors")

    def _adapted(self, random: bool = False) -> BertModel:
        model = BertModel.from_pretrained(self.folder / "body")
        adapters.init(model)
        for name, depth in self._left_out().items():
            model.add_adapter(name, config=SeqBnConfig(leave_out=list(range(depth))))
        model.add_adapter_fusion(NAMES, config=AdapterFusionConfig.load("dynamic"))
        if random:
            for key, parameter in model.named_parameters():
                if "adapter" in key:
                    torch.nn.init.normal_(parameter, std=0.02)
        else:
            for name in self._left_out():
                model.load_adapter(str(self.folder / name), load_as=name, use_safetensors=True, with_head=False)
            model.load_adapter_fusion(str(self.folder / "fusion"), use_safetensors=True)
        return model

    @staticmethod
    def _left_out() -> dict[str, int]:
        """Returns the number of lower layers that each adapter is left out of."""
        return {**dict.fromkeys(NAMES, 0), **dict.fromkeys((f"{name}-late" for name in NAMES), DROPPED), **TRAINED}

    def prepare(self, case: str, shape: str, rows: list[int]) -> None:
        """Prepares a case and writes the output that ours must equal.

        case: bare, bare_train, parallel, parallel_all, batch_split, lora, fuse, pruned, or a name in `TRAINED`. rows:
        the adapter of each row.
        """
        ids = load_file(self.folder / "ids.safetensors")[shape].to(self.device)
        if case in ("bare", "bare_train"):
            model = BertModel.from_pretrained(self.folder / "body").to(self.device, self.dtype).eval()
        elif case != "lora":
            model = self._adapted().to(self.device, self.dtype).eval()
        if case == "lora":
            self.cases[case] = self._lora(ids, rows)
            return
        if case in TRAINED:
            self.cases[case], output = self._training(model, ids, case)
        elif case == "bare_train":
            self.cases[case], output = self._backward(model, ids)
        else:
            self.cases[case], output = self._forward(model, ids, case, rows)
        save_file({"output": output.float().cpu().contiguous()}, self.folder / f"{case}.safetensors")

    def _forward(self, model: BertModel, ids: torch.Tensor, case: str, rows: list[int]) -> tuple[Case, torch.Tensor]:
        order = list(range(len(ids)))
        if case == "batch_split":
            order.sort(key=lambda row: rows[row])
            model.active_adapters = BatchSplit(*NAMES, batch_sizes=[rows.count(task) for task in range(TASKS)])
        elif case == "parallel":
            model.active_adapters = Parallel(*(f"{name}-late" for name in NAMES))
        elif case == "parallel_all":
            model.active_adapters = Parallel(*NAMES)
        elif case == "fuse":
            model.active_adapters = Fuse(*NAMES)
        elif case == "pruned":
            self._prune(model)
            model.active_adapters = Fuse(*KEPT)
        sorted_ids = ids[torch.tensor(order, device=self.device)]

        def run() -> torch.Tensor:
            with torch.inference_mode():
                return model(input_ids=sorted_ids).last_hidden_state

        output = run()
        return run, output[torch.tensor(order, device=self.device).argsort()] if case == "batch_split" else output

    def _prune(self, model: BertModel) -> None:
        """Adds a fusion of two, whose adapters in each layer are those that pruning keeps of the whole fusion."""
        for name in KEPT:
            model.add_adapter(name, config=SeqBnConfig())
        model.add_adapter_fusion(KEPT, config=AdapterFusionConfig.load("dynamic"))
        for number, layer in enumerate(model.encoder.layer):
            adapters_there, fusions = layer.output.adapters, layer.output.adapter_fusion_layer
            for name, kept in zip(KEPT, (number % TASKS, (number + 3) % TASKS), strict=True):
                adapters_there[name] = adapters_there[NAMES[kept]]
            fusions[",".join(KEPT)] = fusions[",".join(NAMES)]
        model.to(self.device, self.dtype).eval()

    def _lora(self, ids: torch.Tensor, rows: list[int]) -> Case:
        body = BertModel.from_pretrained(self.folder / "body").to(self.device, self.dtype)
        config = LoraConfig(
            r=LORA_RANK, lora_alpha=LORA_RANK, target_modules=["query", "value"], init_lora_weights=False
        )
        model = get_peft_model(body, config, adapter_name=NAMES[0], autocast_adapter_dtype=False)
        for name in NAMES[1:]:
            model.add_adapter(name, config)
        model.to(self.device, self.dtype).eval()
        names = [NAMES[row] for row in rows]

        def run() -> torch.Tensor:
            with torch.inference_mode():
                return model(input_ids=ids, adapter_names=names).last_hidden_state

        return run

    def _training(self, model: BertModel, ids: torch.Tensor, name: str) -> tuple[Case, torch.Tensor]:
        model.train_adapter(name)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-5)

        def backward() -> None:
            model(input_ids=ids).last_hidden_state[:, 0].float().pow(3).mean().backward()

        def run() -> None:
            backward()
            optimizer.step()
            optimizer.zero_grad()

        backward()
        layers = model.encoder.layer[TRAINED[name] :]
        gradient = torch.stack([layer.output.adapters[name].adapter_down[0].weight.grad for layer in layers])
        optimizer.zero_grad()
        return run, gradient / gradient.abs().max()

    def _backward(self, model: BertModel, ids: torch.Tensor) -> tuple[Case, torch.Tensor]:
        model.requires_grad_(False)
        with torch.no_grad():
            embedded = model.embeddings(input_ids=ids)

        def run() -> torch.Tensor:
            x = embedded.detach().requires_grad_()
            model.encoder(x).last_hidden_state[:, 0].float().pow(3).mean().backward()
            return x.grad

        gradient = run()
        return run, gradient / gradient.abs().max()

    def time(self, case: str, times: int) -> float:
        """Returns the milliseconds per run over some runs."""
        started = time.perf_counter()
        for _ in range(times):
            self.cases[case]()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return 1000 * (time.perf_counter() - started) / times


def main() -> None:
    logging.set_verbosity_error()
    peer, answers = Peer(), sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        command = json.loads(line)
        answer = None
        match command:
            case {"make": folder, "threads": threads, "device": device}:
                torch.set_num_threads(threads)
                peer.device = torch.device(device)
                answer = peer.make(folder)
            case {"dtype": dtype}:
                peer.dtype, peer.cases = getattr(torch, dtype), {}
            case {"case": case, **rest}:
                peer.prepare(case, **rest)
            case {"time": case, "times": times}:
                answer = peer.time(case, times)
            case {"forget": case}:
                peer.cases.pop(case, None)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
