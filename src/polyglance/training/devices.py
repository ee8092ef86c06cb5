"""Where a training runs, by accelerate: on which device, in which precision, in how many processes, in how many parts.

`accelerate launch -m polyglance train ...` starts several processes. Each reads, embeds and matches its share of a
batch; what comes out is gathered, so that every process has the losses of the whole batch, and the gradients are those
of one process that has it all, to rounding.
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
"""How long processes wait for the first one, which alone validates and reads pictures that are kept."""


def native_precision() -> Precision:
    """bf16 where the device that trainings run on multiplies it in hardware, else no: emulated, a step takes ten times
    as long."""
    device = torch.accelerator.current_accelerator(check_available=True)
    return "bf16" if native_dtype(device) == torch.bfloat16 else "no"


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Products on the device in the precision; for "no", in the dtype of the weights."""
    return torch.autocast(device.type, _DTYPES.get(precision), enabled=precision in _DTYPES)


def is_first_process() -> bool:
    """Whether this process reports and saves."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)


class Devices:
    """An engine of `fit` and of the losses of a batch that processes share.

    precision: of products; bf16 and fp16 keep weights in float32. Defaults to `native_precision()`. parts: batches that
    a step is made of, one after the other; gradients are means over them.

    Raises ConfigurationError for a precision that the device lacks, or another than before in the same process.
    """

    def __init__(self, precision: Precision | None = None, parts: int = 1) -> None:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs

        precision = precision or native_precision()
        waiting = InitProcessGroupKwargs(timeout=PATIENCE)
        try:
            self._accelerator: Any = Accelerator(
                cpu=not torch.accelerator.is_available(),  # or processes on processors take themselves for alone
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
        """The rows of this process: as many for each, the last ones more than once if they must."""
        each = -(-rows // self.processes)
        start = each * int(self._accelerator.process_index)
        return torch.arange(start, start + each).clamp(max=rows - 1)

    def together(self, share: Shaped[Tensor, "share *rest"], rows: int) -> Shaped[Tensor, "rows *rest"]:
        """The shares of all processes one below the other, with gradients."""
        if self.processes == 1:
            return share
        gather = cast("Callable[..., Tensor]", _Gather.apply)
        return gather(share, self._accelerator)[:rows]

    def same(self, value: Tensor) -> Tensor:
        """The first process's value, everywhere."""
        from accelerate.utils import broadcast

        return cast("Tensor", broadcast(value.to(self.device))).to(value.device)

    def first_alone(self) -> AbstractContextManager[None]:
        """The first process goes through it before the others."""
        return cast("AbstractContextManager[None]", self._accelerator.main_process_first())

    # -- the engine of `fit` ---------------------------------------------------------------------------------------

    def prepared(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return cast("torch.optim.Optimizer", self._accelerator.prepare(optimizer))

    def backward(self, loss: Float[Tensor, ""]) -> None:
        self._accelerator.backward(loss)

    def clip(self, parameters: Sequence[nn.Parameter], norm: float) -> None:
        """Gradients of all processes become their mean, and are clipped."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.processes > 1:
            mean = self._accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
            for gradient, part in zip(gradients, mean.split([one.numel() for one in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))
        self._accelerator.clip_grad_norm_(parameters, norm)

    def asked(self, question: Callable[[], bool]) -> bool:
        """The first process answers for all."""
        return bool(self.same(torch.tensor(int(question() if self.first else False))))

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()


class _Gather(torch.autograd.Function):
    """Every process computes the losses of the whole batch, so the gradient of a share is the sum of what comes from
    all; the mean over processes in `Devices.clip` makes that the gradient of one loss."""

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
