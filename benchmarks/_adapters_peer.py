"""The other side of `benchmarks.adapters`: the `adapters` library and PEFT, in an environment of their own.

Reads a JSON command a line, answers with a JSON line: {"make": FOLDER, ...} writes a body, its adapters and inputs;
{"dtype": NAME} sets the dtype; {"case": NAME, ...} gets a case ready and runs it; {"time": NAME, ...} times it;
{"forget": NAME} gives its memory back.
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
LORA_RANK = 24
"""Of query and value: as many weights as a Pfeiffer adapter 48 wide has."""

Case = Callable[[], torch.Tensor]


class Peer:
    def __init__(self) -> None:
        self.folder = Path()
        self.dtype = torch.float32
        self.device = torch.device("cpu")
        self.cases: dict[str, Case] = {}

    def make(self, folder: str) -> None:
        """A random BERT of base size, adapters in all layers and in those from `DROPPED` on, a fusion, token ids."""
        self.folder = Path(folder)
        torch.manual_seed(0)
        body = BertModel(BertConfig(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
        body.save_pretrained(self.folder / "body")
        model = self._adapted(random=True)
        for name in [*NAMES, *(f"{name}-late" for name in NAMES)]:
            model.save_adapter(str(self.folder / name), name, use_safetensors=True)
        model.save_adapter_fusion(str(self.folder / "fusion"), NAMES, use_safetensors=True)
        ids = {
            f"{rows}x{tokens}": torch.randint(0, body.config.vocab_size, (rows, tokens))
            for rows, tokens in ((1, 32), (16, 128), (32, 64), (8, 16))
        }
        save_file(ids, self.folder / "ids.safetensors")

    def _adapted(self, random: bool = False) -> BertModel:
        model = BertModel.from_pretrained(self.folder / "body")
        adapters.init(model)
        for name in NAMES:
            model.add_adapter(name, config=SeqBnConfig())
            model.add_adapter(f"{name}-late", config=SeqBnConfig(leave_out=list(range(DROPPED))))
        model.add_adapter_fusion(NAMES, config=AdapterFusionConfig.load("dynamic"))
        if random:
            for key, parameter in model.named_parameters():
                if "adapter" in key:
                    torch.nn.init.normal_(parameter, std=0.02)
        else:
            for name in [*NAMES, *(f"{name}-late" for name in NAMES)]:
                model.load_adapter(str(self.folder / name), load_as=name, use_safetensors=True, with_head=False)
            model.load_adapter_fusion(str(self.folder / "fusion"), use_safetensors=True)
        return model

    def prepare(self, case: str, shape: str, rows: list[int] | None = None) -> None:
        """case: parallel, parallel_all, batch_split, lora, fuse or train. rows: the adapter of each row."""
        ids = load_file(self.folder / "ids.safetensors")[shape].to(self.device)
        if case == "lora":
            self.cases[case] = self._lora(ids, rows or [])
            return
        model = self._adapted().to(self.device, self.dtype).eval()
        if case == "train":
            self.cases[case] = self._training(model, ids)
            return
        late = [f"{name}-late" for name in NAMES]
        if case == "batch_split":
            order = sorted(range(len(ids)), key=lambda row: rows[row])
            sizes = [rows.count(task) for task in range(TASKS)]
            back = torch.tensor(order, device=self.device).argsort()
            model.active_adapters = BatchSplit(*NAMES, batch_sizes=sizes)
            ids = ids[torch.tensor(order, device=self.device)]
        else:
            back = None
            model.active_adapters = {
                "parallel": Parallel(*late),
                "parallel_all": Parallel(*NAMES),
                "fuse": Fuse(*NAMES),
            }[case]

        def run() -> torch.Tensor:
            with torch.inference_mode():
                return model(input_ids=ids).last_hidden_state

        self.cases[case] = run
        output = run() if back is None else run()[back]
        save_file({"output": output.float().cpu().contiguous()}, self.folder / f"{case}.safetensors")

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

    def _training(self, model: BertModel, ids: torch.Tensor) -> Case:
        model.train_adapter(NAMES[0])
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-5)

        def run() -> torch.Tensor:
            loss = model(input_ids=ids).last_hidden_state[:, 0].float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss.detach()

        return run

    def time(self, case: str, times: int) -> float:
        """Milliseconds a run, over some runs."""
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
