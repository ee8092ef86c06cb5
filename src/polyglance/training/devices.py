"""The device, precision and processes of a training, managed by accelerate.

`accelerate launch -m polyglance train ...` starts several processes. Each reads, embeds and matches its share of a
batch. The results are gathered, so that every process computes the losses of the whole batch and the gradients equal
those of a single process up to rounding.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Final, Literal, cast

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from polyglance.errors import ConfigurationError
from polyglance.kernels.processor import native_dtype

Precision = Literal["bf16", "fp16", "no"]
_DTYPES: Final[dict[Precision, torch.dtype]] = {"bf16": torch.bfloat16, "fp16": torch.float16}
PATIENCE: Final = timedelta(days=1)
"""The time that processes wait for the first one, which alone validates and reads the pictures that are kept."""


def fastest_device() -> torch.device:
    """Returns the accelerator of this machine, or the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def native_precision() -> Precision:
    """Returns bf16 if the device that trainings run on multiplies it faster than float32, else no.

    With emulated bfloat16 a step takes ten times as long.
    """
    return "bf16" if native_dtype(fastest_device()) == torch.bfloat16 else "no"


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which products are computed in a precision; "no" is the dtype of the weights."""
    return torch.autocast(device.type, _DTYPES.get(precision), enabled=precision in _DTYPES)


def is_first_process() -> bool:
    """Whether this process reports and saves."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)


class Devices:
    """The engine of `fit`, which also shares batches among processes.

    precision: of products; bf16 and fp16 keep weights in float32. Defaults to `native_precision()`. parts: the number
    of consecutive batches per step, over which gradients are averaged.

    Raises ConfigurationError if the device lacks the precision, or the process has already used another one.
    """

    def __init__(self, precision: Precision | None = None, parts: int = 1) -> None:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs

        precision = precision or native_precision()
        waiting = InitProcessGroupKwargs(timeout=PATIENCE)
        try:
            self._accelerator: Any = Accelerator(
                cpu=not torch.accelerator.is_available(),  # else several processes on CPUs do not find each other
                mixed_precision=precision,
                gradient_accumulation_steps=parts,
                kwargs_handlers=[waiting],
            )
        except ValueError as error:
            raise ConfigurationError(f"precision {precision} cannot be had: {str(error).splitlines()[0]}") from error
        self.parts, self.processes = parts, int(self._accelerator.num_processes)
        self.first = bool(self._accelerator.is_main_process)

    @property
    def device(self) -> torch.device:
        return cast("torch.device", self._accelerator.device)

    # -- the losses of a batch -------------------------------------------------------------------------------------

    def autocast(self) -> AbstractContextManager[None]:
        return cast("AbstractContextManager[None]", self._accelerator.autocast())

    def share(self, rows: int) -> Int[Tensor, " share"]:
        """Returns the rows of this process; all have equally many, so the last row may be repeated."""
        each = -(-rows // self.processes)
        start = each * int(self._accelerator.process_index)
        return torch.arange(start, start + each).clamp(max=rows - 1)

    def together(self, share: Shaped[Tensor, "share *rest"], rows: int) -> Shaped[Tensor, "rows *rest"]:
        """Concatenates the shares of all processes, with gradients, and keeps the first `rows` rows."""
        if self.processes == 1:
            return share
        gather = cast("Callable[..., Tensor]", _Gather.apply)
        return gather(share, self._accelerator)[:rows]

    def same(self, value: Tensor) -> Tensor:
        """Returns the first process's value in all processes."""
        from accelerate.utils import broadcast

        return cast("Tensor", broadcast(value.to(self.device))).to(value.device)

    def first_alone(self) -> AbstractContextManager[None]:
        """A context that the first process runs through before the others enter it."""
        return cast("AbstractContextManager[None]", self._accelerator.main_process_first())

    # -- the engine of `fit` ---------------------------------------------------------------------------------------

    def prepared(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return cast("torch.optim.Optimizer", self._accelerator.prepare(optimizer))

    def backward(self, loss: Float[Tensor, ""]) -> None:
        self._accelerator.backward(loss)

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> None:
        """Averages the gradients over all processes and clips them to the norm."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.processes > 1:
            mean = self._accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
            for gradient, part in zip(gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))
        self._accelerator.clip_grad_norm_(parameters, norm)

    def asked(self, question: Callable[[], bool]) -> bool:
        """Asks in the first process only and returns its answer in all."""
        return bool(self.same(torch.tensor(int(question() if self.first else False))))

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()


class _Gather(torch.autograd.Function):
    """Gathers shares. The backward pass sums the gradients of all processes, since each computes the loss of the whole
    batch; the mean over processes in `Devices.clip` turns this sum into the gradient of one loss."""

    @staticmethod
    def forward(ctx: Any, share: Tensor, accelerator: Any) -> Tensor:
        ctx.accelerator, ctx.rows = accelerator, len(share)
        return cast("Tensor", accelerator.gather(share.contiguous()))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        accelerator, rows = ctx.accelerator, ctx.rows
        everywhere = accelerator.reduce(gradients[0].contiguous(), "sum")
        start = rows * accelerator.process_index
        return everywhere[start : start + rows], None
